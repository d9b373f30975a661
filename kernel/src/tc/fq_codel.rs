//! Fair queueing with controlled delay, as the queue inside a rate limit: one flow cannot fill it for the others,
//! and nothing waits long.

use super::attrs::{RTM_NEWQDISC, TCA_KIND, TCA_OPTIONS, message};
use super::tbf;
use crate::error::{Error, Result};
use crate::netlink::{ACK, CREATE, EXCL, REQUEST};
use crate::rtnl::{Request, Rtnl};
use rustix::io::Errno;

/// `10:`.
const HANDLE: u32 = 0x10_0000;

/// Makes it the queue of the link's token bucket filter. `false` where the kernel has none: the filter keeps the
/// first-in-first-out queue that it was born with.
///
/// # Errors
/// Whatever else the kernel says.
pub fn queue_in(rtnl: &mut Rtnl, index: u32) -> Result<bool> {
    kernel_without_is_fine(rtnl.request(leaf(index)))
}

/// Forgives ENOENT: a kernel built without `sch_fq_codel`, or one that cannot load it.
fn kernel_without_is_fine(outcome: Result<()>) -> Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(Error { errno: Errno::NOENT, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// `tc qdisc add dev IF parent 1:1 handle 10: fq_codel`
pub(super) fn leaf(index: u32) -> Request {
    let flags = REQUEST | ACK | CREATE | EXCL;
    let message = message(RTM_NEWQDISC, flags, index, HANDLE, tbf::HANDLE | 1, 0)
        .attr_str(TCA_KIND, "fq_codel")
        .nest(TCA_OPTIONS, |options| options);
    Request::new("queue by fq_codel on", format!("link {index}"), message)
}
