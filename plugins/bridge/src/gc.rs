//! GC: what belongs to attachments that the caller no longer lists goes: links, rules, leases.

use kernel::link::{self, LinkRef};
use kernel::rtnl::Rtnl;
use spec::error::Result;
use spec::request::Gc;
use steps::best_effort::BestEffort;
use steps::lease::Ipam;
use steps::stale::Stale;
use steps::{masquerade, spoof};

pub(crate) fn gc(call: &Gc) -> Result<()> {
    let stale = Stale::new(&call.config);
    let mut effort = BestEffort::new();
    effort.note(remove_links(&stale));
    effort.note(masquerade::remove_stale(&stale));
    effort.note(spoof::remove_stale(&stale));
    if let Some(plugin) = &call.config.ipam {
        effort.note(Ipam::find(plugin, &call.caller).and_then(|ipam| ipam.gc(call)));
    }
    effort.finish()
}

fn remove_links(stale: &Stale<'_>) -> Result<()> {
    let mut host = Rtnl::open()?;
    let mut effort = BestEffort::new();
    for link in link::list(&mut host)? {
        if link.alias.as_deref().is_some_and(|alias| stale.is(alias)) {
            effort.note(link::remove(&mut host, LinkRef::Index(link.index)).map_err(Into::into));
        }
    }
    effort.finish()
}
