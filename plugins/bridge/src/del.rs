//! DEL: rules, link, lease, in this order.
//!
//! The lease goes last, and only when the link is gone: while it stands nobody else can have the address, so
//! a rule for that address is this attachment's own, and no link with the address meets another. The
//! namespace and `prevResult` are welcome but not needed.

use crate::config::Removal;
use crate::pair;
use kernel::addr;
use kernel::link::{self, Link, LinkRef};
use kernel::rtnl::Rtnl;
use spec::error::Result;
use spec::request::Del;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use steps::best_effort::BestEffort;
use steps::label::Label;
use steps::lease::Ipam;
use steps::sockets::open_living;
use steps::{masquerade, spoof};

pub(crate) fn del(call: &Del) -> Result<()> {
    let label = Label::new(&call.config, &call.attachment);
    let mut effort = BestEffort::new();
    let removal = effort.note(call.config.own::<Removal>());
    let ipam = call.config.ipam.as_ref().and_then(|plugin| effort.note(Ipam::find(plugin, &call.caller)));
    // The netfilter sockets stay open until the link is gone: closing one after a delete waits for the
    // kernel.
    let mut open = Vec::new();
    if removal.as_ref().is_some_and(|removal| removal.ip_masq) {
        let known = effort.note(addresses(call, ipam.as_ref())).flatten();
        open.extend(effort.note(masquerade::remove(&label, known.as_deref())).flatten());
    }
    if removal.as_ref().is_some_and(|removal| removal.macspoofchk) {
        open.extend(effort.note(spoof::remove(&label, &call.attachment)).flatten());
    }
    let keep: Vec<BorrowedFd<'_>> = open.iter().map(AsFd::as_fd).collect();
    let bridge = removal.as_ref().map_or("", |removal| &removal.bridge);
    let leased = || addresses(call, ipam.as_ref());
    let gone = effort.note(remove_link(call, &label, bridge, &keep, leased)).is_some();
    if let Some(ipam) = ipam.filter(|_| gone) {
        effort.note(ipam.del(call));
    }
    effort.finish()
}

/// The addresses whose rules may be there: those leased now and those that the ADD reported. `None` when
/// nobody can say: a foreign IPAM plugin is not asked, and a runtime that lost its cache, or whose ADD
/// failed, has no result.
fn addresses(call: &Del, ipam: Option<&Ipam>) -> Result<Option<Vec<IpAddr>>> {
    let reported = call.config.prev_result.as_ref();
    let leased = ipam.map(|ipam| ipam.held(call)).transpose()?.flatten();
    if reported.is_none() && leased.is_none() {
        return Ok(None);
    }
    let reported = reported.into_iter().flat_map(|result| &result.ips).map(|ip| ip.address.addr());
    let addresses: BTreeSet<IpAddr> = leased.into_iter().flatten().chain(reported).collect();
    Ok(Some(addresses.into_iter().collect()))
}

/// By the host's end, which needs no namespace; what the reference bridge made, and what somebody renamed or
/// moved, is found from the container.
fn remove_link(
    call: &Del,
    label: &Label,
    bridge: &str,
    keep: &[BorrowedFd<'_>],
    leased: impl FnOnce() -> Result<Option<Vec<IpAddr>>>,
) -> Result<()> {
    let mut host = Rtnl::open()?;
    if let Some(found) = pair::find_marked(&mut host, label)? {
        return Ok(link::remove_early(&mut host, found.index, keep).map(drop)?);
    }
    let Some(netns) = call.netns.as_deref().map(open_living).transpose()?.flatten() else {
        return Ok(());
    };
    let mut container = Rtnl::open_in(&netns)?;
    let Some(found) = link::get(&mut container, LinkRef::Name(call.attachment.ifname.as_str()))? else {
        return Ok(());
    };
    let ours = may_be_of_bridge(&mut host, label, bridge, &found)?
        || has_any(&mut container, &found, &leased()?.unwrap_or_default())?;
    if !ours {
        eprintln!(
            "left alone: interface {} of container {} is no attachment to network {}",
            found.name, call.attachment.container, call.config.name
        );
        return Ok(());
    }
    Ok(link::remove_early(&mut container, found.index, keep).map(drop)?)
}

/// Whether the container's interface is one that a bridge plugin made for this attachment: ours by its name
/// or mark, or the reference's, which leaves no mark but a name of its form and a port of this bridge.
/// Another network's interface of the same name, and one made by hand, are not.
fn may_be_of_bridge(host: &mut Rtnl, label: &Label, bridge: &str, inside: &Link) -> Result<bool> {
    if inside.kind.as_deref() != Some("veth") {
        return Ok(false);
    }
    let outside =
        inside.peer_index.map(|index| link::get(host, LinkRef::Index(index))).transpose()?.flatten();
    let Some(outside) = outside.filter(|outside| outside.peer_index == Some(inside.index)) else {
        // The host's end is not in this namespace.
        return Ok(false);
    };
    if let Some(alias) = &outside.alias {
        return Ok(label.marks(alias));
    }
    let master = match outside.master {
        Some(master) => link::get(host, LinkRef::Index(master))?.map(|master| master.name),
        None => None,
    };
    let of_this_bridge = master.is_none_or(|master| master == bridge);
    Ok(outside.name == label.host_ifname(0) || is_reference_name(&outside.name) && of_this_bridge)
}

/// Whether the interface has an address that is leased to the attachment: then it is the attachment's,
/// wherever its other end went.
fn has_any(container: &mut Rtnl, inside: &Link, leased: &[IpAddr]) -> Result<bool> {
    if leased.is_empty() {
        return Ok(false);
    }
    let found = addr::list(container, inside.index)?;
    Ok(found.iter().any(|address| leased.contains(&address.net.addr())))
}

/// `veth` and eight hexadecimal digits.
fn is_reference_name(name: &str) -> bool {
    let digits = name.strip_prefix("veth").unwrap_or_default();
    digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::is_reference_name;

    #[test]
    fn only_names_of_the_reference_s_form_can_be_its_own() {
        assert!(is_reference_name("veth0a1b2c3d"));
        for other in ["veth0a1b2c3", "veth0a1b2c3dd", "vethlongname", "eth0", "my-veth"] {
            assert!(!is_reference_name(other), "{other}");
        }
    }
}
