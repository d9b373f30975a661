//! Network namespaces: open, compare, run something inside, keep one by a mount.

use crate::error::{Error, Result, Tried, errno_of};
use crate::sys;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, UnmountFlags};
use rustix::thread::LinkNameSpaceType;
use std::path::{Path, PathBuf};

/// `statfs.f_type` of the file system that namespaces live in.
const NSFS_MAGIC: rustix::fs::FsWord = 0x6e73_6673;
/// What `NS_GET_NSTYPE` answers for a network namespace.
const CLONE_NEWNET: i32 = 0x4000_0000;
/// The namespace of the calling thread; `self` would be that of the process's first thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace that is kept alive by this value.
#[derive(Debug)]
pub struct NetNs {
    fd: OwnedFd,
}

/// Tells namespaces apart: two paths with the same identity lead to the same namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Device of nsfs.
    pub dev: u64,
    /// Inode of the namespace, as in `net:[4026531840]`.
    pub ino: u64,
}

impl NetNs {
    /// Opens the namespace at a path: a pinned one, or `/proc/<pid>/ns/net`.
    ///
    /// # Errors
    /// The path cannot be opened, or it `is not a network namespace`.
    pub fn open(path: &Path) -> Result<NetNs> {
        // NONBLOCK: a FIFO at this path must not hang the caller.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd =
            rustix::fs::open(path, flags, Mode::empty()).tried("open network namespace", path.display())?;
        if is_network_namespace(fd.as_fd()) {
            return Ok(NetNs { fd });
        }
        let error = Error::new("open network namespace", path.display().to_string(), Errno::INVAL);
        Err(error.because("is not a network namespace"))
    }

    /// The calling thread's own namespace.
    ///
    /// # Errors
    /// `/proc` is not there, or the process has no descriptor left.
    pub fn current() -> Result<NetNs> {
        let fd = rustix::fs::open(OWN, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        Ok(NetNs { fd: fd.tried("open network namespace", OWN)? })
    }

    /// What this namespace is known by.
    ///
    /// # Errors
    /// The kernel refuses fstat, which it has no reason to.
    pub fn identity(&self) -> Result<Identity> {
        let stat = rustix::fs::fstat(&self.fd).tried("stat", "network namespace")?;
        Ok(Identity { dev: stat.st_dev, ino: stat.st_ino })
    }

    /// Runs `f` on the calling thread inside this namespace and comes back, on whatever way `f` is left.
    ///
    /// A process that cannot come back is aborted: whatever it did next would hit the wrong host.
    ///
    /// # Errors
    /// The namespace cannot be entered (`EPERM`); `f` did not run then.
    pub fn run<T>(&self, f: impl FnOnce() -> T) -> Result<T> {
        let here = NetNs::current()?;
        enter(self.as_fd()).tried("enter", "network namespace")?;
        let _back = Back(here);
        Ok(f())
    }

    /// Makes a namespace that lives as long as the file at `path` is mounted, as `ip netns add` does in
    /// `/run/netns`.
    ///
    /// The directory is made when missing, and made a shared mount so that other mount namespaces see the
    /// mount too. The calling thread stays where it is. The loopback link of the new namespace is down.
    ///
    /// # Errors
    /// `EEXIST` when the file is there already; any step's own error, and then nothing is left.
    pub fn create_pinned(path: &Path) -> Result<NetNs> {
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        share_directory(directory)?;
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::from_raw_mode(0o444)).tried("create", path.display())?;
        let pinned = mount_new(path).and_then(|()| NetNs::open(path));
        if pinned.is_err() {
            let _ = NetNs::remove_pinned(path);
        }
        pinned
    }

    /// Takes the mount and its file away; fine when they are gone already. The namespace ends with its last
    /// user.
    ///
    /// # Errors
    /// The kernel refuses to unmount or to unlink.
    pub fn remove_pinned(path: &Path) -> Result<()> {
        match rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            // Gone, or a file left by a creation that was killed before it mounted: only the file is left to
            // remove.
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(errno) => return Err(Error::new("unmount", path.display().to_string(), errno)),
        }
        match rustix::fs::unlink(path) {
            // Somebody else removed it at the same time.
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::new("remove", path.display().to_string(), errno)),
        }
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Goes back when dropped, hence also while unwinding.
struct Back(NetNs);

impl Drop for Back {
    fn drop(&mut self) {
        if enter(self.0.as_fd()).is_err() {
            std::process::abort();
        }
    }
}

fn enter(netns: BorrowedFd<'_>) -> rustix::io::Result<()> {
    rustix::thread::move_into_link_name_space(netns, Some(LinkNameSpaceType::Network))
}

fn is_network_namespace(fd: BorrowedFd<'_>) -> bool {
    let on_nsfs = rustix::fs::fstatfs(fd).is_ok_and(|fs| fs.f_type == NSFS_MAGIC);
    on_nsfs && sys::namespace_type(fd) == Ok(CLONE_NEWNET)
}

/// Mounts a new namespace on `path`. A thread of its own goes there, so that the caller's never moves.
fn mount_new(path: &Path) -> Result<()> {
    let target: PathBuf = path.into();
    let work = move || -> Result<()> {
        sys::unshare_network().tried("create", "network namespace")?;
        rustix::mount::mount_bind(OWN, &target).tried("mount network namespace on", target.display())
    };
    let thread = std::thread::Builder::new().name("netns".to_owned()).spawn(work);
    let thread = thread.map_err(|error| Error::new("start", "thread", errno_of(&error)))?;
    thread.join().unwrap_or_else(|_| Err(Error::new("create", "network namespace", Errno::CANCELED)))
}

/// Makes the directory and turns it into a shared mount of its own, where it is not one yet (ip-netns(8)).
fn share_directory(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory)
        .map_err(|error| Error::new("create directory", directory.display().to_string(), errno_of(&error)))?;
    // Two at once would both find no mount and stack two: the lock makes the second one look again.
    let _lock = crate::lock::Lock::acquire_directory(directory)?;
    let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    match rustix::mount::mount_change(directory, shared) {
        // Not a mount point: it has to become one before it can be shared.
        Err(Errno::INVAL) => {}
        other => return other.tried("share", directory.display()),
    }
    rustix::mount::mount_bind_recursive(directory, directory).tried("mount", directory.display())?;
    rustix::mount::mount_change(directory, shared).tried("share", directory.display())
}
