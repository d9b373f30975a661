//! DEL: rules, link, lease, in this order.
//!
//! The lease goes last, and only when the link is gone: while it stands nobody else can have the address, so
//! a rule for that address is this attachment's own, and no link with the address meets another. The
//! namespace and `prevResult` are welcome but not needed.

use crate::config::Removal;
use spec::error::Result;
use spec::request::Del;
use std::os::fd::{AsFd, BorrowedFd};
use steps::best_effort::BestEffort;
use steps::label::Label;
use steps::lease::Ipam;
use steps::{lease, masquerade, pair, spoof};

pub(crate) fn del(call: &Del) -> Result<()> {
    let label = Label::new(&call.config, &call.attachment);
    let mut effort = BestEffort::new();
    let removal = Removal::of(&call.config);
    let ipam = call.config.ipam.as_ref().and_then(|plugin| effort.note(Ipam::find(plugin, &call.caller)));
    // The netfilter sockets stay open until the link is gone: closing one after a delete waits for the
    // kernel.
    let mut open = Vec::new();
    if removal.ip_masq {
        let known = effort.note(lease::addresses(call, ipam.as_ref())).flatten();
        open.extend(effort.note(masquerade::remove(&label, known.as_deref())).flatten());
    }
    if removal.macspoofchk {
        open.extend(effort.note(spoof::remove(&label, &call.attachment)).flatten());
    }
    let keep: Vec<BorrowedFd<'_>> = open.iter().map(AsFd::as_fd).collect();
    let on_this_bridge = |master: Option<&str>| master.is_none_or(|master| master == removal.bridge);
    let leased = || lease::addresses(call, ipam.as_ref());
    let gone = effort.note(pair::remove(call, &label, &keep, on_this_bridge, leased)).is_some();
    if let Some(ipam) = ipam.filter(|_| gone) {
        effort.note(ipam.del(call));
    }
    effort.finish()
}
