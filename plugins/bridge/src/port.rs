//! The port that an attachment becomes: the host's end of its pair, on the bridge.

use crate::bridge::PORTS_MAX;
use crate::config::Plan;
use crate::vlan::Vlans;
use kernel::error::Errno;
use kernel::link::{self, Link, LinkRef};
use kernel::rtnl::Rtnl;
use spec::error::{Error, Result};
use spec::request::Attachment;
use steps::label::Label;
use steps::pair::{Pair, Wish, vanished};
use steps::sockets::Sockets;

/// Makes the pair, its host's end a port of the bridge.
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
    let wish = Wish { mac: plan.container.mac, mtu: plan.container.mtu, master: Some(bridge.index) };
    Pair::create(sockets, &wish, label, attachment, |error| match error.errno() {
        Errno::XFULL => full(bridge),
        _ => error.into(),
    })
}

/// Port flags and VLANs; nothing is sent for a plain port.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn configure(host: &mut Rtnl, plan: &Plan, name: &str) -> Result<()> {
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

fn full(bridge: &Link) -> Error {
    Error::try_again(format!(
        "add a port to bridge {}: it has {PORTS_MAX} ports, the most that the kernel allows; \
         delete containers or put new ones on another bridge",
        bridge.name
    ))
}
