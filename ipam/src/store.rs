//! Leases on disk, under a lock, safe against a kill at any instruction.
//!
//! `<dataDir>/<network>/` is the reference's and stays as it would leave it. What it has no room for lies
//! beside it, in `<dataDir>/.tidewater/<network>/`: not inside, as the reference reads and removes by content
//! every file in there, and not in the way of another network, as no name of one begins with a dot.
//!
//! The lease files alone decide. Everything else speeds things up and is put right by a rescan.

mod bitmap;
mod files;
mod header;
mod index;
mod lease;
mod owner;
mod rescan;

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use kernel::file::FileId;
use kernel::lock::Lock;
use kernel::spare::Spare;
use spec::{Error, NetworkName, Result};

use self::header::Described;
use self::index::Index;
pub(crate) use self::lease::Key;
use self::lease::{LastReserved, Lease, LeaseDir};
use self::owner::{Owner, Owners};
use crate::span::Span;

/// Name of the spare lease file in the side directory.
const SPARE_LEASE: &str = "spare-lease";
/// Name of the spare owner file.
const SPARE_OWNER: &str = "spare-owner";

/// The leases of one network. The lock is held as long as this lives.
#[derive(Debug)]
pub(crate) struct Store {
    leases: LeaseDir,
    side: PathBuf,
    /// The side directory, once there is one: where spare files lie.
    side_fd: Option<OwnedFd>,
    owners: Owners,
    boot: String,
    index: Index,
    /// Leases made here that no owner file knows of yet.
    made: Vec<(IpAddr, FileId)>,
    /// Leases or owners changed, or the index is new: it has to be written, and the stamp set.
    changed: bool,
    _lock: Lock,
}

impl Store {
    /// Opens the leases of a network, with the directory made if it is missing.
    pub(crate) fn open(data_dir: &Path, network: &NetworkName) -> Result<Store> {
        let dir = data_dir.join(network.as_str());
        let lock = match lock(&dir) {
            Err(cause) if is_missing(&cause) => {
                create_dir(&dir)?;
                lock(&dir)
            }
            locked => locked,
        };
        Store::locked(data_dir, network, dir, lock.map_err(io_error)?)
    }

    /// Opens the leases of a network that may have none; then nothing is made.
    pub(crate) fn open_existing(data_dir: &Path, network: &NetworkName) -> Result<Option<Store>> {
        let dir = data_dir.join(network.as_str());
        match lock(&dir) {
            Err(cause) if is_missing(&cause) => Ok(None),
            locked => Store::locked(data_dir, network, dir, locked.map_err(io_error)?).map(Some),
        }
    }

    fn locked(data_dir: &Path, network: &NetworkName, dir: PathBuf, lock: Lock) -> Result<Store> {
        let side = data_dir.join(".tidewater").join(network.as_str());
        // Without a boot id no lease can be told to be of another boot, so none is, and no index is believed.
        let boot = kernel::boot::boot_id().unwrap_or_default();
        let leases = LeaseDir::open(dir)?;
        let seen = Described { boot: boot.clone(), dir: leases.id()? };
        let index =
            Index::open(&side.join("index")).filter(|index| !boot.is_empty() && *index.described() == seen);
        let believed = index.is_some();
        let mut store = Store {
            leases,
            owners: Owners::new(side.join(owner::DIRECTORY)),
            side_fd: kernel::file::open_directory(&side).ok(),
            side,
            boot,
            index: index.unwrap_or_else(|| Index::of(seen, std::iter::empty())),
            made: Vec::new(),
            changed: false,
            _lock: lock,
        };
        if !believed {
            store.rescan()?;
        }
        Ok(store)
    }

