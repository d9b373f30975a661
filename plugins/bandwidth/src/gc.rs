//! GC: the IFBs of attachments that the caller no longer lists go. What limits a host's end goes with that end.

use crate::ifb;
use kernel::link::{self, LinkRef};
use kernel::rtnl::Rtnl;
use spec::error::Result;
use spec::request::Gc;
use steps::best_effort::BestEffort;
use steps::stale::Stale;

pub(crate) fn gc(call: &Gc) -> Result<()> {
    let stale = Stale::new(&call.config);
    let mut host = Rtnl::open()?;
    let mut effort = BestEffort::new();
    for link in link::list(&mut host)? {
        if ifb::is_ifb(&link) && link.alias.as_deref().is_some_and(|alias| stale.is(alias)) {
            effort.note(link::remove(&mut host, LinkRef::Index(link.index)).map_err(Into::into));
        }
    }
    effort.finish()
}
