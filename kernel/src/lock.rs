//! An exclusive lock among processes that ends with its holder, however that ends: flock(2).

use crate::error::{Result, Tried};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::path::Path;

/// The lock is held as long as this lives.
#[derive(Debug)]
pub struct Lock {
    fd: OwnedFd,
}

impl Lock {
    /// Opens the file, made with `mode` (less the umask) when missing, and waits for the lock on it.
    ///
    /// # Errors
    /// The file cannot be opened, or its file system knows no locks.
    pub fn acquire(path: &Path, mode: u32) -> Result<Lock> {
        Lock::on(path, OFlags::RDWR | OFlags::CREATE, Mode::from_raw_mode(mode))
    }

    /// Waits for the lock on a directory.
    ///
    /// # Errors
    /// It is no directory, or its file system knows no locks.
    pub fn acquire_directory(path: &Path) -> Result<Lock> {
        Lock::on(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
    }

    fn on(path: &Path, flags: OFlags, mode: Mode) -> Result<Lock> {
        let fd = rustix::fs::open(path, flags | OFlags::CLOEXEC, mode).tried("open", path.display())?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&fd, FlockOperation::LockExclusive))
            .tried("lock", path.display())?;
        Ok(Lock { fd })
    }
}

/// A process that has a duplicate of the descriptor holds the lock as well, until both have ended.
impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