    /// Where the leases lie, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.leases.path
    }

    /// The addresses leased to exactly this key.
    pub(crate) fn held_by(&mut self, key: &Key) -> Result<Vec<IpAddr>> {
        if let Some(ips) = self.remembered(key) {
            return Ok(ips);
        }
        self.rescan()?;
        Ok(self.owners.get(key).map(addresses).unwrap_or_default())
    }

    /// The key under which an attachment holds addresses now, and these: its own, or if it has none the one
    /// of an old version, which stands for any interface of the container.
    pub(crate) fn held(&mut self, key: &Key) -> Result<(Key, Vec<IpAddr>)> {
        let ips = self.held_by(key)?;
        if !ips.is_empty() {
            return Ok((key.clone(), ips));
        }
        let bare = key.bare();
        let ips = self.held_by(&bare)?;
        Ok((bare, ips))
    }

    /// Everybody who holds addresses, by reading all leases.
    pub(crate) fn everybody(&mut self) -> Result<Vec<(Key, Vec<IpAddr>)>> {
        self.rescan_once()?;
        Ok(self.owners.all().map(|(key, owner)| (key.clone(), addresses(owner))).collect())
    }

    /// The first address of these spans that looks free.
    pub(crate) fn first_free(&mut self, spans: &[Span]) -> Option<IpAddr> {
        spans.iter().find_map(|span| self.index.first_free(*span))
    }

    /// How many addresses of these spans are taken.
    pub(crate) fn count(&mut self, spans: &[Span]) -> u128 {
        spans.iter().map(|span| self.index.count(*span)).sum()
    }

    /// Reads all leases, unless this call has done so already; tells whether it did now.
    pub(crate) fn rescan_once(&mut self) -> Result<bool> {
        let needed = !self.owners.is_complete();
        if needed {
            self.rescan()?;
        }
        Ok(needed)
    }

    /// Where the round robin of a range set stands.
    pub(crate) fn last_reserved(&self, set: usize) -> LastReserved {
        self.leases.last_reserved(set)
    }

    /// Leases an address; false if it is taken. [`Store::remember`] belongs after the last one of a call.
    pub(crate) fn lease(&mut self, ip: IpAddr, key: &Key) -> Result<bool> {
        let made = self.leases.create(ip, key, self.spare(SPARE_LEASE))?;
        if made.is_none() && !self.index.is_taken(ip) {
            self.surprised()?;
        }
        self.changed |= made.is_some();
        self.index.put(ip, true);
        self.made.extend(made.map(|identity| (ip, identity)));
        Ok(made.is_some())
    }

    /// A lease is there that the index does not have. Read now for the first time, the leases are as the
    /// index says from here on; otherwise somebody does not take the lock, and the next call had better look
    /// again.
    fn surprised(&mut self) -> Result<()> {
        if !self.index.overflows() && !self.rescan_once()? {
            self.index.contradict();
        }
        Ok(())
    }

    /// Writes down whom the leases made by this call belong to.
    pub(crate) fn remember(&mut self, key: &Key, netns: &Path) {
        let mut owner = self.owners.get(key).cloned().unwrap_or_default();
        owner.boot.clone_from(&self.boot);
        owner.netns = owner::describe_netns(netns);
        owner.leases.append(&mut self.made);
        owner.leases.sort_by_key(|(ip, _)| *ip);
        self.set_owner(key, owner);
    }

    /// Releases these addresses of a key. Goes on after an error, and gives the first.
    pub(crate) fn release(&mut self, key: &Key, ips: &[IpAddr]) -> Result<()> {
        let mut outcome = Ok(());
        let mut released = BTreeSet::new();
        for &ip in ips {
            match self.leases.release(ip, self.spare(SPARE_LEASE)) {
                Ok(()) => drop(released.insert(ip)),
                Err(cause) => outcome = outcome.and(Err(cause)),
            }
        }
        self.changed |= !released.is_empty();
        self.made.retain(|(ip, _)| !released.contains(ip));
        self.forget(key, &released);
        released.iter().for_each(|&ip| self.index.put(ip, false));
        outcome
    }

    /// Makes the index say what the leases are, so that the next call need not read them. If that fails, it
    /// will.
    pub(crate) fn close(mut self) {
        let fine = self.made.is_empty() && self.index.is_sound();
        if fine && (self.changed || self.index.is_changed()) {
            let _ = self.prove();
        }
    }

    /// Writes the index and sets the stamp, in this order: see the proof in `index.rs`.
    fn prove(&mut self) -> Result<()> {
        let stamp = header::stamp();
        let mut described = self.index.described().clone();
        (described.dir.mtime_s, described.dir.mtime_ns) = stamp;
        let path = self.side.join("index");
        match self.index.write(&path, described.clone()) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                files::create_private_dir(&self.side)?;
                self.index.write(&path, described)?;
            }
            written => written?,
        }
        self.leases.set_mtime(stamp)
    }

    /// The lease directory as it is now.
    fn described(&self) -> Result<Described> {
        Ok(Described { boot: self.boot.clone(), dir: self.leases.id()? })
    }

    /// The addresses that the owner file leads to; `None` if a lease says otherwise, or if the file is one
    /// without leases, which only somebody killed while writing it leaves.
    fn remembered(&mut self, key: &Key) -> Option<Vec<IpAddr>> {
        let Some(owner) = self.owners.get(key) else {
            return (!self.owners.is_in_doubt(key)).then(Vec::new);
        };
        let ips = addresses(owner);
        if self.owners.is_complete() {
            return Some(ips);
        }
        let is_theirs = |lease: Option<Lease>| matches!(lease, Some(Lease::Of(other, _)) if other == *key);
        let agreed = !ips.is_empty() && ips.iter().all(|&ip| is_theirs(self.leases.read(ip).ok().flatten()));
        agreed.then_some(ips)
    }

    fn set_owner(&mut self, key: &Key, owner: Owner) {
        let spare = spare(self.side_fd.as_ref(), SPARE_OWNER);
        if self.owners.set(key, owner, spare).is_err() {
            self.index.contradict();
        }
    }

    fn forget(&mut self, key: &Key, released: &BTreeSet<IpAddr>) {
        let Some(mut owner) = self.owners.get(key).cloned() else { return };
        owner.leases.retain(|(ip, _)| !released.contains(ip));
        if !owner.leases.is_empty() {
            return self.set_owner(key, owner);
        }
        let spare = spare(self.side_fd.as_ref(), SPARE_OWNER);
        if self.owners.remove(key, spare).is_err() {
            self.index.contradict();
        }
    }

    fn spare(&self, name: &'static str) -> Option<Spare<'_>> {
        spare(self.side_fd.as_ref(), name)
    }
}

