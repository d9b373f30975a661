//! Everything that arrives at one link is sent by another: a filter at the ingress that matches all.

use super::attrs::{
    HANDLE_INGRESS, INGRESS_QDISC, RTM_DELTFILTER, RTM_GETTFILTER, RTM_NEWQDISC, RTM_NEWTFILTER,
    TC_ACT_STOLEN, TC_H_INGRESS, TC_U32_TERMINAL, TCA_ACT_KIND, TCA_ACT_OPTIONS, TCA_EGRESS_REDIR, TCA_KIND,
    TCA_MIRRED_PARMS, TCA_OPTIONS, TCA_U32_ACT, TCA_U32_CLASSID, TCA_U32_SEL, message,
};
use super::{BODY, none_is_fine, tbf};
use crate::error::Result;
use crate::netlink::{
    ACK, CREATE, DUMP, EXCL, Message, NESTED, REQUEST, attribute, attributes, text, u32_at,
};
use crate::rtnl::{Request, Rtnl};

/// Where the filter stands among others: first.
const PREFERENCE: u16 = 1;
const ETH_P_ALL: u16 = 3;
const FILTER: &str = "u32";
const ACTION: &str = "mirred";

/// A filter at a link's ingress, as the kernel describes it; of a `u32` filter also its tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// `u32`, `bpf`, …
    pub kind: String,
    /// Its preference: less comes first.
    pub preference: u16,
    /// The link that it sends everything by; 0 when that link is gone.
    pub redirects_to: Option<u32>,
}

impl Filter {
    /// Whether it has the place and kind of one made by [`redirect`].
    pub fn stands_first(&self) -> bool {
        self.preference == PREFERENCE && self.kind == FILTER
    }
}

/// `tc qdisc add dev IF ingress`
pub fn ingress(index: u32) -> Request {
    let message =
        message(RTM_NEWQDISC, REQUEST | ACK | CREATE | EXCL, index, HANDLE_INGRESS, TC_H_INGRESS, 0)
            .attr_str(TCA_KIND, INGRESS_QDISC);
    Request::new("add qdisc ingress on", format!("link {index}"), message)
}

/// `tc filter add dev FROM parent ffff: protocol all prio 1 u32 match u8 0 0 flowid 1:1 action mirred egress
/// redirect dev TO`; the ingress qdisc has to be there.
pub fn redirect(from: u32, to: u32) -> Request {
    let flags = REQUEST | ACK | CREATE | EXCL;
    let message = message(RTM_NEWTFILTER, flags, from, 0, HANDLE_INGRESS, place())
        .attr_str(TCA_KIND, FILTER)
        .nest(TCA_OPTIONS, |m| {
            m.attr_u32(TCA_U32_CLASSID, tbf::HANDLE | 1)
                .nest(TCA_U32_ACT, |m| m.nest(1, |m| mirred(m, to)))
                .attr(TCA_U32_SEL, &match_all())
        });
    Request::new("redirect what arrives at", format!("link {from} to link {to}"), message)
}

/// The filters at the link's ingress; none where it has no ingress qdisc.
///
/// # Errors
/// The kernel refuses the list: `ENODEV` when the link is gone.
pub fn filters(rtnl: &mut Rtnl, index: u32) -> Result<Vec<Filter>> {
    rtnl.dump(list(index), parse)
}

/// Removes the filter that [`redirect`] made, and leaves the others at the ingress; fine when there is none.
///
/// # Errors
/// Whatever the kernel says but that there is none.
pub fn remove(rtnl: &mut Rtnl, index: u32) -> Result<bool> {
    Ok(none_is_fine(rtnl.request(removal(index)))?.is_some())
}

/// `tc filter show dev IF parent ffff:`
pub(super) fn list(index: u32) -> Request {
    let message = message(RTM_GETTFILTER, REQUEST | DUMP, index, 0, HANDLE_INGRESS, 0);
    Request::new("list filters at ingress of", format!("link {index}"), message)
}

/// `tc filter del dev IF parent ffff: protocol all prio 1`
pub(super) fn removal(index: u32) -> Request {
    let message = message(RTM_DELTFILTER, REQUEST | ACK, index, 0, HANDLE_INGRESS, place());
    Request::new("remove filter at ingress of", format!("link {index}"), message)
}

/// `tcm_info`: preference, and the protocol in network byte order.
fn place() -> u32 {
    u32::from(PREFERENCE) << 16 | u32::from(ETH_P_ALL.to_be())
}

/// `struct tc_mirred`, which begins with `tc_gen`: index, capabilities, action, two counts.
fn mirred(message: Message, to: u32) -> Message {
    let mut parms = Vec::with_capacity(28);
    for number in [0, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR, to] {
        parms.extend_from_slice(&number.to_ne_bytes());
    }
    message
        .attr_str(TCA_ACT_KIND, ACTION)
        .nest(TCA_ACT_OPTIONS | NESTED, |m| m.attr(TCA_MIRRED_PARMS, &parms))
}

/// `struct tc_u32_sel` with one key that is nothing under no mask.
fn match_all() -> [u8; 32] {
    let mut selector = [0; 32];
    selector[0] = TC_U32_TERMINAL;
    selector[2] = 1;
    selector
}

fn parse(payload: &[u8]) -> Option<Filter> {
    let attributes = payload.get(BODY..)?;
    let kind = attribute(attributes, TCA_KIND).map(text)?;
    let preference = u16::try_from(u32_at(payload, 16)? >> 16).ok()?;
    let options = attribute(attributes, TCA_OPTIONS).unwrap_or_default();
    let redirects_to = (kind == FILTER).then(|| target(options)).flatten();
    Some(Filter { kind, preference, redirects_to })
}

/// Where the first redirecting action of a `u32` filter leads.
fn target(options: &[u8]) -> Option<u32> {
    attributes(attribute(options, TCA_U32_ACT)?).find_map(|(_, action)| {
        attribute(action, TCA_ACT_KIND).map(text).filter(|kind| kind == ACTION)?;
        let parms = attribute(attribute(action, TCA_ACT_OPTIONS)?, TCA_MIRRED_PARMS)?;
        u32_at(parms, 24).filter(|_| u32_at(parms, 20) == Some(TCA_EGRESS_REDIR))
    })
}
