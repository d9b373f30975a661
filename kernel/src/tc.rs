//! Traffic control: the queueing disciplines (qdiscs) of a link, and the filters at its door.

mod attrs;
pub mod fq_codel;
pub mod redirect;
pub mod tbf;

use crate::error::{Error, Result};
use crate::netlink::{ACK, ECHO, REQUEST, attribute, text, u32_at};
use crate::rtnl::{Request, Rtnl};
use attrs::{
    HANDLE_INGRESS, INGRESS_QDISC, RTM_DELQDISC, RTM_GETQDISC, TC_H_ROOT, TCA_KIND, TCA_OPTIONS, message,
};
use rustix::io::Errno;
use tbf::Tbf;

/// Bytes of `tcmsg`.
const BODY: usize = 20;

/// The two places of a link where a qdisc can stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// What leaves by the link.
    Root,
    /// What arrives.
    Ingress,
}

/// A qdisc as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qdisc {
    /// `tbf`, `noqueue`, `ingress`, …
    pub kind: String,
    /// Its number, major in the upper half: `1:` is 0x10000. A qdisc that the kernel put there by itself has 0.
    pub handle: u32,
    /// What it does, where it is a token bucket filter.
    pub tbf: Option<Tbf>,
}

/// Looks up the qdisc in one place of a link. `None` when there is none.
///
/// # Errors
/// Whatever else the kernel says: `ENODEV` when the link is gone.
pub fn get(rtnl: &mut Rtnl, index: u32, place: Place) -> Result<Option<Qdisc>> {
    none_is_fine(rtnl.query(lookup(index, place), parse))
}

/// Forgives ENOENT, EINVAL (there is a qdisc of another kind), and an answer that shows nothing, as of what the
/// kernel put there itself: nobody has set a qdisc, or somebody has taken it away.
fn none_is_fine<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(Error { errno: Errno::NOENT | Errno::INVAL | Errno::NODATA, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes the qdisc in one place of a link, with everything below it; fine when there is none. At
/// [`Place::Ingress`] only a qdisc of kind `ingress` goes, not a `clsact`.
///
/// # Errors
/// Whatever else the kernel says.
pub fn remove(rtnl: &mut Rtnl, index: u32, place: Place) -> Result<bool> {
    Ok(none_is_fine(rtnl.request(removal(index, place)))?.is_some())
}

/// `tc qdisc show dev IF root` (or `ingress`), of this one rather than of all. The kernel answers by a notification
/// of the qdisc, which has to be asked for (ECHO), and by nothing where it has nothing to show (hence ACK).
fn lookup(index: u32, place: Place) -> Request {
    let message = message(RTM_GETQDISC, REQUEST | ACK | ECHO, index, 0, parent(place), 0);
    Request::new("look up qdisc", object(index, place), message)
}

/// `tc qdisc del dev IF root` (or `ingress`)
fn removal(index: u32, place: Place) -> Request {
    let message = match place {
        Place::Root => message(RTM_DELQDISC, REQUEST | ACK, index, 0, TC_H_ROOT, 0),
        Place::Ingress => message(RTM_DELQDISC, REQUEST | ACK, index, HANDLE_INGRESS, attrs::TC_H_INGRESS, 0)
            .attr_str(TCA_KIND, INGRESS_QDISC),
    };
    Request::new("remove qdisc", object(index, place), message)
}

fn parent(place: Place) -> u32 {
    match place {
        Place::Root => TC_H_ROOT,
        Place::Ingress => attrs::TC_H_INGRESS,
    }
}

fn object(index: u32, place: Place) -> String {
    match place {
        Place::Root => format!("root of link {index}"),
        Place::Ingress => format!("ingress of link {index}"),
    }
}

fn parse(payload: &[u8]) -> Option<Qdisc> {
    let attributes = payload.get(BODY..)?;
    let kind = attribute(attributes, TCA_KIND).map(text)?;
    let options = attribute(attributes, TCA_OPTIONS).filter(|_| kind == tbf::KIND);
    Some(Qdisc { kind, handle: u32_at(payload, 8)?, tbf: options.and_then(tbf::parse) })
}

#[cfg(test)]
mod tests;