/// The last file that was removed waits in the side directory for the next one that is made.
fn spare<'a>(side: Option<&'a OwnedFd>, name: &'static str) -> Option<Spare<'a>> {
    side.map(|fd| Spare { dir: fd.as_fd(), name })
}

fn addresses(owner: &Owner) -> Vec<IpAddr> {
    owner.leases.iter().map(|(ip, _)| *ip).collect()
}

/// Takes the lock that the reference takes. It holds it for each allocation, we for the whole call; nothing
/// else is locked meanwhile, so nothing can wait in a circle.
fn lock(dir: &Path) -> kernel::Result<Lock> {
    Lock::acquire(&dir.join("lock"), 0o750)
}

fn is_missing(cause: &kernel::Error) -> bool {
    std::io::Error::from(cause.errno()).kind() == ErrorKind::NotFound
}

/// Code 5, in the kernel room's words.
#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn io_error(cause: kernel::Error) -> Error {
    Error::io(cause.to_string())
}

fn create_dir(path: &Path) -> Result<()> {
    let created = DirBuilder::new().recursive(true).mode(0o755).create(path);
    created.map_err(|cause| trouble("create directory", path, &cause))
}

/// Code 5: what was tried on which path, and the cause.
fn trouble(tried: &str, path: &Path, cause: &std::io::Error) -> Error {
    Error::io(format!("{tried} {}: {cause}", path.display()))
}
