//! The only place that may say `unsafe`: system calls that neither std nor rustix offers as safe functions,
//! the note that every binary of this build carries, and the plugins' allocator.
#![allow(
    unsafe_code,
    reason = "the one place for what the compiler cannot check; each block tells why it holds"
)]

pub(crate) mod arena;

use rustix::fd::{AsRawFd, BorrowedFd, RawFd};
use rustix::io::{Errno, Result};
use rustix::process::Pid;
use std::ffi::{c_int, c_void};

/// Type of the only note in the section: "the version is the description".
pub(crate) const NOTE_TYPE: u32 = 1;
/// Owner of the note, with its NUL and the padding to four bytes.
pub(crate) const NOTE_OWNER: &[u8; 12] = b"Tidewater\0\0\0";
/// Length of the owner without the padding.
pub(crate) const NOTE_OWNER_LENGTH: u32 = 10;
const VERSION: &str = env!("CARGO_PKG_VERSION");
const PADDED: usize = VERSION.len().next_multiple_of(4);

/// An ELF note (`Elf64_Nhdr`, owner, description), as `readelf -n` shows it.
#[repr(C, align(4))]
struct Note {
    owner_length: u32,
    description_length: u32,
    kind: u32,
    owner: [u8; 12],
    description: [u8; PADDED],
}

#[used]
// SAFETY: `.note.*` sections hold notes, and this static is one: `repr(C)`, aligned to four, padded to four.
#[unsafe(link_section = ".note.tidewater")]
static NOTE: Note = Note {
    owner_length: NOTE_OWNER_LENGTH,
    #[allow(clippy::cast_possible_truncation, reason = "a version has a few bytes; try_from is not const")]
    description_length: VERSION.len() as u32,
    kind: NOTE_TYPE,
    owner: *NOTE_OWNER,
    description: padded(VERSION.as_bytes()),
};

const fn padded(text: &[u8]) -> [u8; PADDED] {
    let mut bytes = [0; PADDED];
    let mut at = 0;
    while at < text.len() {
        bytes[at] = text[at];
        at += 1;
    }
    bytes
}

/// The version in this binary's own note. Reading it from the note keeps the note linked in.
pub(crate) fn own_note() -> &'static str {
    let description = std::hint::black_box(&NOTE).description.get(..VERSION.len());
    description.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or(VERSION)
}

/// Sets a socket option that is an `int`.
pub(crate) fn set_socket_option(fd: BorrowedFd<'_>, level: c_int, option: c_int, value: c_int) -> Result<()> {
    let length = libc::socklen_t::try_from(size_of::<c_int>()).map_err(|_| Errno::INVAL)?;
    // SAFETY: the kernel reads `length` bytes at the pointer, which is the whole of `value`, alive for the
    // call.
    let status = unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast::<c_void>(), length)
    };
    check(status).map(drop)
}

/// The type of a namespace (`CLONE_NEW*`) from a file of nsfs (ioctl_nsfs(2)).
pub(crate) fn namespace_type(fd: BorrowedFd<'_>) -> Result<c_int> {
    // SAFETY: NS_GET_NSTYPE takes no argument; on a file that does not know it the kernel answers ENOTTY.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::NS_GET_NSTYPE as _) })
}

/// Moves the calling thread into a network namespace that is new.
pub(crate) fn unshare_network() -> Result<()> {
    // SAFETY: the danger of unshare is CLONE_FILES, which would hide descriptors from other threads; it is
    // not asked for.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
}

/// Closes every descriptor from `first` to `last`.
///
/// For a process about to end only: whoever owned those descriptors must not run again.
fn close_range(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    // SAFETY: closing is a memory-safe act; called between fork and exit only, where no owner runs any more.
    let status = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if status == 0 {
        return;
    }
    // Kernels before 5.9 have no close_range. Nobody there has more than a few descriptors in a short-lived
    // process.
    for fd in first..=last.min(1023) {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
}

/// Closes every descriptor except `keep`, which is in ascending order.
///
/// For a process about to end only: whoever owned those descriptors must not run again.
pub(crate) fn close_all_but(keep: &[RawFd]) {
    let mut first = 0;
    for fd in keep {
        close_range(first, fd - 1);
        first = fd + 1;
    }
    close_range(first, RawFd::MAX);
}

/// Runs `child` in a process of its own that is nobody's child but init's, and ends it there.
///
/// Two forks: the first child only makes the second and ends, and is waited for here, so that the caller is
/// left with no zombie and no SIGCHLD to come. In the child only the calling thread lives: another thread may
/// have held the allocator's lock at the fork, so `child` must not allocate, free, print, panic or take a
/// lock. It never returns: no destructor and no atexit handler of the caller runs twice.
pub(crate) fn fork_detached(child: impl FnOnce()) -> Result<()> {
    // SAFETY: the new process has its own copy of all memory; what it may do with it is said above and kept
    // by the callers inside this crate, which only make system calls on what was prepared before.
    let first = check(unsafe { libc::fork() })?;
    if first != 0 {
        return wait_for(first);
    }
    // SAFETY: as above; the first child does nothing but fork and end.
    match unsafe { libc::fork() } {
        0 => child(),
        -1 => exit(1),
        _ => exit(0),
    }
    exit(0)
}

/// Waits for the intermediate child; that it could not fork is told by its exit code.
fn wait_for(child: libc::pid_t) -> Result<()> {
    let pid = Pid::from_raw(child).ok_or(Errno::CHILD)?;
    let waited = rustix::io::retry_on_intr(|| {
        rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())
    });
    match waited {
        Ok(Some((_, status))) if status.exit_status() == Some(0) => Ok(()),
        // A caller that ignores SIGCHLD has the child reaped by the kernel, and its exit code with it.
        Err(Errno::CHILD) => Ok(()),
        Ok(_) => Err(Errno::AGAIN),
        Err(errno) => Err(errno),
    }
}

fn exit(code: c_int) -> ! {
    // SAFETY: ends the process without running anything of it, which is what is wanted here.
    unsafe { libc::_exit(code) }
}

fn check(status: c_int) -> Result<c_int> {
    if status >= 0 {
        return Ok(status);
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
}
