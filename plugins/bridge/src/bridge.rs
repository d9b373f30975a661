//! The bridge itself: created when missing, brought to the wished state by difference, never removed.
//!
//! Many ADDs may do this at once: creation is one exclusive request that carries name, MAC, MTU and "up", so
//! a bridge is never seen half-made, and whoever loses the race finds the winner's.

use crate::config::BridgeWish;
use kernel::error::Errno;
use kernel::link::bridge::Bridge;
use kernel::link::{self, Link, LinkRef, Mac};
use kernel::rtnl::Rtnl;
use kernel::sysctl;
use spec::error::{Error, Result};
use steps::label::hash_prefix;

/// Ports that the kernel gives one bridge (`BR_MAX_PORTS` less the reserved number 0).
pub(crate) const PORTS_MAX: usize = 1023;
/// Identifies the host; systemd and D-Bus keep it.
const MACHINE_ID: &str = "/etc/machine-id";

/// The bridge, there and as wished.
///
/// # Errors
/// The name belongs to a link of another kind, or the kernel refuses.
pub(crate) fn ensure(host: &mut Rtnl, wish: &BridgeWish) -> Result<Link> {
    let name = wish.name.as_str();
    let found = match find(host, name)? {
        Some(bridge) => bridge,
        None => create(host, wish)?,
    };
    sysctl::set_if_possible(&format!("net/ipv6/conf/{name}/accept_ra"), "0")?;
    adjust(host, wish, &found)?;
    Ok(found)
}

/// The bridge of this name, if it exists.
///
/// # Errors
/// The name belongs to a link of another kind.
pub(crate) fn find(host: &mut Rtnl, name: &str) -> Result<Option<Link>> {
    let found = link::get(host, LinkRef::Name(name))?;
    match &found {
        Some(link) if link.kind.as_deref() != Some("bridge") => {
            Err(Error::internal(format!("{name:?} already exists but is not a bridge")))
        }
        _ => Ok(found),
    }
}

/// Makes the bridge, or finds that another ADD just did.
fn create(host: &mut Rtnl, wish: &BridgeWish) -> Result<Link> {
    let name = wish.name.as_str();
    let bridge = Bridge {
        name,
        mac: stable_mac(name)?,
        mtu: wish.mtu,
        vlan_filtering: wish.vlan_filtering,
        promisc: wish.promisc,
    };
    kernel::error::forgive_existing(host.request(bridge.create())).map_err(|error| no_vlans(wish, error))?;
    find(host, name)?
        .ok_or_else(|| Error::try_again(format!("bridge {name} vanished while it was being made")))
}

/// The kernel only says "not supported", whatever it is that it does not support.
fn no_vlans(wish: &BridgeWish, error: kernel::error::Error) -> Error {
    let vlans_are_new_to_it = wish.vlan_filtering && error.errno() == Errno::OPNOTSUPP;
    let error = Error::from(error);
    if !vlans_are_new_to_it {
        return error;
    }
    error.with_details("this kernel may lack VLAN filtering of bridges (CONFIG_BRIDGE_VLAN_FILTERING); vlan and vlanTrunk need it")
}

fn adjust(host: &mut Rtnl, wish: &BridgeWish, found: &Link) -> Result<()> {
    if !found.up {
        host.request(link::set_up(found.index))?;
    }
    if wish.promisc && !found.promisc {
        host.request(link::set_promisc(found.index, true))?;
    }
    if wish.vlan_filtering && found.vlan_filtering == Some(false) {
        host.request(link::bridge::set_vlan_filtering(found.index))?;
    }
    Ok(())
}

/// A locally administered MAC that stays the same on this host over reboots and differs between hosts, so
/// that neighbours' caches stay right and two hosts on one wire do not clash. Random where the host has no
/// identity.
fn stable_mac(name: &str) -> Result<Mac> {
    let identity = std::fs::read_to_string(MACHINE_ID).unwrap_or_default();
    if identity.trim().is_empty() {
        return Ok(Mac::random()?);
    }
    let hash = hash_prefix(&format!("{}/{name}", identity.trim()), 5);
    let text =
        format!("02{}", (0..10).step_by(2).map(|at| format!(":{}", &hash[at..at + 2])).collect::<String>());
    text.parse().map_err(|_| Error::internal(format!("make a MAC for bridge {name} of {text:?}")))
}
