//! How a pair is found again and removed: by its name and mark, and what the reference plugins made, from the
//! container.

use super::{NAME_ATTEMPTS, is_marked};
use crate::best_effort::BestEffort;
use crate::host_end;
use crate::label::{self, Label};
use crate::sockets::open_living;
use crate::stale::Stale;
use kernel::addr;
use kernel::link::{self, Link, LinkRef};
use kernel::rtnl::Rtnl;
use spec::error::Result;
use spec::request::Del;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;

/// Removes the pair by the host's end, which needs no namespace; what the reference plugin made, and what somebody
/// renamed or moved, is found from the container. Such a one has either an address that is `leased` to the
/// attachment, or a host's end of the reference's form whose master (the name, if any) is one that
/// `has_its_master` knows.
///
/// Returns when the link is gone; see [`link::remove_early`] about `keep`.
///
/// # Errors
/// The kernel refuses.
pub fn remove(
    call: &Del,
    label: &Label,
    keep: &[BorrowedFd<'_>],
    has_its_master: impl FnOnce(Option<&str>) -> bool,
    leased: impl FnOnce() -> Result<Option<Vec<IpAddr>>>,
) -> Result<()> {
    let mut host = Rtnl::open()?;
    if let Some(found) = find_marked(&mut host, label)? {
        return Ok(link::remove_early(&mut host, found.index, keep).map(drop)?);
    }
    let Some(netns) = call.netns.as_deref().map(open_living).transpose()?.flatten() else {
        return Ok(());
    };
    let mut container = Rtnl::open_in(&netns)?;
    let Some(found) = link::get(&mut container, LinkRef::Name(call.attachment.ifname.as_str()))? else {
        return Ok(());
    };
    let outside = host_end::peer(&mut host, &found)?;
    let ours = !outside.as_ref().is_some_and(|outside| is_anothers(outside, label))
        && (may_be_of_plugin(&mut host, label, has_its_master, outside)?
            || has_any(&mut container, &found, &leased()?.unwrap_or_default())?);
    if !ours {
        eprintln!(
            "left alone: interface {} of container {} is no attachment to network {}",
            found.name, call.attachment.container, call.config.name
        );
        return Ok(());
    }
    Ok(link::remove_early(&mut container, found.index, keep).map(drop)?)
}

/// Removes the pairs of the network's attachments that are not valid any more.
///
/// # Errors
/// All that the kernel refused, after the others were removed.
pub fn remove_stale(stale: &Stale<'_>) -> Result<()> {
    let mut host = Rtnl::open()?;
    let mut effort = BestEffort::new();
    for link in link::list(&mut host)? {
        if link.alias.as_deref().is_some_and(|alias| stale.is(alias)) {
            effort.note(link::remove(&mut host, LinkRef::Index(link.index)).map_err(Into::into));
        }
    }
    effort.finish()
}

/// Removes the host's end of this name when it carries the mark, and with it the container's end.
pub(super) fn remove_marked(host: &mut Rtnl, name: &str, label: &Label) -> Result<bool> {
    match link::get(host, LinkRef::Name(name))? {
        Some(link) if is_marked(&link, label) => Ok(link::remove(host, LinkRef::Index(link.index))?),
        _ => Ok(false),
    }
}

/// Finds the host's end by name and mark; needs neither namespace nor result.
///
/// # Errors
/// The kernel does not answer.
pub fn find_marked(host: &mut Rtnl, label: &Label) -> Result<Option<Link>> {
    for attempt in 0..NAME_ATTEMPTS {
        match link::get(host, LinkRef::Name(&label.host_ifname(attempt)))? {
            Some(link) if is_marked(&link, label) => {
                return Ok(Some(link));
            }
            Some(_) => {}
            // A stranger's link at an earlier name may be gone by now, but one attempt is the rule.
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// Whether the host's end says that it is of another attachment: no address proves more than that.
fn is_anothers(outside: &Link, label: &Label) -> bool {
    outside.alias.as_deref().is_some_and(|alias| label::is_mark(alias) && !label.marks(alias))
}

/// Whether the container's interface is one that a plugin of this type made for this attachment: ours by its
/// name or mark, or the reference's, which leaves no mark but a name of its form and its place. Another network's
/// interface of the same name, and one made by hand, are not.
fn may_be_of_plugin(
    host: &mut Rtnl,
    label: &Label,
    has_its_master: impl FnOnce(Option<&str>) -> bool,
    outside: Option<Link>,
) -> Result<bool> {
    let Some(outside) = outside else { return Ok(false) };
    if let Some(alias) = &outside.alias {
        return Ok(label.marks(alias));
    }
    let master = match outside.master {
        Some(master) => link::get(host, LinkRef::Index(master))?.map(|master| master.name),
        None => None,
    };
    let in_place = has_its_master(master.as_deref());
    Ok(outside.name == label.host_ifname(0) || is_reference_name(&outside.name) && in_place)
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
