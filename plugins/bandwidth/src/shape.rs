//! The qdiscs and the filter of an attachment: made, removed, compared.

use crate::limit::Limit;
use kernel::error::Errno;
use kernel::link::Link;
use kernel::rtnl::{Request, Rtnl};
use kernel::tc::redirect::{self, Filter};
use kernel::tc::tbf::{self, Tbf};
use kernel::tc::{self, Place, fq_codel};
use spec::error::{Error, Result};

/// Limits what a link sends.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn limit(host: &mut Rtnl, link: &Link, limit: Limit) -> Result<()> {
    host.request(limit.tbf(link.mtu).create(link.index)).map_err(|error| on(link, error))?;
    fq_codel::queue_in(host, link.index).map_err(|error| on(link, error))?;
    Ok(())
}

/// Prepares the host's end: what the container receives is limited, and what it sends can be redirected.
///
/// What a killed ADD left at this end is in the way once, and goes; what is somebody else's is in the way for good.
///
/// # Errors
/// The kernel refuses, or somebody else's qdisc is there.
pub(crate) fn prepare(host: &mut Rtnl, link: &Link, ingress: Option<Limit>, egress: bool) -> Result<()> {
    let requests = || -> Vec<Request> {
        let door = egress.then(|| redirect::ingress(link.index));
        let rate = ingress.map(|limit| limit.tbf(link.mtu).create(link.index));
        door.into_iter().chain(rate).collect()
    };
    match host.batch(requests()) {
        Err(error) if error.errno() == Errno::EXIST => {
            clear(host, link, None)?;
            host.batch(requests()).map_err(|error| taken(link, error))?;
        }
        other => other.map_err(|error| on(link, error))?,
    }
    if ingress.is_some() {
        fq_codel::queue_in(host, link.index).map_err(|error| on(link, error))?;
    }
    Ok(())
}

/// Sends what arrives at the host's end through the IFB.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn redirect(host: &mut Rtnl, link: &Link, ifb: &Link) -> Result<()> {
    host.request(redirect::redirect(link.index, ifb.index)).map_err(|error| on(link, error))
}

/// Removes from the host's end what this plugin, ours or the reference's, put there: the token bucket filter, and
/// the filter that leads to the IFB or, that being gone, nowhere. Other people's filters and qdiscs stay.
///
/// # Errors
/// The kernel refuses anything but because the link is gone.
pub(crate) fn clear(host: &mut Rtnl, link: &Link, ifb: Option<u32>) -> Result<()> {
    match try_clear(host, link, ifb) {
        // The container's namespace ended meanwhile and took the pair along.
        Err(error) if error.errno() == Errno::NODEV => Ok(()),
        other => other.map_err(|error| on(link, error)),
    }
}

fn try_clear(host: &mut Rtnl, link: &Link, ifb: Option<u32>) -> kernel::Result<()> {
    let filters = redirect::filters(host, link.index)?;
    if filters.iter().all(Filter::stands_first) && (filters.is_empty() || leads(&filters, ifb)) {
        tc::remove(host, link.index, Place::Ingress)?;
    } else if leads(&filters, ifb) {
        redirect::remove(host, link.index)?;
    }
    let root = tc::get(host, link.index, Place::Root)?;
    if root.is_some_and(|qdisc| qdisc.tbf.is_some() && qdisc.handle == tbf::HANDLE) {
        tc::remove(host, link.index, Place::Root)?;
    }
    Ok(())
}

/// Whether what arrives at this link is sent through the IFB.
///
/// # Errors
/// The kernel does not answer.
pub(crate) fn leads_to(host: &mut Rtnl, link: &Link, ifb: &Link) -> Result<bool> {
    let filters = redirect::filters(host, link.index).map_err(|error| on(link, error))?;
    Ok(filters.iter().any(|filter| filter.redirects_to == Some(ifb.index)))
}

/// Whether the first filter redirects to the IFB, or to one that is gone.
fn leads(filters: &[Filter], ifb: Option<u32>) -> bool {
    let ours = |to: u32| to == 0 || Some(to) == ifb;
    filters.iter().any(|filter| filter.stands_first() && filter.redirects_to.is_some_and(ours))
}

/// What the link sends is limited as planned.
///
/// # Errors
/// What differs, or the kernel does not answer.
pub(crate) fn check(host: &mut Rtnl, link: &Link, limit: Limit) -> Result<()> {
    let root = tc::get(host, link.index, Place::Root).map_err(|error| on(link, error))?;
    let Some(found) = root.and_then(|qdisc| qdisc.tbf) else {
        return Err(Error::internal(format!("interface {} has no rate limit (qdisc tbf)", link.name)));
    };
    compare(&link.name, found, limit.tbf(link.mtu), limit.is_automatic())
}

/// An automatic burst is whatever the plugin that made it thought right: it may be more than ours.
fn compare(name: &str, found: Tbf, wanted: Tbf, automatic: bool) -> Result<()> {
    let differs = |what: &str, found: u64, wanted: u64| {
        Err(Error::internal(format!("{what} of interface {name} doesn't match: it is {found}, not {wanted}")))
    };
    let is = |found: u32, wanted: u32| found == wanted || automatic && found > wanted;
    if found.rate != wanted.rate {
        return differs("rate (bytes/s)", found.rate, wanted.rate);
    }
    if !is(found.limit, wanted.limit) {
        return differs("queue limit (bytes)", found.limit.into(), wanted.limit.into());
    }
    if !is(found.buffer, wanted.buffer) {
        return differs("burst (ticks of 64 ns at the rate)", found.buffer.into(), wanted.buffer.into());
    }
    Ok(())
}

fn on(link: &Link, error: kernel::Error) -> Error {
    Error::from(error).context(format!("interface {}", link.name))
}

fn taken(link: &Link, error: kernel::Error) -> Error {
    if error.errno() != Errno::EXIST {
        return on(link, error);
    }
    let error = on(link, error);
    error.context(format!("somebody else's qdisc is on {} (see tc qdisc show); remove it first", link.name))
}
