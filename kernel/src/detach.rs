//! A helper process that does one thing after the caller has gone.

use crate::error::{Result, Tried};
use crate::sys;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use rustix::fs::{Mode, OFlags};

/// What `ps` shows of a helper.
const NAME: &std::ffi::CStr = c"tidewater-del";

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

/// Closes a netfilter socket without waiting for the kernel to free what was deleted by it (4-30 ms): a helper
/// holds it until the caller has let go of it, and sits the wait out. Where no helper can be had the caller
/// waits itself.
pub fn close_elsewhere(socket: impl AsFd) {
    let Ok((until, caller)) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC) else { return };
    let keep = [socket.as_fd(), until.as_fd()];
    let helper = || {
        // Nothing is ever written: the read ends when the caller has closed its end, or was killed. Whoever
        // closes the socket last is the one that waits, and that has to be the helper.
        let _ = rustix::io::read(&until, &mut [0u8; 1][..]);
    };
    let held = detached(&keep, helper);
    drop(socket);
    drop(caller);
    // Without a helper the socket was closed just now, and the wait is over.
    let _ = held;
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
