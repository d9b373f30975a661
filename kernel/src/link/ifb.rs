//! An intermediate functional block (`ifb`): a link through which what arrives at another one is sent, so that it
//! can be queued like what leaves.

use super::attrs::{
    IFF_UP, IFLA_IFNAME, IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MTU, IFLA_NUM_TX_QUEUES, IFLA_TXQLEN,
    RTM_NEWLINK, message,
};
use super::{Link, LinkRef, get, parse, set_alias_of};
use crate::error::{Error, Result};
use crate::netlink::{ACK, CREATE, EXCL, Message, REQUEST};
use crate::rtnl::{Request, Rtnl};
use rustix::io::Errno;

/// The kind as the kernel calls it.
pub const KIND: &str = "ifb";
/// A name that no link has: [`is_supported`] must not meet one.
const NO_NAME: &str = "ifb-probe";

/// An IFB to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ifb<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its MTU, in bytes.
    pub mtu: u32,
}

impl Ifb<'_> {
    /// Up from the start and without a queue of its own: the qdisc that is put on it is what queues.
    ///
    /// `ip link add NAME up mtu MTU txqueuelen 0 type ifb`
    pub fn create(&self) -> Request {
        let message = message(RTM_NEWLINK, REQUEST | ACK | CREATE | EXCL, 0, IFF_UP, IFF_UP)
            .attr_u32(IFLA_MTU, self.mtu)
            .attr_u32(IFLA_TXQLEN, 0)
            .attr_str(IFLA_IFNAME, self.name)
            .nest(IFLA_LINKINFO, kind);
        Request::new("create ifb", self.name, message)
    }

    /// Makes the IFB and marks it, in one send, so that a kill cannot leave one without its mark. The name has to
    /// be free: the mark goes by it.
    ///
    /// # Errors
    /// The kernel refuses: `EEXIST` for a name that is taken, `EOPNOTSUPP` where it has no IFB.
    pub fn create_marked(&self, rtnl: &mut Rtnl, alias: &str) -> Result<Link> {
        let requests = vec![self.create().echoed(), set_alias_of(self.name, alias)];
        if let Some(link) = rtnl.batch_echoed(requests, parse::link)? {
            return Ok(link);
        }
        // Kernels before 6.2 echo nothing of a new link.
        get(rtnl, LinkRef::Name(self.name))?
            .ok_or_else(|| Error::new("look up new ifb", self.name, Errno::NODEV))
    }
}

/// Whether the kernel knows IFBs. It is asked for one with no queues at all, which it refuses by `EINVAL` after it
/// has found (or loaded) the kind, and by `EOPNOTSUPP` where there is none; nothing is made.
///
/// # Errors
/// Any other refusal: `EPERM`.
pub fn is_supported(rtnl: &mut Rtnl) -> Result<bool> {
    match rtnl.request(probe()) {
        Err(error) if error.errno == Errno::INVAL => Ok(true),
        Err(error) if error.errno == Errno::OPNOTSUPP => Ok(false),
        Err(error) => Err(error),
        Ok(()) => Err(Error::new("create ifb without queues", NO_NAME, Errno::EXIST)),
    }
}

/// `ip link add ifb-probe numtxqueues 0 type ifb`
pub(super) fn probe() -> Request {
    let message = message(RTM_NEWLINK, REQUEST | ACK | CREATE | EXCL, 0, 0, 0)
        .attr_u32(IFLA_NUM_TX_QUEUES, 0)
        .attr_str(IFLA_IFNAME, NO_NAME)
        .nest(IFLA_LINKINFO, kind);
    Request::new("create ifb without queues", NO_NAME, message)
}

/// Without its NUL, as `ip` sends it.
fn kind(message: Message) -> Message {
    message.attr(IFLA_INFO_KIND, KIND.as_bytes())
}
