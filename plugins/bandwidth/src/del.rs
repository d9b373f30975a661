//! DEL: the host's end is freed of its limits, the IFB goes.
//!
//! In this order: an end that redirects to an IFB that is gone drops everything. The end itself is the business of
//! the plugin that made it; it may go soon, or never.

use crate::config;
use crate::ifb::{self, Names};
use crate::shape;
use kernel::link::{self, Link, LinkRef};
use kernel::rtnl::Rtnl;
use spec::error::Result;
use spec::request::Del;
use steps::best_effort::BestEffort;
use steps::label::Label;
use steps::sockets::open_living;
use steps::{host_end, pair};

pub(crate) fn del(call: &Del) -> Result<()> {
    let label = Label::new(&call.config, &call.attachment);
    let names = Names::new(&call.config, &call.attachment, &label);
    let mut host = Rtnl::open()?;
    let mut effort = BestEffort::new();
    let ifb = effort.note(ifb::find(&mut host, &names, &label)).flatten();
    if ifb.is_some() || config::may_have_limited(&call.config) {
        effort.note(free_host_end(&mut host, call, &label, ifb.as_ref()));
    }
    if let Some(ifb) = ifb {
        effort.note(link::remove_early(&mut host, ifb.index, &[]).map_err(Into::into));
    }
    effort.finish()
}

fn free_host_end(host: &mut Rtnl, call: &Del, label: &Label, ifb: Option<&Link>) -> Result<()> {
    let end = match pair::find_marked(host, label)? {
        Some(end) => Some(end),
        None => from_container(host, call, ifb)?,
    };
    end.map_or(Ok(()), |end| shape::clear(host, &end, ifb.map(|ifb| ifb.index)))
}

/// The peer of the container's interface, if it is this attachment's: the result says so, or its traffic goes
/// through the attachment's IFB. The container may have got an interface of that name from another network since.
fn from_container(host: &mut Rtnl, call: &Del, ifb: Option<&Link>) -> Result<Option<Link>> {
    let Some(netns) = call.netns.as_deref().map(open_living).transpose()?.flatten() else {
        return Ok(None);
    };
    let mut container = Rtnl::open_in(&netns)?;
    let inside = link::get(&mut container, LinkRef::Name(call.attachment.ifname.as_str()))?;
    let Some(end) = inside.map(|inside| host_end::peer(host, &inside)).transpose()?.flatten() else {
        return Ok(None);
    };
    let told = call.config.prev_result.as_ref().is_some_and(|result| host_end::is_in(result, &end));
    let ours = told || ifb.map_or(Ok(false), |ifb| shape::leads_to(host, &end, ifb))?;
    Ok(Some(end).filter(|_| ours))
}
