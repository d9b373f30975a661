//! GC: mappings of attachments that the caller no longer lists go.

use spec::error::Result;
use spec::request::Gc;
use steps::ports;
use steps::stale::Stale;

pub(crate) fn gc(call: &Gc) -> Result<()> {
    ports::remove_stale(&Stale::new(&call.config))
}
