//! Removes a link without sitting out the kernel's grace period.
//!
//! The kernel answers `RTM_DELLINK` only some 15 ms after the link is gone (it waits for RCU). A helper
//! process makes the request and waits; the caller listens for the notification of the same event, which
//! comes at once.

use super::{LinkRef, gone_is_fine, removal, remove};
use crate::detach::detached;
use crate::error::Result;
use crate::rtnl::Rtnl;
use crate::watch::{Event, Subscription, wait_on};
use rustix::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How long the notification is waited for before the link is removed in the plain way. The kernel takes 0.3
/// ms; more only while many others hold its lock.
const LIMIT: Duration = Duration::from_secs(2);

/// Removes the link and returns when the kernel has told that it is gone: both ends of a veth, their
/// addresses, their names, which are free for the next pair at once. `false` when somebody else had removed
/// it already.
///
/// A helper process lives on for the rest of the kernel's wait, some 15 ms, with `keep` held open: the last
/// close of a netfilter socket waits just as long. Where no helper can be had the removal is the plain one.
///
/// # Errors
/// What the kernel said to the request, as [`remove`].
pub fn remove_early(rtnl: &mut Rtnl, index: u32, keep: &[BorrowedFd<'_>]) -> Result<bool> {
    match try_early(rtnl, index, keep)? {
        Some(removed) => Ok(removed),
        // Whoever removed it meanwhile, the helper did it first.
        None => remove(rtnl, LinkRef::Index(index)).map(|_| true),
    }
}

/// `None` when it has to be done in the plain way.
///
/// Helper and caller share one socket: the helper's request and the subscription are in the namespace of the
/// link, and the kernel's refusal comes down the same queue as the notification.
fn try_early(rtnl: &mut Rtnl, index: u32, keep: &[BorrowedFd<'_>]) -> Result<Option<bool>> {
    let mut request = removal(index);
    let sequence = rtnl.socket().next_sequence();
    request.stamp(sequence);
    let subscription = Subscription::new(rtnl.socket())?;
    let socket = &*subscription.socket;
    let kept: Vec<BorrowedFd<'_>> = keep.iter().copied().chain([socket.as_fd()]).collect();
    let helper = || {
        // The kernel has done everything when the send returns; the answer is for the caller, if it still
        // listens.
        let _ = socket.send(request.as_bytes());
    };
    if detached(&kept, helper).is_err() {
        return Ok(None);
    }
    match wait_on(subscription.socket, index, Some(sequence), Instant::now() + LIMIT)? {
        Event::Gone => Ok(Some(true)),
        Event::Refused(outcome) => gone_is_fine(request.judge(outcome)).map(Some),
        Event::Late => Ok(None),
    }
}
