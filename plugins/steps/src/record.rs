//! What an attachment has in the packet filter, on record: so that `net-ctl firewall reload` puts it back after
//! somebody flushed the ruleset, and DEL finds it when the runtime tells nothing.
//!
//! One small file for each attachment and kind, `<key of the label>.<kind>`, under [`DIRECTORY`]. It is written
//! before the rules and removed after them: rules without a record are none of ours. A reboot voids it together
//! with the rules, so it is whole or absent but not synced to a disk.

use crate::best_effort::BestEffort;
use crate::label::Label;
use crate::stale::Stale;
use kernel::error::Errno;
use kernel::file;
use kernel::lock::Lock;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use spec::error::{Error, Result};
use spec::names::NetworkName;
use std::cell::RefCell;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};

/// Where the records are.
pub(crate) const DIRECTORY: &str = "/run/tidewater/rules";

/// A kind of record.
pub(crate) trait Recorded: Serialize + DeserializeOwned {
    /// The ending of its files' names.
    const KIND: &'static str;
}

/// A record read back, with the attachment that it belongs to.
#[derive(Debug)]
pub(crate) struct Found<T> {
    /// The attachment's mark.
    pub(crate) label: Label,
    /// What it has.
    pub(crate) what: T,
}

/// A file's content: whose it is, in words, and what that one has.
#[derive(Serialize, Deserialize)]
struct Entry<T> {
    /// The network namespace whose packet filter it is, by its inode: the directory may be shared by several.
    netns: u64,
    network: NetworkName,
    container: String,
    ifname: String,
    what: T,
}

/// Records what the attachment is about to have, in place of what was recorded before.
///
/// # Errors
/// The directory cannot be made or written.
pub(crate) fn put<T: Recorded>(label: &Label, what: &T) -> Result<()> {
    let (network, container, ifname) = label.names();
    let entry = Entry {
        netns: own_namespace()?,
        network: network.clone(),
        container: container.to_owned(),
        ifname: ifname.to_owned(),
        what,
    };
    let bytes = serde_json::to_vec(&entry)?;
    let name = name::<T>(label);
    // A runtime makes one call at a time for an attachment, so nobody else writes this file.
    let write = || file::write_alone(&path(&name), &path(&unfinished(&name)), 0o600, &bytes);
    or_with_directory(write).map_err(|error| error.context("record what the packet filter holds"))
}

/// What is on record for the attachment. What cannot be read back counts as absent: the rules are then found by
/// their marks.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn get<T: Recorded>(label: &Label) -> Result<Option<T>> {
    Ok(read(&name::<T>(label))?.map(|entry: Entry<T>| entry.what))
}

/// The record of the attachment with this key, the first part of its marks.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn find<T: Recorded>(key: &str) -> Result<Option<Found<T>>> {
    let plain = key.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let entry = if plain { read(&format!("{key}.{}", T::KIND))? } else { None };
    Ok(entry.map(from_entry))
}

thread_local! {
    /// The lock, while this thread holds it: who holds it may ask for it again.
    static HELD: RefCell<Weak<Lock>> = const { RefCell::new(Weak::new()) };
}

/// Held by whoever looks what is free and takes it, removes rules with their record, writes rules of a record again, or
/// has another program write rules: one lock for all, which is the directory's own.
///
/// # Errors
/// The directory cannot be made.
pub(crate) fn lock() -> Result<Rc<Lock>> {
    match held() {
        Some(lock) => Ok(lock),
        None => or_with_directory(|| Lock::acquire_directory(Path::new(DIRECTORY))).map(hold),
    }
}

fn held() -> Option<Rc<Lock>> {
    HELD.with_borrow(Weak::upgrade)
}

fn hold(lock: Lock) -> Rc<Lock> {
    let lock = Rc::new(lock);
    HELD.set(Rc::downgrade(&lock));
    lock
}

/// Waits for whoever holds [`lock`], and for an `iptables-restore` that outlived the ADD that started it and was
/// killed: what it still wrote can be removed then. `None` where nobody has ever recorded anything.
///
/// # Errors
/// The directory cannot be locked.
pub(crate) fn lock_out() -> Result<Option<Rc<Lock>>> {
    if let Some(lock) = held() {
        return Ok(Some(lock));
    }
    match Lock::acquire_directory(Path::new(DIRECTORY)) {
        Ok(lock) => Ok(Some(hold(lock))),
        Err(error) if error.errno() == Errno::NOENT => Ok(None),
        Err(error) => Err(trouble(&error)),
    }
}

/// Removes the record of the attachment, after its rules; fine when there is none.
///
/// # Errors
/// The directory cannot be written.
pub(crate) fn remove<T: Recorded>(label: &Label) -> Result<()> {
    let name = name::<T>(label);
    remove_file(&unfinished(&name))?;
    remove_file(&name)
}

/// Removes the records of a kind whose attachments are gone, after their rules, for GC.
///
/// # Errors
/// The directory cannot be read or written.
pub(crate) fn remove_stale<T: Recorded>(stale: &Stale<'_>) -> Result<()> {
    list_stale::<T>(stale)?.iter().try_for_each(|gone| remove::<T>(&gone.label))?;
    remove_unreadable::<T>(stale)
}

