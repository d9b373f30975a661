//! Network namespaces for the lab, made with nothing that the lab is there to test.
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

/// A network namespace pinned by a bind mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Netns {
    path: PathBuf,
}

impl Netns {
    /// A new namespace, pinned at `path`.
    pub fn create(path: &Path) -> Netns {
        in_a_thread(|| {
            unshare_network();
            as_after_boot();
            Netns::pin_own(path)
        })
    }

    /// Pins the namespace of the calling thread at `path`.
    pub fn pin_own(path: &Path) -> Netns {
        File::create(path).unwrap_or_else(|cause| panic!("create {}: {cause}", path.display()));
        mount_bind("/proc/thread-self/ns/net", path)
            .unwrap_or_else(|cause| panic!("pin a namespace at {}: {cause}", path.display()));
        Netns { path: path.into() }
    }

    /// A namespace that somebody else pinned.
    pub fn at(path: impl Into<PathBuf>) -> Netns {
        Netns { path: path.into() }
    }

    /// What CNI_NETNS says.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Inode number: what tells one namespace from another; 0 when it is gone.
    pub fn inode(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |found| std::os::unix::fs::MetadataExt::ino(&found))
    }

    /// Takes the pin away. The links inside vanish some time later.
    pub fn remove(&self) {
        unmount(&self.path, UnmountFlags::DETACH)
            .unwrap_or_else(|cause| panic!("unpin {}: {cause}", self.path.display()));
        std::fs::remove_file(&self.path).expect("remove the file of a pin");
    }

    /// Runs `f` on a thread inside the namespace; programs that it starts are inside as well.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        in_a_thread(|| {
            self.enter();
            f()
        })
    }

    /// Moves the calling thread into the namespace for good.
    pub fn enter(&self) {
        let pin =
            File::open(&self.path).unwrap_or_else(|cause| panic!("open {}: {cause}", self.path.display()));
        move_into_link_name_space(pin.as_fd(), Some(LinkNameSpaceType::Network)).expect("enter a namespace");
    }

    /// Runs a command line (words separated by spaces) inside and returns what it printed; it has to succeed.
    pub fn sh(&self, line: &str) -> String {
        self.run(|| super::command::run(line))
    }
}

#[allow(
    deprecated,
    reason = "the safe form; only sharing of file descriptors, which is not asked for, is dangerous"
)]
fn unshare_network() {
    rustix::thread::unshare(UnshareFlags::NEWNET).expect("make a network namespace");
}

/// A new namespace takes some settings from the first one of the machine.
pub(super) fn as_after_boot() {
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").expect("turn off forwarding in a new namespace");
}

/// A thread starts in the namespaces of the one that made it and may leave them without harm.
fn in_a_thread<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(f).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Waits until `reached` says true; panics with `what` when it does not within the time.
pub fn eventually(what: &str, within: Duration, mut reached: impl FnMut() -> bool) {
    let end = Instant::now() + within;
    while !reached() {
        assert!(Instant::now() < end, "waited {within:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}
