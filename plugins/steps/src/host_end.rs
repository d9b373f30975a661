//! The host's end of an attachment that a plugin earlier in the list made.

use crate::sockets::Sockets;
use kernel::link::{self, Link, LinkRef};
use spec::error::{Error, Result};
use spec::request::Attachment;
use spec::result::Success;

/// The other end of the container's interface: a link of this namespace that points back at it, and that
/// `prevResult` reports as one on the host.
///
/// # Errors
/// Why there is none: the container has no such interface, its kind has no other end (macvlan, ipvlan), or the
/// end is somewhere else.
pub fn find(sockets: &mut Sockets, attachment: &Attachment, result: &Success) -> Result<Link> {
    let ifname = attachment.ifname.as_str();
    let none = |why: &str| {
        Error::internal(format!(
            "find the host's end of {ifname} of container {}: {why}",
            attachment.container
        ))
    };
    let inside = link::get(&mut sockets.container, LinkRef::Name(ifname))?
        .ok_or_else(|| none("the container has no interface of that name"))?;
    let index = inside.peer_index.ok_or_else(|| none("the interface has no other end"))?;
    let outside = link::get(&mut sockets.host, LinkRef::Index(index))?
        .filter(|outside| outside.peer_index == Some(inside.index))
        .ok_or_else(|| none("its other end is not a link of the host that leads back to it"))?;
    let reported = |name: &str| {
        let mut on_host = result.interfaces.iter().filter(|interface| interface.sandbox.is_none());
        on_host.any(|interface| interface.name == name)
    };
    if !reported(&outside.name) {
        return Err(none(&format!(
            "prevResult does not report {} as an interface on the host",
            outside.name
        )));
    }
    Ok(outside)
}
