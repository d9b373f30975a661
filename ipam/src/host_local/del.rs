//! DEL: release what the attachment holds; nothing is fine too.

use std::net::IpAddr;

use spec::{Del, Result};

use crate::config;
use crate::store::{Key, Store};

/// The addresses that this attachment holds now; none if it never had any, or has them no more.
///
/// # Errors
/// The configuration cannot be read, or the leases cannot.
pub fn held(call: &Del) -> Result<Vec<IpAddr>> {
    let data_dir = config::data_dir(&call.config)?;
    let Some(mut store) = Store::open_existing(&data_dir, &call.config.name)? else { return Ok(Vec::new()) };
    let (_, ips) = store.held(&Key::of(&call.attachment))?;
    store.close();
    Ok(ips)
}

/// DEL that tells which addresses were released.
///
/// # Errors
/// The configuration cannot be read, the leases cannot, or one of them cannot be removed; the others are
/// then.
pub fn release(call: &Del) -> Result<Vec<IpAddr>> {
    let data_dir = config::data_dir(&call.config)?;
    let Some(mut store) = Store::open_existing(&data_dir, &call.config.name)? else { return Ok(Vec::new()) };
    let (key, ips) = store.held(&Key::of(&call.attachment))?;
    let released = store.release(&key, &ips);
    store.close();
    released.map(|()| ips)
}
