//! STATUS: whether the next ADD would find an address.

use spec::{Error, Result, Status};

use super::Usage;
use crate::config;
use crate::store::Store;

pub(super) fn status(call: &Status) -> Result<()> {
    let (sets, data_dir) = config::of_status(call)?;
    let Some(mut store) = Store::open_existing(&data_dir, &call.config.name)? else { return Ok(()) };
    let usages: Vec<Usage<'_>> = sets.iter().map(|set| Usage::of(set, &mut store)).collect();
    let leases = store.path().to_owned();
    store.close();
    let Some(full) = usages.iter().find(|usage| usage.free() == 0) else { return Ok(()) };
    let counts = usages.iter().enumerate().map(|(i, usage)| {
        format!("range set {i} ({}): {} used, {} free", usage.set, usage.used, usage.free())
    });
    Err(Error::not_available(full.exhausted(&leases)).with_details(counts.collect::<Vec<_>>().join("; ")))
}
