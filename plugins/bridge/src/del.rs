//! DEL: rules, link, lease, in this order, and each whether or not the one before worked.
//!
//! The lease goes last: while it stands, nobody else can have the address, so a rule for that address is this
//! attachment's own. The namespace and `prevResult` are welcome but not needed.

use crate::config::Removal;
use crate::pair;
use kernel::link::{self, LinkRef};
use kernel::netns::NetNs;
use kernel::rtnl::Rtnl;
use spec::error::Result;
use spec::request::Del;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use steps::best_effort::BestEffort;
use steps::label::Label;
use steps::lease::Ipam;
use steps::{masquerade, spoof};

pub(crate) fn del(call: &Del) -> Result<()> {
    let label = Label::new(&call.config, &call.attachment);
    let mut effort = BestEffort::new();
    let removal = effort.note(Removal::new(&call.config));
    let ipam = call.config.ipam.as_ref().and_then(|plugin| effort.note(Ipam::find(plugin, &call.caller)));
    // The netfilter sockets stay open until the link is gone: closing one after a delete waits for the kernel.
    let mut open = Vec::new();
    if removal.as_ref().is_some_and(|removal| removal.masquerade) {
        let addresses = effort.note(addresses(call, ipam.as_ref())).unwrap_or_default();
        open.extend(effort.note(masquerade::remove(&label, &addresses)).flatten());
    }
    if removal.as_ref().is_some_and(|removal| removal.spoof_check) {
        open.extend(effort.note(spoof::remove(&label, &call.attachment)).flatten());
    }
    let keep: Vec<BorrowedFd<'_>> = open.iter().map(AsFd::as_fd).collect();
    effort.note(remove_link(call, &label, &keep));
    if let Some(ipam) = ipam {
        effort.note(ipam.del(call));
    }
    effort.finish()
}

/// The addresses whose rules may be there: those leased now and those that the ADD reported.
fn addresses(call: &Del, ipam: Option<&Ipam>) -> Result<Vec<IpAddr>> {
    let mut addresses = ipam.map_or_else(|| Ok(Vec::new()), |ipam| ipam.held(call))?;
    let reported = call.config.prev_result.iter().flat_map(|result| &result.ips);
    addresses.extend(reported.map(|ip| ip.address.addr()));
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// By the host's end, which needs no namespace; what another plugin made is found in the container.
fn remove_link(call: &Del, label: &Label, keep: &[BorrowedFd<'_>]) -> Result<()> {
    let mut host = Rtnl::open()?;
    if let Some(found) = pair::find_marked(&mut host, label)? {
        return Ok(link::remove_early(&mut host, found.index, keep).map(drop)?);
    }
    let Some(netns) = call.netns.as_deref().and_then(living) else {
        return Ok(());
    };
    let mut container = Rtnl::open_in(&netns)?;
    match link::get(&mut container, LinkRef::Name(call.attachment.ifname.as_str()))? {
        Some(found) => Ok(link::remove_early(&mut container, found.index, keep).map(drop)?),
        None => Ok(()),
    }
}

/// A path that is missing, or whose mount is gone so that a plain file is left, is a namespace that is gone, and
/// with it everything in it.
fn living(netns: &Path) -> Option<NetNs> {
    NetNs::open(netns).ok()
}
