//! GC: what belongs to attachments that the caller no longer lists goes: links with their routes, rules, leases.

use spec::error::Result;
use spec::request::Gc;
use steps::best_effort::BestEffort;
use steps::lease::Ipam;
use steps::stale::Stale;
use steps::{masquerade, pair};

pub(crate) fn gc(call: &Gc) -> Result<()> {
    let stale = Stale::new(&call.config);
    let mut effort = BestEffort::new();
    effort.note(pair::remove_stale(&stale));
    effort.note(masquerade::remove_stale(&stale));
    if let Some(plugin) = &call.config.ipam {
        effort.note(Ipam::find(plugin, &call.caller).and_then(|ipam| ipam.gc(call)));
    }
    effort.finish()
}
