//! A file kept for the next one: making an inode is most of the cost of a small file (50 us on ext4, against
//! 14 us for writing over a spare one and moving it into place), and who churns leases makes and removes one
//! each time.
//!
//! The spare lies in a directory that nobody reads; only its move gives it a name that counts, so it appears
//! whole or not at all, and a process killed between leaves nothing but the spare. Whoever uses one holds a
//! lock.

use crate::error::{Error, Result, Tried};
use crate::file::{FileId, id_of_open};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// Where a spare lies.
#[derive(Clone, Copy, Debug)]
pub struct Spare<'a> {
    /// Its directory, on the same file system as the places where it is used.
    pub dir: BorrowedFd<'a>,
    /// Its name there.
    pub name: &'a str,
}

/// How a use of a spare ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used {
    /// It has the name now.
    Placed(FileId),
    /// A file of that name is there already, and is left as it is.
    Taken,
    /// There is no spare, or none that can be used: the file has to be made.
    None,
}

impl Spare<'_> {
    /// Writes the content into the spare and moves it to `name` in `dir`.
    ///
    /// # Errors
    /// The spare cannot be written, for want of space above all.
    pub fn place(&self, dir: impl AsFd, name: &str, bytes: &[u8]) -> Result<Used> {
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(self.dir, self.name, flags, Mode::empty()) else {
            return Ok(Used::None);
        };
        let written = rustix::io::pwrite(&file, bytes, 0)
            .and_then(|length| if length == bytes.len() { Ok(()) } else { Err(Errno::NOSPC) })
            .and_then(|()| rustix::fs::ftruncate(&file, bytes.len() as u64));
        written.tried("write file", name)?;
        let id = id_of_open(&file)?;
        match rustix::fs::renameat_with(self.dir, self.name, &dir, name, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(Used::Placed(id)),
            Err(Errno::EXIST) => Ok(Used::Taken),
            // No such flag on this file system, or another one: a spare is of no use here.
            Err(Errno::INVAL | Errno::XDEV | Errno::NOENT) => Ok(Used::None),
            Err(errno) => Err(Error::new("create file", name, errno)),
        }
    }

    /// Takes `name` out of `dir` and keeps it as the spare; false when that is not possible, because there is
    /// one already or the file is none of ours, and nothing was done.
    pub fn keep(&self, dir: impl AsFd, name: &str) -> bool {
        let dir = dir.as_fd();
        is_plain(dir, name)
            && rustix::fs::renameat_with(dir, name, self.dir, self.name, RenameFlags::NOREPLACE).is_ok()
    }
}

/// A regular file of mode 0600 with one name: what this house makes, and what can be written over without
/// harm.
fn is_plain(dir: BorrowedFd<'_>, name: &str) -> bool {
    rustix::fs::statat(dir, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
        let mode = stat.st_mode;
        FileType::from_raw_mode(mode) == FileType::RegularFile
            && Mode::from_raw_mode(mode) == Mode::RUSR | Mode::WUSR
            && stat.st_nlink == 1
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::file::{create_whole, open_directory};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn with_dirs(test: impl FnOnce(&Spare<'_>, &Path, BorrowedFd<'_>)) {
        let root = tempfile::tempdir().unwrap();
        for name in ["side", "leases"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        let (side, leases) = (root.path().join("side"), root.path().join("leases"));
        let (side_fd, leases_fd) = (open_directory(&side).unwrap(), open_directory(&leases).unwrap());
        test(&Spare { dir: side_fd.as_fd(), name: "spare" }, &leases, leases_fd.as_fd());
    }

    #[test]
    fn a_kept_file_comes_back_with_new_content_and_nothing_of_the_old() {
        with_dirs(|spare, path, dir| {
            create_whole(dir, "10.0.0.2", 0o600, b"a longer content").unwrap();
            assert!(spare.keep(dir, "10.0.0.2"));
            assert!(!path.join("10.0.0.2").exists());
            assert!(matches!(spare.place(dir, "10.0.0.3", b"short").unwrap(), Used::Placed(_)));
            assert_eq!(std::fs::read(path.join("10.0.0.3")).unwrap(), b"short");
            assert_eq!(spare.place(dir, "10.0.0.4", b"x").unwrap(), Used::None);
        });
    }

    #[test]
    fn a_taken_name_keeps_its_file_and_the_spare_stays() {
        with_dirs(|spare, path, dir| {
            for name in ["10.0.0.2", "10.0.0.3"] {
                create_whole(dir, name, 0o600, name.as_bytes()).unwrap();
            }
            assert!(spare.keep(dir, "10.0.0.2"));
            assert_eq!(spare.place(dir, "10.0.0.3", b"other").unwrap(), Used::Taken);
            assert_eq!(std::fs::read(path.join("10.0.0.3")).unwrap(), b"10.0.0.3");
            assert!(!spare.keep(dir, "10.0.0.3"), "one spare is enough");
            assert!(path.join("10.0.0.3").exists());
        });
    }

    #[test]
    fn what_is_not_a_plain_file_of_ours_is_not_kept() {
        with_dirs(|spare, path, dir| {
            std::os::unix::fs::symlink("/etc/passwd", path.join("link")).unwrap();
            std::fs::create_dir(path.join("dir")).unwrap();
            std::fs::write(path.join("open"), b"").unwrap();
            std::fs::set_permissions(path.join("open"), PermissionsExt::from_mode(0o644)).unwrap();
            create_whole(dir, "twice", 0o600, b"").unwrap();
            std::fs::hard_link(path.join("twice"), path.join("again")).unwrap();
            for name in ["link", "dir", "open", "twice", "missing"] {
                assert!(!spare.keep(dir, name), "{name}");
            }
        });
    }
}
