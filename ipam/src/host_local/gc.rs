//! GC: release what belongs to no valid attachment.

use std::collections::BTreeSet;

use spec::{Error, Gc, Result, ValidAttachment};

use crate::config;
use crate::store::{Key, Store};

pub(super) fn gc(call: &Gc) -> Result<()> {
    let data_dir = config::data_dir(&call.config)?;
    let Some(mut store) = Store::open_existing(&data_dir, &call.config.name)? else { return Ok(()) };
    let valid = Valid::of(call.config.valid_attachments.as_deref().unwrap_or_default());
    let mut failures = Vec::new();
    for (key, ips) in store.everybody()? {
        if !valid.has(&key) {
            failures.extend(store.release(&key, &ips).err());
        }
    }
    store.close();
    match failures.as_slice() {
        [] => Ok(()),
        failures => {
            let texts: Vec<String> = failures.iter().map(Error::to_string).collect();
            Err(Error::io(texts.join("; ")))
        }
    }
}

/// The attachments that live.
struct Valid<'a> {
    attachments: BTreeSet<(&'a str, &'a str)>,
    containers: BTreeSet<&'a str>,
}

impl Valid<'_> {
    fn of(list: &[ValidAttachment]) -> Valid<'_> {
        Valid {
            attachments: list.iter().map(|one| (one.container_id.as_str(), one.ifname.as_str())).collect(),
            containers: list.iter().map(|one| one.container_id.as_str()).collect(),
        }
    }

    /// A lease of an old version names no interface: it may be any of the container's.
    fn has(&self, key: &Key) -> bool {
        match &key.ifname {
            Some(ifname) => self.attachments.contains(&(&*key.id, &**ifname)),
            None => self.containers.contains(&*key.id),
        }
    }
}
