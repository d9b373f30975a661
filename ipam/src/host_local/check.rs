//! CHECK: the attachment still holds what its ADD leased.

use std::net::IpAddr;

use spec::{Check, Error, Result};

use crate::config;
use crate::range::RangeSet;
use crate::store::{Key, Store};

pub(super) fn check(call: &Check) -> Result<()> {
    let (sets, data_dir) = config::of_check(call)?;
    let held = match Store::open_existing(&data_dir, &call.config.name)? {
        None => Vec::new(),
        Some(mut store) => {
            let (_, held) = store.held(&Key::of(&call.attachment))?;
            store.close();
            held
        }
    };
    if held.is_empty() {
        let id = &call.attachment.container;
        return Err(Error::internal(format!("host-local: Failed to find address added by container {id}")));
    }
    match recorded(call, &sets).find(|ip| !held.contains(ip)) {
        None => Ok(()),
        Some(ip) => Err(Error::internal(format!(
            "host-local: {ip} of prevResult is not leased to {}",
            call.attachment.container
        ))),
    }
}

/// The addresses in the result of ADD that can only have come from here.
fn recorded<'a>(call: &'a Check, sets: &'a [RangeSet]) -> impl Iterator<Item = IpAddr> + 'a {
    let results = call.config.prev_result.iter().flat_map(|result| &result.ips);
    let ips = results.map(|ip| ip.address.addr());
    ips.filter(|ip| sets.iter().any(|set| set.range_of(*ip).is_some()))
}
