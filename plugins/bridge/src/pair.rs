//! The veth pair: one end a port of the bridge, the other born in the container's namespace under its final
//! name.

use crate::bridge::PORTS_MAX;
use crate::config::Plan;
use crate::vlan::Vlans;
use kernel::error::Errno;
use kernel::link::veth::Veth;
use kernel::link::{self, Link, LinkRef, Mac};
use kernel::rtnl::Rtnl;
use kernel::sysctl;
use spec::error::{Error, Result};
use spec::names::IfName;
use spec::request::Attachment;
use steps::label::Label;
use steps::sockets::Sockets;

/// Names tried for the host's end before giving up: a name is taken only by a stranger's link.
const NAME_ATTEMPTS: u32 = 10;

/// A pair just made: to be tracked for undo before anything else is done with it.
#[derive(Debug)]
pub(crate) struct Pair {
    /// Name of the host's end.
    pub(crate) host_name: String,
    /// MAC of the container's end.
    pub(crate) mac: Mac,
    /// Index of the container's end, where the kernel told it with the answer.
    told: Option<u32>,
}

impl Pair {
    /// What takes the pair back when the ADD fails.
    pub(crate) fn removal(&self, label: &Label) -> impl FnOnce() -> Result<()> + use<> {
        let (name, label) = (self.host_name.clone(), label.clone());
        move || remove_marked(&mut Rtnl::open()?, &name, &label).map(drop)
    }

    /// Sets the port up as wished, and gives the index of the container's end in the container's namespace.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn complete(&self, sockets: &mut Sockets, plan: &Plan, ifname: &IfName) -> Result<u32> {
        sysctl::overwrite_if_possible(&format!("net/ipv6/conf/{}/accept_ra", self.host_name), "0")?;
        configure_port(&mut sockets.host, plan, &self.host_name)?;
        if let Some(index) = self.told {
            return Ok(index);
        }
        let link = link::get(&mut sockets.container, LinkRef::Name(ifname.as_str()))?;
        Ok(link.ok_or_else(|| vanished(ifname.as_str()))?.index)
    }
}

/// Makes the pair and marks the host's end with the attachment's label.
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
    for attempt in 0..NAME_ATTEMPTS {
        let host_name = label.host_ifname(attempt);
        if !free_name(&mut sockets.host, &host_name, label)? {
            continue;
        }
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
            Ok(told) => return Ok(Pair { host_name, mac, told }),
            Err(error) if error.errno() == Errno::EXIST => refuse_taken(sockets, attachment)?,
            Err(error) if error.errno() == Errno::XFULL => return Err(full(bridge)),
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::internal(format!(
        "no free name for the host's end of {} in {NAME_ATTEMPTS} attempts",
        attachment.ifname
    )))
}

/// Whether this name can be used for the host's end. What a killed ADD of this attachment left under it goes
/// now; a stranger's link stays. Asked before the pair is made, because the mark goes with it by name.
fn free_name(host: &mut Rtnl, name: &str, label: &Label) -> Result<bool> {
    match link::get(host, LinkRef::Name(name))? {
        None => Ok(true),
        Some(link) if is_marked(&link, label) => {
            link::remove(host, LinkRef::Index(link.index))?;
            Ok(true)
        }
        Some(_) => Ok(false),
    }
}

/// A name was taken between the look and the creation. In the container that is the caller's mistake; on the
/// host the next name is tried.
fn refuse_taken(sockets: &mut Sockets, attachment: &Attachment) -> Result<()> {
    match steps::apply::has_interface(sockets, &attachment.ifname)? {
        true => Err(taken(attachment)),
        false => Ok(()),
    }
}

fn is_marked(link: &Link, label: &Label) -> bool {
    link.alias.as_deref().is_some_and(|alias| label.marks(alias))
}

/// Port flags and VLANs; nothing is sent for a plain port.
fn configure_port(host: &mut Rtnl, plan: &Plan, name: &str) -> Result<()> {
    let wish = &plan.port;
    if !wish.hairpin && !wish.isolated && wish.vlans.is_none() {
        return Ok(());
    }
    let port = link::get(host, LinkRef::Name(name))?.ok_or_else(|| vanished(name))?;
    if wish.hairpin || wish.isolated {
        host.request(link::bridge::port_flags(port.index, wish.hairpin, wish.isolated))?;
    }
    wish.vlans.as_ref().map_or(Ok(()), |vlans: &Vlans| vlans.apply(host, port.index))
}

fn vanished(name: &str) -> Error {
    Error::try_again(format!("set up interface {name}: somebody removed it while it was being made"))
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

/// Removes the host's end of this name when it carries the mark, and with it the container's end.
fn remove_marked(host: &mut Rtnl, name: &str, label: &Label) -> Result<bool> {
    match link::get(host, LinkRef::Name(name))? {
        Some(link) if is_marked(&link, label) => Ok(link::remove(host, LinkRef::Index(link.index))?),
        _ => Ok(false),
    }
}
