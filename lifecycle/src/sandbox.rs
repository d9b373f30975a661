//! Sandboxes: network namespaces that a name keeps alive, as `ip netns` makes them.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kernel::link;
use kernel::netns::NetNs;
use kernel::rtnl::Rtnl;
use spec::names::ContainerId;

/// Where `ip netns` looks for names.
pub const DEFAULT_DIR: &str = "/run/netns";

/// The index of `lo` in every namespace (LOOPBACK_IFINDEX).
const LOOPBACK: u32 = 1;

/// A directory of named network namespaces.
#[derive(Clone, Debug)]
pub struct Sandboxes {
    dir: PathBuf,
}

/// A name in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// The name; others may have made names that are no [`ContainerId`].
    pub name: String,
    /// Where the namespace is mounted.
    pub path: PathBuf,
    /// What the name leads to.
    pub state: State,
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A network namespace, by its inode as in `net:[4026532000]`.
    Namespace(u64),
    /// Nothing, or the empty file that a creation leaves which was killed half way.
    Leftover,
    /// Something that no creation can have left: a file that holds something, a directory.
    Foreign,
    /// Only root can tell.
    Unreadable,
}

impl Sandboxes {
    /// The names in a directory, which is made with the first of them.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where a name is mounted, there or not.
    #[must_use]
    pub fn path(&self, name: &ContainerId) -> PathBuf {
        self.dir.join(name.as_str())
    }

    /// Makes a namespace under a new name, with nothing in it but its own loopback link, which is up. What a
    /// creation left that was killed half way is taken over.
    ///
    /// # Errors
    /// `EEXIST` when the name is taken; `EPERM` or `EACCES` without the privilege; then nothing is left.
    pub fn create(&self, name: &ContainerId) -> kernel::Result<Sandbox> {
        let path = self.path(name);
        let netns = match NetNs::create_pinned(&path) {
            Err(_) if is_abandoned(&path) => {
                NetNs::remove_pinned(&path)?;
                NetNs::create_pinned(&path)?
            }
            created => created?,
        };
        if let Err(error) = bring_loopback_up(&netns) {
            NetNs::remove_pinned(&path)?;
            return Err(error);
        }
        Ok(found(path))
    }

    /// Opens the namespace under a name.
    ///
    /// # Errors
    /// `ENOENT` when there is no such name; "is not a network namespace" when it leads to something else.
    pub fn open(&self, name: &ContainerId) -> kernel::Result<NetNs> {
        NetNs::open(&self.path(name))
    }

    /// All names, in order.
    ///
    /// # Errors
    /// The directory is there and cannot be read.
    pub fn list(&self) -> io::Result<Vec<Sandbox>> {
        let names = match std::fs::read_dir(&self.dir) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut paths: Vec<_> = names.filter_map(|name| Some(name.ok()?.path())).collect();
        paths.sort();
        Ok(paths.into_iter().map(found).collect())
    }

    /// Takes a name away, also what a killed creation left of it; fine if it is gone already.
    ///
    /// The namespace ends when its last process and mount have.
    ///
    /// # Errors
    /// `EPERM` or `EACCES` without the privilege; "is not a network namespace" when the name leads to something
    /// that no creation can have left.
    pub fn delete(&self, name: &ContainerId) -> kernel::Result<()> {
        let path = self.path(name);
        match std::fs::symlink_metadata(&path) {
            Ok(file) if !is_empty(&file) => drop(NetNs::open(&path)?),
            _ => {}
        }
        NetNs::remove_pinned(&path)
    }
}

/// What a path leads to now.
#[must_use]
pub fn state_of(path: &Path) -> State {
    match NetNs::open(path).and_then(|netns| netns.identity()) {
        Ok(identity) => State::Namespace(identity.ino),
        Err(error) if io::Error::from(error.errno()).kind() == io::ErrorKind::PermissionDenied => {
            State::Unreadable
        }
        Err(_) => match std::fs::symlink_metadata(path) {
            Ok(file) if !is_empty(&file) => State::Foreign,
            _ => State::Leftover,
        },
    }
}

fn bring_loopback_up(netns: &NetNs) -> kernel::Result<()> {
    Rtnl::open_in(netns)?.request(link::set_up(LOOPBACK))
}

/// A file that waits for a mount which will never come: mounting takes a millisecond.
fn is_abandoned(path: &Path) -> bool {
    let Ok(file) = std::fs::symlink_metadata(path) else { return false };
    let age = file.modified().ok().and_then(|made| made.elapsed().ok()).unwrap_or_default();
    is_empty(&file) && age > Duration::from_secs(2) && state_of(path) == State::Leftover
}

fn is_empty(file: &Metadata) -> bool {
    file.is_file() && file.len() == 0
}

fn found(path: PathBuf) -> Sandbox {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Sandbox { state: state_of(&path), name, path }
}
