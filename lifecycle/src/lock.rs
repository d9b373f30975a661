//! Who has to wait for whom: GC for every ADD and DEL of its network, and all that touches one container.
//!
//! The locks are flock(2) on files of their own, so they end with their holder, however that ends. A network's
//! lock is always taken before a container's, and a container's is the last: nobody waits in a circle.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use spec::names::{ContainerId, NetworkName};

use crate::cache::private_dir;
use crate::error::{Error, Result};

/// A chain of a few plugins, each within its own deadline, is done by then.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Between two looks at a lock that somebody holds: from the first to the longest, doubling.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// The directory of the lock files, beside the cache that they guard.
#[derive(Clone, Debug)]
pub(crate) struct Locks {
    dir: PathBuf,
    patience: Duration,
}

/// Held as long as this lives.
#[derive(Debug)]
pub(crate) struct Held {
    /// Nothing reads it: closing it is what ends the lock.
    _file: File,
    /// Set where the file goes when the lock does.
    remove: Option<PathBuf>,
}

/// How much of the others a lock keeps away.
#[derive(Clone, Copy, Debug)]
enum Share {
    WithOthers,
    Alone,
}

impl Locks {
    /// Locks in a directory, which is made when the first of them is taken.
    pub(crate) fn new(dir: PathBuf, patience: Duration) -> Self {
        Self { dir, patience }
    }

    /// For ADD, CHECK, DEL: any number at once, none while GC runs.
    pub(crate) fn in_network(&self, network: &NetworkName) -> Result<Held> {
        let path = self.dir.join("networks").join(network.as_str());
        Ok(Held { _file: self.take(&path, &format!("network {network}"), Share::WithOthers)?, remove: None })
    }

    /// For GC: waits until no ADD, CHECK, DEL runs, and keeps them waiting.
    pub(crate) fn whole_network(&self, network: &NetworkName) -> Result<Held> {
        let path = self.dir.join("networks").join(network.as_str());
        Ok(Held { _file: self.take(&path, &format!("network {network}"), Share::Alone)?, remove: None })
    }

    /// One operation at a time for one container, whatever the network.
    pub(crate) fn container(&self, container: &ContainerId) -> Result<Held> {
        let path = self.dir.join("containers").join(container.as_str());
        let file = self.take(&path, &format!("container {container}"), Share::Alone)?;
        Ok(Held { _file: file, remove: Some(path) })
    }

    fn take(&self, path: &Path, what: &str, share: Share) -> Result<File> {
        let failed = |cause| Error::File { tried: "lock", path: path.into(), cause };
        path.parent().map_or(Ok(()), private_dir).map_err(failed)?;
        let deadline = Instant::now() + self.patience;
        let mut pause = PAUSES.0;
        loop {
            if let Some(file) = try_once(path, share).map_err(failed)? {
                return Ok(file);
            }
            if Instant::now() >= deadline {
                return Err(Error::Busy { what: what.into(), waited: self.patience });
            }
            sleep(pause);
            pause = PAUSES.1.min(pause * 2);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(path) = &self.remove {
            // Still ours: whoever waits on this file sees that it has gone and makes a new one.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The lock, or none where somebody else holds it.
fn try_once(path: &Path, share: Share) -> io::Result<Option<File>> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let taken = match share {
        Share::WithOthers => file.try_lock_shared(),
        Share::Alone => file.try_lock(),
    };
    match taken {
        // A holder removes a container's file: what was locked may no longer be what the path leads to.
        Ok(()) if is_at(&file, path)? => Ok(Some(file)),
        Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (held.dev(), held.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::{Duration, Error, Locks};

    fn impatient(dir: &tempfile::TempDir) -> Locks {
        Locks::new(dir.path().join("locks"), Duration::from_millis(30))
    }

    #[test]
    fn several_attachments_of_a_network_go_on_at_once_but_none_during_gc() {
        let dir = tempfile::tempdir().unwrap();
        let locks = impatient(&dir);
        let network = "front".parse().unwrap();
        let one = locks.in_network(&network).unwrap();
        let _two = locks.in_network(&network).unwrap();
        assert!(matches!(locks.whole_network(&network), Err(Error::Busy { .. })));
        drop((one, _two));
        let _gc = locks.whole_network(&network).unwrap();
        assert!(matches!(locks.in_network(&network), Err(Error::Busy { .. })));
        locks.in_network(&"back".parse().unwrap()).unwrap();
    }

    #[test]
    fn a_waiting_operation_goes_on_as_soon_as_the_lock_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let locks = Locks::new(dir.path().join("locks"), Duration::from_secs(20));
        let held = locks.container(&"web".parse().unwrap()).unwrap();
        let waiting = thread::spawn({
            let locks = locks.clone();
            move || locks.container(&"web".parse().unwrap()).map(drop)
        });
        thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished());
        drop(held);
        waiting.join().unwrap().unwrap();
    }

    #[test]
    fn one_container_is_never_held_twice_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let locks = Locks::new(dir.path().join("locks"), Duration::from_secs(20));
        let inside = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _held = locks.container(&"web".parse().unwrap()).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(std::fs::read_dir(dir.path().join("locks/containers")).unwrap().count(), 0);
    }
}
