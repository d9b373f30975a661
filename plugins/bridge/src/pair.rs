//! The veth pair: one end a port of the bridge, the other born in the container's namespace under its final name.

use crate::bridge::PORTS_MAX;
use crate::config::Plan;
use crate::vlan::Vlans;
use kernel::error::Errno;
use kernel::link::veth::Veth;
use kernel::link::{self, Link, LinkRef, Mac};
use kernel::rtnl::Rtnl;
use kernel::sysctl;
use spec::error::{Error, Result};
use spec::request::Attachment;
use steps::label::Label;
use steps::sockets::Sockets;

/// Names tried for the host's end before giving up: a name is taken only by a stranger's link.
const NAME_ATTEMPTS: u32 = 10;

/// A pair just made.
#[derive(Debug)]
pub(crate) struct Pair {
    /// Name of the host's end.
    pub host_name: String,
    /// Index of the container's end in the container's namespace.
    pub container: u32,
    /// MAC of the container's end.
    pub mac: Mac,
}

impl Pair {
    /// What takes the pair back when the ADD fails.
    pub(crate) fn removal(&self, label: &Label) -> impl FnOnce() -> Result<()> + use<> {
        let (name, label) = (self.host_name.clone(), label.clone());
        move || remove_marked(&mut Rtnl::open()?, &name, &label).map(drop)
    }
}

/// Makes the pair, marks the host's end with the attachment's label, and sets the port up as wished.
///
/// # Errors
/// The bridge is full, or the kernel refuses.
pub(crate) fn create(
    sockets: &mut Sockets,
    plan: &Plan,
    bridge: &Link,
    label: &Label,
    attachment: &Attachment,
) -> Result<Pair> {
    let mac = plan.container.mac.map_or_else(Mac::random, Ok)?;
    let (host_name, told) = create_links(sockets, plan, bridge, label, attachment, mac)?;
    sysctl::overwrite_if_present(&format!("net/ipv6/conf/{host_name}/accept_ra"), "0")?;
    let container = match told {
        Some(index) => index,
        None => look_up(&mut sockets.container, attachment.ifname.as_str())?,
    };
    Ok(Pair { host_name, container, mac })
}

fn look_up(container: &mut Rtnl, ifname: &str) -> Result<u32> {
    let link = link::get(container, LinkRef::Name(ifname))?;
    let link =
        link.ok_or_else(|| Error::internal(format!("interface {ifname} vanished while it was being made")))?;
    Ok(link.index)
}

/// Port flags and VLANs; nothing is sent for a plain port.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn configure_port(host: &mut Rtnl, plan: &Plan, name: &str) -> Result<()> {
    let wish = &plan.port;
    if !wish.hairpin && !wish.isolated && wish.vlans.is_none() {
        return Ok(());
    }
    let port = link::get(host, LinkRef::Name(name))?
        .ok_or_else(|| Error::internal(format!("port {name} vanished")))?;
    if wish.hairpin || wish.isolated {
        host.request(link::bridge::port_flags(port.index, wish.hairpin, wish.isolated))?;
    }
    wish.vlans.as_ref().map_or(Ok(()), |vlans: &Vlans| vlans.apply(host, port.index))
}

fn create_links(
    sockets: &mut Sockets,
    plan: &Plan,
    bridge: &Link,
    label: &Label,
    attachment: &Attachment,
    mac: Mac,
) -> Result<(String, Option<u32>)> {
    for attempt in 0..NAME_ATTEMPTS {
        let host_name = label.host_ifname(attempt);
        let veth = Veth {
            host_name: &host_name,
            host_mac: Mac::random()?,
            mtu: plan.container.mtu,
            master: Some(bridge.index),
            container_name: attachment.ifname.as_str(),
            container_mac: mac,
            netns: &sockets.netns,
        };
        match veth.create_marked(&mut sockets.host, &label.alias()) {
            Ok(told) => return Ok((host_name, told)),
            Err(error) if error.errno() == Errno::EXIST => free_name(sockets, &host_name, label, attachment)?,
            Err(error) if error.errno() == Errno::XFULL => return Err(full(bridge)),
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::internal(format!(
        "no free name for the host's end of {} in {NAME_ATTEMPTS} attempts",
        attachment.ifname
    )))
}

/// A name was taken. In the container that is the caller's mistake. On the host it is either what a killed ADD
/// of this attachment left, which goes now, or a stranger's, which stays: the next name is tried.
fn free_name(sockets: &mut Sockets, host_name: &str, label: &Label, attachment: &Attachment) -> Result<()> {
    if steps::apply::has_interface(sockets, &attachment.ifname)? {
        return Err(taken(attachment));
    }
    remove_marked(&mut sockets.host, host_name, label).map(drop)
}

/// The error for an interface name that the container has already.
pub(crate) fn taken(attachment: &Attachment) -> Error {
    Error::internal(format!(
        "create interface {} for container {}: the container already has an interface of that name; DEL it first",
        attachment.ifname, attachment.container
    ))
}

fn full(bridge: &Link) -> Error {
    Error::try_again(format!(
        "add a port to bridge {}: it has {PORTS_MAX} ports, the most that the kernel allows; \
         delete containers or put new ones on another bridge",
        bridge.name
    ))
}

/// Finds the host's end by name and mark.
///
/// # Errors
/// The kernel does not answer.
pub(crate) fn find_marked(host: &mut Rtnl, label: &Label) -> Result<Option<Link>> {
    for attempt in 0..NAME_ATTEMPTS {
        match link::get(host, LinkRef::Name(&label.host_ifname(attempt)))? {
            Some(link) if link.alias.as_deref().is_some_and(|alias| label.marks(alias)) => {
                return Ok(Some(link));
            }
            Some(_) => {}
            // A stranger's link at an earlier name may be gone by now, but one attempt is the rule.
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// Removes the host's end of this name when it carries the mark, and with it the container's end.
fn remove_marked(host: &mut Rtnl, name: &str, label: &Label) -> Result<bool> {
    match link::get(host, LinkRef::Name(name))? {
        Some(link) if link.alias.as_deref().is_some_and(|alias| label.marks(alias)) => {
            Ok(link::remove(host, LinkRef::Index(link.index))?)
        }
        _ => Ok(false),
    }
}
