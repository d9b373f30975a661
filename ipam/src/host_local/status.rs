//! STATUS: whether the next ADD would find an address.

use spec::{Error, Result, Status};

use super::Usage;
use crate::config;
use crate::range::RangeSet;
use crate::store::Store;

pub(super) fn status(call: &Status) -> Result<()> {
    let (sets, data_dir) = config::of_status(call)?;
    let Some(mut store) = Store::open_existing(&data_dir, &call.config.name)? else { return Ok(()) };
    let mut usages = usages(&sets, &mut store);
    // Nobody may come with an ADD after "full", so that has to be true and not only believed.
    if usages.iter().any(Usage::is_full) && store.rescan_once()? {
        usages = self::usages(&sets, &mut store);
    }
    let leases = store.path().to_owned();
    store.close();
    let Some(full) = usages.iter().find(|usage| usage.is_full()) else { return Ok(()) };
    let counts = usages.iter().enumerate().map(|(i, usage)| {
        format!("range set {i} ({}): {} used, {} free", usage.set, usage.used, usage.free())
    });
    Err(Error::not_available(full.exhausted(&leases)).with_details(counts.collect::<Vec<_>>().join("; ")))
}

fn usages<'a>(sets: &'a [RangeSet], store: &mut Store) -> Vec<Usage<'a>> {
    sets.iter().map(|set| Usage::of(set, store)).collect()
}
