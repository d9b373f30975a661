//! The token bucket filter: a link sends at a rate, after a burst at full speed.

use super::attrs::{
    RTM_NEWQDISC, TC_H_ROOT, TC_LINKLAYER_ETHERNET, TCA_KIND, TCA_OPTIONS, TCA_TBF_PARMS, TCA_TBF_RATE64,
    message,
};
use crate::error::{Error, Result};
use crate::netlink::{ACK, CREATE, EXCL, REQUEST, attribute, u32_at};
use crate::rtnl::{Request, Rtnl};
use rustix::io::Errno;

/// The kind as the kernel calls it.
pub const KIND: &str = "tbf";
/// `1:`, under which the filter is made; its one class is `1:1`.
pub const HANDLE: u32 = 0x1_0000;
/// Nanoseconds of a tick, the kernel's unit of time here (`PSCHED_SHIFT`; `/proc/net/psched` tells it too).
const TICK_NS: u64 = 64;
/// Loopback, the one link that every namespace has.
const LO: u32 = 1;

/// What the filter does. Read back, it is the same, bit by bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tbf {
    /// Bytes a second.
    pub rate: u64,
    /// Size of the bucket, as the time in ticks that the rate takes to fill it; see [`ticks`].
    pub buffer: u32,
    /// Most bytes that wait; more are dropped. A leaf qdisc such as [`super::fq_codel`] has its own limit.
    pub limit: u32,
}

impl Tbf {
    /// `tc qdisc add dev IF root handle 1: tbf rate RATE burst BURST limit LIMIT`, less the rate table, which
    /// kernels since 3.9 make themselves, and less the burst in bytes, which the buffer says already.
    pub fn create(&self, index: u32) -> Request {
        let flags = REQUEST | ACK | CREATE | EXCL;
        let rate64 = (self.rate > u64::from(u32::MAX)).then_some(self.rate);
        let message = message(RTM_NEWQDISC, flags, index, HANDLE, TC_H_ROOT, 0)
            .attr_str(TCA_KIND, KIND)
            .nest(TCA_OPTIONS, |m| {
                m.attr(TCA_TBF_PARMS, &self.parms())
                    .maybe(rate64, |m, rate| m.attr(TCA_TBF_RATE64, &rate.to_ne_bytes()))
            });
        let object = format!("{} bytes/s on link {index}", self.rate);
        Request::new("limit rate to", object, message)
    }

    /// `struct tc_tbf_qopt`: rate, peak rate (none), limit, buffer, peak burst (none).
    fn parms(&self) -> [u8; 36] {
        let mut parms = [0; 36];
        parms[1] = TC_LINKLAYER_ETHERNET;
        // Sizes are rounded up to cells of 1 << cell_log bytes, less one: -1 as the reference implementation has it.
        parms[4..6].copy_from_slice(&(-1i16).to_ne_bytes());
        let rate = u32::try_from(self.rate).unwrap_or(u32::MAX);
        parms[8..12].copy_from_slice(&rate.to_ne_bytes());
        parms[24..28].copy_from_slice(&self.limit.to_ne_bytes());
        parms[28..32].copy_from_slice(&self.buffer.to_ne_bytes());
        parms
    }
}

/// Whole ticks in a time; `None` when they are more than the kernel can be told, which is 274 seconds.
pub fn ticks(microseconds: u64) -> Option<u32> {
    u32::try_from(microseconds.checked_mul(1000)? / TICK_NS).ok()
}

/// Whether the kernel knows token bucket filters. It is asked for one without options, which it refuses by
/// `EINVAL` after it has found (or loaded) the kind, and by `ENOENT` where there is none; nothing is made.
///
/// # Errors
/// Any other refusal: `EPERM`.
pub fn is_supported(rtnl: &mut Rtnl) -> Result<bool> {
    match rtnl.request(probe()) {
        // EEXIST: lo has a qdisc of this number already, and the kernel looks no further.
        Err(error) if [Errno::INVAL, Errno::EXIST].contains(&error.errno) => Ok(true),
        Err(error) if error.errno == Errno::NOENT => Ok(false),
        Err(error) => Err(error),
        Ok(()) => Err(Error::new("limit rate without a rate", "lo", Errno::EXIST)),
    }
}

/// `tc qdisc add dev lo root handle 1: tbf`, which `tc` itself refuses to send without options.
pub(super) fn probe() -> Request {
    let message = message(RTM_NEWQDISC, REQUEST | ACK | CREATE | EXCL, LO, HANDLE, TC_H_ROOT, 0)
        .attr_str(TCA_KIND, KIND);
    Request::new("limit rate without a rate", "lo", message)
}

/// From the options of a qdisc of this kind.
pub(super) fn parse(options: &[u8]) -> Option<Tbf> {
    let parms = attribute(options, TCA_TBF_PARMS)?;
    let rate64 = attribute(options, TCA_TBF_RATE64).and_then(|value| value.try_into().ok());
    let rate = rate64.map(u64::from_ne_bytes).or_else(|| u32_at(parms, 8).map(u64::from))?;
    Some(Tbf { rate, limit: u32_at(parms, 24)?, buffer: u32_at(parms, 28)? })
}
