//! DEL: what the file says is put back, then the file goes.
//!
//! The container is on its way out. What can no longer be put back is remarked and forgotten, as the reference
//! does it: an error would end the runtime's DEL of the list here, before the plugins that made the interface
//! have taken it away.

use crate::config;
use crate::place::Place;
use crate::saved::{Record, Saved};
use kernel::link::{self, Link, LinkRef};
use kernel::netns::NetNs;
use kernel::rtnl::Rtnl;
use spec::error::Result;
use spec::request::{Attachment, Del};
use steps::best_effort::BestEffort;
use steps::sockets::open_living;

pub(crate) fn del(call: &Del) -> Result<()> {
    let dir = config::data_dir(&call.config).unwrap_or_else(|error| {
        eprintln!("delete from the usual data directory: {error}");
        config::DEFAULT_DATA_DIR.into()
    });
    let place = Place::of(dir, &call.attachment);
    let Some(saved) = place.load()? else {
        return place.remove();
    };
    if saved.record.as_ref().is_some_and(|record| !record.is_of(&call.attachment)) {
        return Ok(());
    }
    if let Some(netns) = call.netns.as_deref().map(open_living).transpose()?.flatten()
        && let Err(error) = netns.run(|| put_back(&saved, &netns, &call.attachment))?
    {
        eprintln!("not put back as it was: {error}");
    }
    place.remove()
}

/// Runs inside the container's namespace.
fn put_back(saved: &Saved, netns: &NetNs, attachment: &Attachment) -> Result<()> {
    let record = saved.record.as_ref();
    let ino = netns.identity()?.ino;
    if record.is_some_and(|record| record.netns != ino) {
        // Another namespace, in which nothing was changed.
        return Ok(());
    }
    let mut effort = BestEffort::new();
    effort.note(put_link_back(saved, record, attachment));
    for sysctl in record.into_iter().flat_map(|record| &record.sysctls).rev() {
        effort.note(sysctl.put_back_if_ours());
    }
    effort.finish()
}

fn put_link_back(saved: &Saved, record: Option<&Record>, attachment: &Attachment) -> Result<()> {
    if saved.link.is_empty() {
        return Ok(());
    }
    let mut route = Rtnl::open()?;
    let ours = |link: &Link| record.is_none_or(|record| record.is_about(Some(link.index)));
    let found = link::get(&mut route, LinkRef::Name(attachment.ifname.as_str()))?.filter(ours);
    let Some(link) = found else { return Ok(()) };
    let wanted = saved.link.different_from(&saved.link.now(&link)?);
    Ok(route.batch(wanted.requests(link.index))?)
}
