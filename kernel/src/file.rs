//! Files that appear whole or not at all, and what identifies one.
//!
//! For state that a reboot voids: atomic against a kill at any instruction, not against loss of power (no
//! fsync).

use crate::error::{Error, Result, Tried};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;
use std::path::Path;

/// Names a version of a file: another file, or the same file written again, has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// Inode.
    pub ino: u64,
    /// Time of the last change of its content: seconds since 1970,
    pub mtime_s: i64,
    /// and nanoseconds.
    pub mtime_ns: u32,
}

/// Opens a directory for the functions below.
///
/// # Errors
/// It is missing, or no directory.
pub fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).tried("open directory", path.display())
}

/// Makes the file `name` in `dir` with exactly this content and mode, whatever the umask. `None` when a file
/// of this name is there already, which is left as it is.
///
/// # Errors
/// The directory cannot be written, or is full.
pub fn create_whole(dir: impl AsFd, name: &str, mode: u32, bytes: &[u8]) -> Result<Option<FileId>> {
    let dir = dir.as_fd();
    let made = match open_nameless(dir) {
        Ok(fd) => fill(fd.as_fd(), mode, bytes).and_then(|id| give_name(fd.as_fd(), dir, name).map(|()| id)),
        // The file system cannot do without a name: overlay of old kernels, NFS, vfat.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => create_by_temporary(dir, name, mode, bytes),
        Err(errno) => Err(errno),
    };
    match made {
        Ok(id) => Ok(Some(id)),
        Err(Errno::EXIST) => Ok(None),
        Err(errno) => Err(Error::new("create file", name, errno)),
    }
}

/// Puts a file with exactly this content and mode in the place of whatever has this name.
///
/// # Errors
/// The directory cannot be written, or is full.
pub fn replace_whole(dir: impl AsFd, name: &str, mode: u32, bytes: &[u8]) -> Result<FileId> {
    let dir = dir.as_fd();
    let replaced =
        with_temporary(dir, name, mode, bytes, |temporary| rustix::fs::renameat(dir, temporary, dir, name));
    replaced.tried("replace file", name)
}

/// Puts a file with exactly this content in the place of whatever is at `path`, by way of the file `unfinished` in
/// the same directory, which a writer that is killed leaves there. For a file that only one process writes at a time:
/// of two at once, either's content may be there, or a mixture.
///
/// # Errors
/// The directory is missing, cannot be written, or is full.
pub fn write_alone(path: &Path, unfinished: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
    let write = || {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(unfinished, flags, Mode::from_raw_mode(mode))?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, rest))?;
            rest = rest.get(written..).unwrap_or_default();
        }
        rustix::fs::rename(unfinished, path)
    };
    write().tried("write file", path.display())
}

/// The content of a file; `None` when there is none.
///
/// # Errors
/// It cannot be read, or a directory on the way cannot be searched.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let read = || {
        let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut bytes = Vec::with_capacity(2048);
        loop {
            bytes.reserve(1024);
            let length = rustix::io::retry_on_intr(|| {
                rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes))
            })?;
            if length == 0 {
                return Ok(bytes);
            }
        }
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Error::new("read file", path.display().to_string(), errno)),
    }
}

/// Removes a file; `false` where there was none.
///
/// # Errors
/// The directory cannot be written, or is none.
pub fn remove(path: &Path) -> Result<bool> {
    match rustix::fs::unlink(path) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(Error::new("remove file", path.display().to_string(), errno)),
    }
}

/// The identity of the file at a path; `None` when there is none.
///
/// # Errors
/// A directory on the way cannot be searched.
pub fn id_of(path: &Path) -> Result<Option<FileId>> {
    forgive_absent(rustix::fs::stat(path)).tried("stat", path.display())
}

/// The identity of the file `name` in `dir`; `None` when there is none.
///
/// # Errors
/// The directory cannot be searched.
pub fn id_in(dir: impl AsFd, name: &str) -> Result<Option<FileId>> {
    forgive_absent(rustix::fs::statat(dir, name, AtFlags::empty())).tried("stat", name)
}

/// The identity of an open file or directory.
///
/// # Errors
/// The kernel refuses, which it has no reason to.
pub fn id_of_open(file: impl AsFd) -> Result<FileId> {
    rustix::fs::fstat(file).map(|stat| identity(&stat)).tried("stat", "open file")
}

/// Sets the time of the last change of an open file or directory, and of the last access with it.
///
/// # Errors
/// The file is somebody else's.
pub fn set_mtime(file: impl AsFd, seconds: i64, nanoseconds: u32) -> Result<()> {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::futimens(file, &times).tried("set time of", "open file")
}

