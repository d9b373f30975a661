//! Waits until a link is gone, as the kernel tells it: long before the request that removes it is answered.

use crate::error::{Error, Result};
use crate::netlink::{self, Message, REQUEST, Reply, u32_at};
use crate::netns::NetNs;
use crate::rtnl::Rtnl;
use crate::socket::Socket;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::AsFd;
use rustix::io::Errno;
use std::time::{Duration, Instant};

/// Multicast group of link changes.
const RTNLGRP_LINK: i32 = 1;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;

/// A subscription that is older than the removal it waits for.
#[derive(Debug)]
pub struct RemovalWatch {
    rtnl: Rtnl,
    index: u32,
}

impl RemovalWatch {
    /// Subscribes in the given namespace, or the calling thread's. To be opened *before* the removal is asked
    /// for.
    ///
    /// # Errors
    /// As [`Rtnl::open_in`].
    pub fn open_in(netns: Option<&NetNs>, index: u32) -> Result<RemovalWatch> {
        let mut rtnl = netns.map_or_else(Rtnl::open, Rtnl::open_in)?;
        rtnl.socket().join(RTNLGRP_LINK)?;
        Ok(RemovalWatch { rtnl, index })
    }

    /// Waits until the link is gone; `false` when the deadline came first.
    ///
    /// # Errors
    /// The socket fails.
    pub fn wait(&mut self, deadline: Instant) -> Result<bool> {
        let event = wait_on(self.rtnl.socket(), self.index, None, deadline)?;
        Ok(matches!(event, Event::Gone))
    }
}

/// How a wait ended.
#[derive(Debug)]
pub(crate) enum Event {
    /// The link is gone.
    Gone,
    /// The kernel refused the request that was to be watched for.
    Refused(netlink::Outcome),
    /// The deadline came.
    Late,
}

/// Subscribes a socket to link changes as long as this lives.
pub(crate) struct Subscription<'a> {
    pub(crate) socket: &'a mut Socket,
}

impl<'a> Subscription<'a> {
    pub(crate) fn new(socket: &'a mut Socket) -> Result<Subscription<'a>> {
        socket.join(RTNLGRP_LINK)?;
        Ok(Subscription { socket })
    }
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        // A socket that stays subscribed only reads more than it needs.
        let _ = self.socket.leave(RTNLGRP_LINK);
        // A notification carries the sequence number of whoever caused it, which may be one of ours to come.
        while self.socket.receive_now().is_ok() {}
    }
}

/// Reads until the link is gone, or the request `refusal_of` is refused, or time is up.
pub(crate) fn wait_on(
    socket: &mut Socket,
    index: u32,
    refusal_of: Option<u32>,
    deadline: Instant,
) -> Result<Event> {
    let (mut lookup, mut lost) = (None, false);
    loop {
        match socket.receive_now() {
            Ok(datagram) => {
                let mut events =
                    netlink::replies(datagram).filter_map(|r| judge(&r, index, refusal_of, lookup));
                if let Some(event) = events.next() {
                    return Ok(event);
                }
            }
            Err(Errno::NOBUFS) => lost = true,
            // Ours may be among the lost: ask. Not earlier: a queue that is full loses the answer too.
            Err(Errno::AGAIN) if lost => {
                lookup = Some(ask(socket, index)?);
                lost = false;
            }
            Err(Errno::AGAIN) if Instant::now() >= deadline => return Ok(Event::Late),
            Err(Errno::AGAIN) => sleep(socket, deadline).map_err(|errno| failed(index, errno))?,
            Err(errno) => return Err(failed(index, errno)),
        }
    }
}

/// What one message says about the end of the wait.
fn judge(reply: &Reply<'_>, index: u32, refusal_of: Option<u32>, lookup: Option<u32>) -> Option<Event> {
    if is_removal(reply, index) {
        return Some(Event::Gone);
    }
    let outcome = reply.outcome()?;
    if lookup == Some(reply.sequence) && outcome.errno == Some(Errno::NODEV) {
        return Some(Event::Gone);
    }
    if refusal_of != Some(reply.sequence) {
        return None;
    }
    // An acknowledged removal is a removal, notified or not.
    Some(if outcome.errno.is_none() { Event::Gone } else { Event::Refused(outcome) })
}

/// A link that leaves its bridge is told by the same message, of family AF_BRIDGE: that one is still there.
fn is_removal(reply: &Reply<'_>, index: u32) -> bool {
    let family = reply.payload.first();
    reply.kind == RTM_DELLINK && family == Some(&0) && u32_at(reply.payload, 4) == Some(index)
}

/// Asks for the link on the same socket; the answer comes in line with the notifications.
fn ask(socket: &mut Socket, index: u32) -> Result<u32> {
    let mut body = [0; 16];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    let mut message = Message::new(RTM_GETLINK, REQUEST).body(&body);
    let sequence = socket.next_sequence();
    message.stamp(sequence);
    socket.send(message.as_bytes()).map_err(|errno| failed(index, errno))?;
    Ok(sequence)
}

fn sleep(socket: &Socket, deadline: Instant) -> rustix::io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
    let mut fds = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)];
    match rustix::event::poll(&mut fds, Some(&left)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn failed(index: u32, errno: Errno) -> Error {
    Error::new("wait for removal of", format!("link {index}"), errno)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn dellink(family: u8, index: u32) -> Message {
        let mut body = [0; 16];
        body[0] = family;
        body[4..8].copy_from_slice(&index.to_ne_bytes());
        Message::new(RTM_DELLINK, 0).body(&body)
    }

    fn judged(message: &Message) -> Option<Event> {
        judge(&netlink::replies(message.as_bytes()).next().unwrap(), 7, Some(3), None)
    }

    #[test]
    fn only_the_link_s_own_end_counts() {
        assert!(matches!(judged(&dellink(0, 7)), Some(Event::Gone)));
        assert!(judged(&dellink(7, 7)).is_none(), "a port that leaves its bridge is no removed link");
        assert!(judged(&dellink(0, 8)).is_none(), "another link");
        let mut changed = dellink(0, 7).as_bytes().to_vec();
        let new_link: u16 = 16;
        changed[4..6].copy_from_slice(&new_link.to_ne_bytes());
        let reply = netlink::replies(&changed).next().unwrap();
        assert!(judge(&reply, 7, None, None).is_none(), "a changed link");
    }
}