/// Removes what a process that was killed while it recorded left, and what cannot be read back, of attachments that
/// are gone.
///
/// # Errors
/// The directory cannot be read or written.
pub(crate) fn remove_unreadable<T: Recorded>(stale: &Stale<'_>) -> Result<()> {
    let ending = format!(".{}", T::KIND);
    for name in names()? {
        let key = finished(&name).unwrap_or(&name).strip_suffix(&ending);
        if key.is_some_and(|key| stale.is(key)) && (finished(&name).is_some() || read::<T>(&name)?.is_none())
        {
            remove_file(&name)?;
        }
    }
    Ok(())
}

fn remove_file(name: &str) -> Result<()> {
    file::remove(&path(name)).map(drop).map_err(|error| trouble(&error))
}

/// What a file is called until it is whole.
fn unfinished(name: &str) -> String {
    format!(".{name}.tmp")
}

/// The name that it would have got.
fn finished(unfinished: &str) -> Option<&str> {
    unfinished.strip_prefix('.')?.strip_suffix(".tmp")
}

/// All records of a kind that are of this network namespace. Files that hold no record are passed over.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn list<T: Recorded>() -> Result<Vec<Found<T>>> {
    let (here, ending) = (own_namespace()?, format!(".{}", T::KIND));
    let mut found = Vec::new();
    for name in names()?.iter().filter(|name| name.ends_with(&ending)) {
        let entry = read(name)?;
        found.extend(entry.filter(|entry: &Entry<T>| entry.netns == here).map(from_entry));
    }
    Ok(found)
}

/// The names of all files in the directory.
fn names() -> Result<Vec<String>> {
    let unreadable = |error: std::io::Error| Error::io(format!("list records in {DIRECTORY}: {error}"));
    let entries = match std::fs::read_dir(DIRECTORY) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let names =
        entries.map(|entry| Ok(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned()));
    names.collect()
}

/// The records of a kind whose attachments are gone, for GC.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn list_stale<T: Recorded>(stale: &Stale<'_>) -> Result<Vec<Found<T>>> {
    let mut found = list::<T>()?;
    found.retain(|record| stale.is(&record.label.key()));
    Ok(found)
}

/// Writes the rules of all attachments on record again, each whatever becomes of the others; says of how many.
///
/// A record is read once more at its turn, under the lock: its attachment may have gone since it was listed, and nobody
/// would remove rules that are written then.
///
/// # Errors
/// The directory cannot be read, or all that was refused.
pub(crate) fn write_again<T: Recorded>(write: impl Fn(&Label, &T) -> Result<()>) -> Result<usize> {
    let (mut effort, mut written) = (BestEffort::new(), 0);
    for Found { label, .. } in list::<T>()? {
        let _lock = effort.note(lock_out());
        if let Some(what) = effort.note(get::<T>(&label)).flatten() {
            effort.note(write(&label, &what));
            written += 1;
        }
    }
    effort.finish().map(|()| written)
}

fn from_entry<T>(entry: Entry<T>) -> Found<T> {
    Found { label: Label::of(&entry.network, &entry.container, &entry.ifname), what: entry.what }
}

fn read<T: Recorded>(name: &str) -> Result<Option<Entry<T>>> {
    let bytes = forgive_no_file(file::read(&path(name))).map_err(|error| trouble(&error))?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Forgives EISDIR and ELOOP: what somebody else put under the name of a record is none. Anything else may be over soon,
/// and a removal that took it for no record would leave the rules.
fn forgive_no_file(bytes: kernel::Result<Option<Vec<u8>>>) -> kernel::Result<Option<Vec<u8>>> {
    match bytes {
        Err(error) if [Errno::ISDIR, Errno::LOOP].contains(&error.errno()) => Ok(None),
        other => other,
    }
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(format!("{DIRECTORY}/{name}"))
}

fn own_namespace() -> Result<u64> {
    let namespace = std::fs::metadata("/proc/thread-self/ns/net")
        .map_err(|error| Error::io(format!("look up the own network namespace: {error}")))?;
    Ok(namespace.ino())
}

fn name<T: Recorded>(label: &Label) -> String {
    format!("{}.{}", label.key(), T::KIND)
}

/// Makes the directory only after a look that found none: the first record of a boot.
fn or_with_directory<T>(act: impl Fn() -> kernel::error::Result<T>) -> Result<T> {
    match act() {
        Err(error) if error.errno() == Errno::NOENT => {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(DIRECTORY);
            made.map_err(|error| Error::io(format!("create directory {DIRECTORY}: {error}")))?;
            act().map_err(|error| trouble(&error))
        }
        outcome => outcome.map_err(|error| trouble(&error)),
    }
}

/// Records are files: what goes wrong with them is code 5.
fn trouble(error: &kernel::Error) -> Error {
    Error::io(error.to_string())
}
