//! Kernel settings under `/proc/sys`, of the calling thread's namespace where they belong to one.

use crate::error::{Error, Result, Tried};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::path::PathBuf;

/// The value of `net/ipv4/ip_forward` and the like, without the line's end.
///
/// # Errors
/// There is no such sysctl, or it cannot be read.
pub fn get(path: &str) -> Result<String> {
    read_short(&file(path)?).tried("read sysctl", path)
}

/// As [`get`], for values of any length, such as lists of ports.
///
/// # Errors
/// As [`get`].
pub fn get_whole(path: &str) -> Result<String> {
    let place = file(path)?;
    // Lists come with the first read alone, cut to its size: what fills the buffer is read anew into a larger
    // one.
    for size in [4 << 10, 1 << 20] {
        let text = read_once(&place, size).tried("read sysctl", path)?;
        if text.len() < size {
            return Ok(String::from_utf8_lossy(&text).trim_end().to_owned());
        }
    }
    Err(Error::new("read sysctl", path, Errno::FBIG))
}

/// Makes the sysctl have this value. One that has it already is not written: `/proc/sys` may be mounted
/// read-only.
///
/// # Errors
/// There is no such sysctl, it cannot be written, or it does not take the value.
pub fn set(path: &str, value: &str) -> Result<()> {
    if get(path)? == value {
        return Ok(());
    }
    write(path, value)
}

/// As [`set`], for what is good to have: fine where there is no such sysctl, and where it cannot be written.
///
/// # Errors
/// The kernel does not take the value.
pub fn set_if_possible(path: &str, value: &str) -> Result<()> {
    forgive_unsettable(set(path, value))
}

/// As [`set_if_possible`], without looking first: for what was just born with another value.
///
/// # Errors
/// The kernel does not take the value.
pub fn overwrite_if_possible(path: &str, value: &str) -> Result<()> {
    forgive_unsettable(write(path, value))
}

/// Writes the value without looking first. An empty one empties a list.
///
/// # Errors
/// There is no such sysctl, it cannot be written, or it does not take the value.
pub fn overwrite(path: &str, value: &str) -> Result<()> {
    // A write of no bytes would not reach the setting.
    write(path, if value.is_empty() { "\n" } else { value })
}

/// The text of a file under `/proc/sys`, by one read: these files give all they have at once.
pub(crate) fn read_short(path: &std::path::Path) -> rustix::io::Result<String> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = [0; 512];
    let length = rustix::io::read(&file, &mut text[..])?;
    Ok(String::from_utf8_lossy(&text[..length]).trim_end().to_owned())
}

fn read_once(path: &std::path::Path, size: usize) -> rustix::io::Result<Vec<u8>> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = vec![0; size];
    let length = rustix::io::read(&file, &mut text[..])?;
    text.truncate(length);
    Ok(text)
}

fn write(path: &str, value: &str) -> Result<()> {
    let opened = rustix::fs::open(file(path)?, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    let written = opened.and_then(|file| rustix::io::write(&file, value.as_bytes()));
    written.map(drop).tried("set sysctl", format_args!("{path} to {value}"))
}

/// Forgives ENOENT: a kernel built or booted without IPv6 has none of its settings. Forgives EROFS and
/// EACCES: whoever runs the runtime in a container of its own may have mounted `/proc/sys` read-only.
fn forgive_unsettable(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(error) if [Errno::NOENT, Errno::ROFS, Errno::ACCESS].contains(&error.errno) => Ok(()),
        other => other,
    }
}

/// A path that climbs out of `/proc/sys` is none of a sysctl.
fn file(path: &str) -> Result<PathBuf> {
    if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err(Error::new("read sysctl", path, Errno::INVAL));
    }
    Ok(PathBuf::from(format!("/proc/sys/{path}")))
}
