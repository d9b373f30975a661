//! DEL: rules, link, lease, in this order; the host's routes go with the link.
//!
//! The lease goes last, and only when the link is gone: while it stands nobody else can have the address, so
//! a rule for that address is this attachment's own, and no route to the address meets another's. The namespace
//! and `prevResult` are welcome but not needed.

use crate::config::Removal;
use spec::error::Result;
use spec::request::Del;
use std::os::fd::{AsFd, BorrowedFd};
use steps::best_effort::BestEffort;
use steps::label::Label;
use steps::lease::Ipam;
use steps::{lease, masquerade, pair};

pub(crate) fn del(call: &Del) -> Result<()> {
    let label = Label::new(&call.config, &call.attachment);
    let mut effort = BestEffort::new();
    let ipam = call.config.ipam.as_ref().and_then(|plugin| effort.note(Ipam::find(plugin, &call.caller)));
    // The netfilter socket stays open until the link is gone: closing it after a delete waits for the kernel.
    let mut open = None;
    if Removal::of(&call.config).ip_masq {
        let known = effort.note(lease::addresses(call, ipam.as_ref())).flatten();
        open = effort.note(masquerade::remove(&label, known.as_deref())).flatten();
    }
    let keep: Vec<BorrowedFd<'_>> = open.iter().map(AsFd::as_fd).collect();
    let leased = || lease::addresses(call, ipam.as_ref());
    // The reference's pairs are ports of nothing.
    let gone = effort.note(pair::remove(call, &label, &keep, |master| master.is_none(), leased)).is_some();
    if let Some(ipam) = ipam.filter(|_| gone) {
        effort.note(ipam.del(call));
    }
    effort.finish()
}
