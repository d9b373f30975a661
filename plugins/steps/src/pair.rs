//! A veth pair: one end on the host, marked as the attachment's, the other born in the container's namespace under
//! its final name.

mod removal;

pub use removal::{find_marked, remove, remove_stale};

use crate::host_end;
use crate::label::Label;
use crate::sockets::Sockets;
use kernel::error::Errno;
use kernel::link::veth::Veth;
use kernel::link::{self, Link, LinkRef, Mac};
use kernel::rtnl::Rtnl;
use kernel::sysctl;
use spec::error::{Error, Result};
use spec::names::IfName;
use spec::request::{Add, Attachment};
use spec::result::Interface;

/// Names tried for the host's end before giving up: a name is taken only by a stranger's link.
const NAME_ATTEMPTS: u32 = 10;
/// Smallest MTU with which IPv4 works (RFC 791), and the kernel's least for a veth.
const MTU_MIN: i64 = 68;
/// Largest MTU that the kernel gives a veth.
const MTU_MAX: i64 = 65535;

/// Reads the key `mtu`; 0 leaves it to the kernel.
///
/// # Errors
/// Code 7 for one that no veth can have.
pub fn mtu(mtu: i64) -> Result<Option<u32>> {
    match u32::try_from(mtu) {
        Ok(0) => Ok(None),
        Ok(value) if (MTU_MIN..=MTU_MAX).contains(&mtu) => Ok(Some(value)),
        _ => Err(Error::invalid_config(format!("invalid MTU {mtu}, must be 0 or in [{MTU_MIN}, {MTU_MAX}]"))),
    }
}

/// What a pair is to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// MAC of the container's end; a random one for `None`.
    pub mac: Option<Mac>,
    /// MTU in bytes of both ends; the kernel's default for `None`.
    pub mtu: Option<u32>,
    /// Index of the bridge that the host's end becomes a port of.
    pub master: Option<u32>,
}

/// A pair just made: to be tracked for undo before anything else is done with it.
#[derive(Debug)]
pub struct Pair {
    /// Name of the host's end.
    pub host_name: String,
    /// MAC of the container's end.
    pub mac: Mac,
    /// Index of the container's end, where the kernel told it with the answer.
    told: Option<u32>,
}

impl Pair {
    /// Makes the pair and marks the host's end with the attachment's label. `refused` words what the kernel
    /// refused.
    ///
    /// # Errors
    /// The container has an interface of the name, or the kernel refuses.
    pub fn create(
        sockets: &mut Sockets,
        wish: &Wish,
        label: &Label,
        attachment: &Attachment,
        refused: impl Fn(kernel::Error) -> Error,
    ) -> Result<Pair> {
        let mac = wish.mac.map_or_else(Mac::random, Ok)?;
        for attempt in 0..NAME_ATTEMPTS {
            let host_name = label.host_ifname(attempt);
            if !free_name(&mut sockets.host, &host_name, label)? {
                continue;
            }
            let veth = Veth {
                host_name: &host_name,
                host_mac: Mac::random()?,
                mtu: wish.mtu,
                master: wish.master,
                container_name: attachment.ifname.as_str(),
                container_mac: mac,
                netns: &sockets.netns,
            };
            match veth.create_marked(&mut sockets.host, &label.alias()) {
                Ok(told) => return Ok(Pair { host_name, mac, told }),
                Err(error) if error.errno() == Errno::EXIST => refuse_taken(sockets, attachment)?,
                Err(error) => return Err(refused(error)),
            }
        }
        Err(Error::internal(format!(
            "no free name for the host's end of {} in {NAME_ATTEMPTS} attempts",
            attachment.ifname
        )))
    }

    /// What takes the pair back when the ADD fails.
    pub fn removal(&self, label: &Label) -> impl FnOnce() -> Result<()> + use<> {
        let (name, label) = (self.host_name.clone(), label.clone());
        move || removal::remove_marked(&mut Rtnl::open()?, &name, &label).map(drop)
    }

    /// The host's end takes no routes from what a container advertises.
    ///
    /// # Errors
    /// The kernel does not take the setting.
    pub fn refuse_advertisements(&self) -> Result<()> {
        Ok(sysctl::overwrite_if_possible(&format!("net/ipv6/conf/{}/accept_ra", self.host_name), "0")?)
    }

    /// The index of the container's end in the container's namespace.
    ///
    /// # Errors
    /// It is gone.
    pub fn index(&self, sockets: &mut Sockets, ifname: &IfName) -> Result<u32> {
        if let Some(index) = self.told {
            return Ok(index);
        }
        let link = link::get(&mut sockets.container, LinkRef::Name(ifname.as_str()))?;
        Ok(link.ok_or_else(|| vanished(ifname.as_str()))?.index)
    }

    /// The container's end as a result tells it.
    pub fn inside(&self, call: &Add, mtu: u32) -> Interface {
        Interface {
            name: call.attachment.ifname.to_string(),
            mac: Some(self.mac.to_string()),
            mtu: Some(mtu),
            sandbox: Some(call.netns.display().to_string()),
            ..Interface::default()
        }
    }
}

/// A link of the host as a result tells it.
pub fn on_the_host(link: &Link) -> Interface {
    Interface {
        name: link.name.clone(),
        mac: link.mac.map(|mac| mac.to_string()),
        mtu: Some(link.mtu),
        ..Interface::default()
    }
}

/// The host's end of the container's interface.
///
/// # Errors
/// It is not on the host.
pub fn other_end(host: &mut Rtnl, inside: &Link) -> Result<Link> {
    let outside = host_end::peer(host, inside)?;
    outside.ok_or_else(|| Error::internal(format!("host end of {} not found", inside.name)))
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
    match crate::apply::has_interface(sockets, &attachment.ifname)? {
        true => Err(taken(attachment)),
        false => Ok(()),
    }
}

fn is_marked(link: &Link, label: &Label) -> bool {
    label.is_on(link.alias.as_deref())
}

/// The error for an interface that somebody removed while it was being made.
pub fn vanished(name: &str) -> Error {
    Error::try_again(format!("set up interface {name}: somebody removed it while it was being made"))
}

/// The error for an interface name that the container has already.
pub fn taken(attachment: &Attachment) -> Error {
    Error::internal(format!(
        "create interface {} for container {}: the container already has an interface of that name; DEL it first",
        attachment.ifname, attachment.container
    ))
}