/// No file: either it never was, or somebody removed it since its name was read.
fn forgive_absent(stat: rustix::io::Result<Stat>) -> rustix::io::Result<Option<FileId>> {
    match stat {
        Ok(stat) => Ok(Some(identity(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The types of `struct stat` differ from machine to machine.
#[allow(clippy::unnecessary_cast, clippy::cast_possible_truncation, reason = "nanoseconds are below 10^9")]
fn identity(stat: &Stat) -> FileId {
    FileId { ino: stat.st_ino as u64, mtime_s: stat.st_mtime as i64, mtime_ns: stat.st_mtime_nsec as u32 }
}

/// `O_TMPFILE`: a process killed from here on leaves nothing at all.
fn open_nameless(dir: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::openat(dir, c".", flags, Mode::from_raw_mode(0o600))
}

/// Mode and content of a new file.
fn fill(file: BorrowedFd<'_>, mode: u32, bytes: &[u8]) -> rustix::io::Result<FileId> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(file, rest))?;
        rest = rest.get(written..).unwrap_or_default();
    }
    if mode != 0o600 {
        rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
    }
    rustix::fs::fstat(file).map(|stat| identity(&stat))
}

/// Links the nameless file. `AT_EMPTY_PATH` wants `CAP_DAC_READ_SEARCH` (in the first user namespace, before
/// Linux 6.10); everybody may go by `/proc`.
fn give_name(file: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &str) -> rustix::io::Result<()> {
    match rustix::fs::linkat(file, c"", dir, name, AtFlags::EMPTY_PATH) {
        Err(Errno::NOENT | Errno::PERM) => give_name_by_proc(file, dir, name),
        other => other,
    }
}

fn give_name_by_proc(file: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &str) -> rustix::io::Result<()> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(rustix::fs::CWD, path, dir, name, AtFlags::SYMLINK_FOLLOW)
}

fn create_by_temporary(
    dir: BorrowedFd<'_>,
    name: &str,
    mode: u32,
    bytes: &[u8],
) -> rustix::io::Result<FileId> {
    with_temporary(dir, name, mode, bytes, |temporary| {
        match rustix::fs::renameat_with(dir, temporary, dir, name, RenameFlags::NOREPLACE) {
            // The file system does not know the flag: a link never replaces either.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::linkat(dir, temporary, dir, name, AtFlags::empty())?;
                rustix::fs::unlinkat(dir, temporary, AtFlags::empty())
            }
            other => other,
        }
    })
}

/// Writes a file of a temporary name beside `name`, has it moved by `place`, and removes it where that
/// failed.
///
/// The temporary name is the same each time, so that what a process leaves that is killed here is written
/// over by the next; a lock on the directory keeps two from writing it at once.
fn with_temporary(
    dir: BorrowedFd<'_>,
    name: &str,
    mode: u32,
    bytes: &[u8],
    place: impl FnOnce(&str) -> rustix::io::Result<()>,
) -> rustix::io::Result<FileId> {
    let temporary = format!(".{name}.tmp");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let lock = rustix::fs::openat(dir, c".", flags, Mode::empty())?;
    rustix::io::retry_on_intr(|| rustix::fs::flock(&lock, FlockOperation::LockExclusive))?;
    let made = write_temporary(dir, &temporary, mode, bytes).and_then(|id| place(&temporary).map(|()| id));
    if made.is_err() {
        let _ = rustix::fs::unlinkat(dir, temporary.as_str(), AtFlags::empty());
    }
    made
}

fn write_temporary(dir: BorrowedFd<'_>, name: &str, mode: u32, bytes: &[u8]) -> rustix::io::Result<FileId> {
    // A leftover may have a mode that forbids writing, or be no file at all: it goes first.
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o600))?;
    fill(fd.as_fd(), mode, bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn without_nameless_files_one_of_many_makes_it() {
        let dir = tempfile::tempdir().unwrap();
        let fd = open_directory(dir.path()).unwrap();
        let make = |content: u8| create_by_temporary(fd.as_fd(), "lease", 0o644, &[content; 4096]);
        let made: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|content| scope.spawn(move || make(content))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
        assert_eq!(made.iter().filter(|made| **made == Err(Errno::EXIST)).count(), 7);
        let content = std::fs::read(dir.path().join("lease")).unwrap();
        assert!(content.len() == 4096 && content.iter().all(|byte| *byte == content[0]));
        assert_eq!(names(dir.path()), ["lease"]);
    }

    #[test]
    fn what_a_killed_process_left_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let fd = open_directory(dir.path()).unwrap();
        write_temporary(fd.as_fd(), ".lease.tmp", 0o444, b"half of").unwrap();
        create_by_temporary(fd.as_fd(), "lease", 0o600, b"whole").unwrap();
        assert_eq!(std::fs::read(dir.path().join("lease")).unwrap(), b"whole");
        assert_eq!(names(dir.path()), ["lease"]);
    }

    #[test]
    fn without_privilege_a_file_gets_its_name_by_proc() {
        let dir = tempfile::tempdir().unwrap();
        let fd = open_directory(dir.path()).unwrap();
        let file = open_nameless(fd.as_fd()).unwrap();
        fill(file.as_fd(), 0o600, b"content").unwrap();
        give_name_by_proc(file.as_fd(), fd.as_fd(), "lease").unwrap();
        assert_eq!(std::fs::read(dir.path().join("lease")).unwrap(), b"content");
        assert_eq!(give_name_by_proc(file.as_fd(), fd.as_fd(), "lease"), Err(Errno::EXIST));
    }
}
