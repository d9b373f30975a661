//! host-local: leases from ranges of this host's own, in files (plugins.md of the reference: "host-local").

mod add;
mod check;
mod del;
mod gc;
mod status;

use std::path::Path;

use spec::{Add, Check, Del, Gc, Plugin, Result, Status, Success};

pub use self::del::{held, release};
use crate::range::RangeSet;
use crate::store::Store;

/// The plugin `host-local`.
#[derive(Clone, Copy, Debug)]
pub struct HostLocal;

impl Plugin for HostLocal {
    const NAME: &'static str = "host-local";
    const ABOUT: &'static str = "Tidewater host-local: leases addresses out of ranges of this host";

    fn add(call: &Add) -> Result<Success> {
        add::add(call)
    }

    fn del(call: &Del) -> Result<()> {
        release(call).map(drop)
    }

    fn check(call: &Check) -> Result<()> {
        check::check(call)
    }

    fn gc(call: &Gc) -> Result<()> {
        gc::gc(call)
    }

    fn status(call: &Status) -> Result<()> {
        status::status(call)
    }
}

/// How much of a range set is in use.
struct Usage<'a> {
    set: &'a RangeSet,
    used: u128,
    capacity: u128,
}

impl Usage<'_> {
    fn of<'a>(set: &'a RangeSet, store: &mut Store) -> Usage<'a> {
        let spans = set.order(None);
        let capacity = spans.iter().fold(0, |sum: u128, span| sum.saturating_add(span.size()));
        Usage { set, used: store.count(&spans), capacity }
    }

    fn free(&self) -> u128 {
        self.capacity.saturating_sub(self.used)
    }

    fn is_full(&self) -> bool {
        self.free() == 0
    }

    /// The reference's words, then how it came and what to do.
    fn exhausted(&self, leases: &Path) -> String {
        let Usage { set, used, capacity } = self;
        format!(
            "no IP addresses available in range set: {set}: {used} of {capacity} addresses are leased in {}; \
             delete containers, run GC to release what deleted ones left, or give the network a larger range",
            leases.display()
        )
    }
}
