//! GC: the files of the network's attachments that the caller no longer lists go.
//!
//! All networks share the directory, and a file's name does not say which one it belongs to; our files do, in
//! their record. A file without a record is the reference's, of whatever network: it stays for the DEL of its
//! attachment, which goes by the name.

use crate::config;
use crate::place::{self, Found};
use crate::saved::Record;
use kernel::lock::Lock;
use spec::config::Config;
use spec::error::Result;
use spec::request::Gc;
use steps::best_effort::BestEffort;

pub(crate) fn gc(call: &Gc) -> Result<()> {
    let dir = config::data_dir(&call.config)?;
    if !dir.exists() {
        return Ok(());
    }
    // Whoever replaces a file holds this lock: without him, a file in the making is a leftover.
    let _lock = Lock::acquire_directory(&dir)?;
    let mut effort = BestEffort::new();
    for found in place::list(&dir)? {
        match found {
            Found::Leftover(path) => effort.note(place::remove(&path)),
            Found::Of(path, record) if is_stale(&call.config, &record) => effort.note(place::remove(&path)),
            Found::Of(..) => None,
        };
    }
    effort.finish()
}

/// No list means an empty one, spec §2 "GC".
fn is_stale(config: &Config, record: &Record) -> bool {
    let mut valid = config.valid_attachments.iter().flatten();
    record.network == config.name.as_str()
        && !valid.any(|one| one.container_id == record.container && one.ifname == record.ifname)
}
