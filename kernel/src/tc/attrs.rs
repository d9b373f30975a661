//! The numbers of traffic control: `include/uapi/linux/{rtnetlink,pkt_sched,pkt_cls}.h`, `tc_act/tc_mirred.h`.

use crate::netlink::Message;

pub(super) const RTM_NEWQDISC: u16 = 36;
pub(super) const RTM_DELQDISC: u16 = 37;
pub(super) const RTM_GETQDISC: u16 = 38;
pub(super) const RTM_NEWTFILTER: u16 = 44;
pub(super) const RTM_DELTFILTER: u16 = 45;
pub(super) const RTM_GETTFILTER: u16 = 46;

pub(super) const TC_H_ROOT: u32 = 0xffff_ffff;
pub(super) const TC_H_INGRESS: u32 = 0xffff_fff1;
/// `ffff:`, which every ingress qdisc is.
pub(super) const HANDLE_INGRESS: u32 = 0xffff_0000;
pub(super) const INGRESS_QDISC: &str = "ingress";

pub(super) const TCA_KIND: u16 = 1;
pub(super) const TCA_OPTIONS: u16 = 2;

pub(super) const TCA_TBF_PARMS: u16 = 1;
pub(super) const TCA_TBF_RATE64: u16 = 4;
pub(super) const TC_LINKLAYER_ETHERNET: u8 = 1;

pub(super) const TCA_U32_CLASSID: u16 = 1;
pub(super) const TCA_U32_SEL: u16 = 5;
pub(super) const TCA_U32_ACT: u16 = 7;
pub(super) const TC_U32_TERMINAL: u8 = 1;

pub(super) const TCA_ACT_KIND: u16 = 1;
pub(super) const TCA_ACT_OPTIONS: u16 = 2;
pub(super) const TCA_MIRRED_PARMS: u16 = 2;
pub(super) const TC_ACT_STOLEN: u32 = 4;
pub(super) const TCA_EGRESS_REDIR: u32 = 1;

/// Starts a message with its `tcmsg`.
pub(super) fn message(kind: u16, nl_flags: u16, index: u32, handle: u32, parent: u32, info: u32) -> Message {
    let mut body = [0; 20];
    for (place, number) in body[4..].chunks_exact_mut(4).zip([index, handle, parent, info]) {
        place.copy_from_slice(&number.to_ne_bytes());
    }
    Message::new(kind, nl_flags).body(&body)
}
