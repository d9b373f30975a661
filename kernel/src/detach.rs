//! A helper process that does one thing after the caller has gone.

use crate::error::{Result, Tried};
use crate::sys;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use rustix::fs::{Mode, OFlags};
use rustix::thread::Timespec;

/// What `ps` shows of a helper.
const NAME: &std::ffi::CStr = c"tidewater-del";

/// How long a socket is kept open for the kernel to end its work.
const LINGER: Timespec = Timespec { tv_sec: 0, tv_nsec: 60_000_000 };

/// Runs `f` in a process of its own, and returns as soon as that exists. The caller has nothing to wait for:
/// the helper is init's child from the start, and it holds nothing of the caller's (no pipe, no directory, no
/// descriptor) but `keep`.
///
/// **The rule for `f`**: it makes system calls on what was built before the fork, and nothing else. It must
/// not allocate or free memory, print, panic, or take a lock: another thread of the caller may have held that
/// lock at the fork, and in the helper nobody will ever let it go. What it owns is not dropped.
///
/// # Errors
/// The process cannot be made (`EAGAIN`, `ENOMEM`); then the caller does the work itself.
pub fn detached(keep: &[BorrowedFd<'_>], f: impl FnOnce()) -> Result<()> {
    let mut keep: Vec<RawFd> = keep.iter().map(|fd| fd.as_raw_fd()).collect();
    keep.sort_unstable();
    keep.dedup();
    sys::fork_detached(|| {
        let_go(&keep);
        f();
    })
    .tried("start", "helper process")
}

/// Closes a netfilter socket after a deletion, without waiting: a helper keeps it open meanwhile. Where no helper can
/// be had, the wait is sat out here.
///
/// The last close waits until the kernel has freed what was deleted, 4 to 30 ms, and holds the lock of the ruleset
/// while it waits: everybody else's changes wait too. After [`LINGER`] there is nothing left to wait for.
pub fn close_later(socket: impl AsFd) {
    // Its failure has no consequence but the wait.
    let _ = detached(&[socket.as_fd()], || {
        let _ = rustix::thread::nanosleep(&LINGER);
    });
}

/// Lets go of all that the caller may be waited for by, or that a mount may be held by.
fn let_go(keep: &[RawFd]) {
    sys::close_all_but(keep);
    // Whatever opens next must not become standard output: 0, 1 and 2 lead to nowhere, unless they are among
    // the kept.
    let null = || rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty());
    for _ in 0..3 {
        match null() {
            Ok(fd) if fd.as_raw_fd() <= 2 => std::mem::forget(fd),
            _ => break,
        }
    }
    let _ = rustix::process::chdir(c"/");
    let _ = rustix::thread::set_name(NAME);
}
