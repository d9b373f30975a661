//! The host's end of an attachment that another plugin made: the peer of the container's interface.

use crate::sockets::Sockets;
use kernel::link::{self, Link, LinkRef};
use kernel::rtnl::Rtnl;
use spec::error::{Error, Result};
use spec::request::Attachment;
use spec::result::Success;

/// Kind of a link that has another end.
const VETH: &str = "veth";

/// The host's end of the attachment, which has to be an interface of the result that is in no sandbox.
///
/// # Errors
/// Code 7 when the interface is no veth, as macvlan's and ipvlan's is none, or when its end on the host is not in
/// the result; code 999 when an end is gone.
pub fn find(sockets: &mut Sockets, attachment: &Attachment, result: &Success) -> Result<Link> {
    let ifname = attachment.ifname.as_str();
    let inside = link::get(&mut sockets.container, LinkRef::Name(ifname))?
        .ok_or_else(|| Error::internal(format!("interface {ifname} not found in the container")))?;
    if inside.kind.as_deref() != Some(VETH) {
        let kind = inside.kind.as_deref().unwrap_or("no kind");
        return Err(Error::invalid_config(format!(
            "interface {ifname} of the container is of kind {kind}, not veth: it has no end on the host"
        )));
    }
    let outside = peer(&mut sockets.host, &inside)?.ok_or_else(|| {
        Error::internal(format!("the other end of interface {ifname} of the container is not on the host"))
    })?;
    if !is_in(result, &outside) {
        return Err(Error::invalid_config(format!(
            "host interface {} of the container's {ifname} is not in prevResult: the plugin that made it has to come \
             before this one in the list",
            outside.name
        )));
    }
    Ok(outside)
}

/// The other end of a veth of the container, where that is on the host. An index alone is no proof: the peer may be
/// in a third namespace, and the host have a link of the same number.
///
/// # Errors
/// The kernel does not answer.
pub fn peer(host: &mut Rtnl, inside: &Link) -> Result<Option<Link>> {
    let Some(index) = inside.peer_index.filter(|_| inside.kind.as_deref() == Some(VETH)) else {
        return Ok(None);
    };
    let outside = link::get(host, LinkRef::Index(index))?;
    Ok(outside.filter(|link| link.kind.as_deref() == Some(VETH) && link.peer_index == Some(inside.index)))
}

/// Whether the result has this link as an interface on the host.
pub fn is_in(result: &Success, link: &Link) -> bool {
    result.interfaces.iter().any(|interface| interface.is_on_host() && interface.name == link.name)
}
