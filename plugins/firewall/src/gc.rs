//! GC: the rules of attachments that the caller no longer lists go.

use spec::error::Result;
use spec::request::Gc;
use steps::best_effort::BestEffort;
use steps::stale::Stale;
use steps::{anti_spoof, forward};

pub(crate) fn gc(call: &Gc) -> Result<()> {
    let stale = Stale::new(&call.config);
    let mut effort = BestEffort::new();
    effort.note(forward::remove_stale(&stale));
    effort.note(anti_spoof::remove_stale(&stale));
    effort.finish()
}
