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

/// Makes the sysctl have this value. One that has it already is not written: `/proc/sys` may be mounted read-only.
///
/// # Errors
/// There is no such sysctl, it cannot be written, or it does not take the value.
pub fn set(path: &str, value: &str) -> Result<()> {
    if get(path)? == value {
        return Ok(());
    }
    write(path, value)
}

/// As [`set`], but a kernel without this sysctl is fine: one built or booted without IPv6 has none of its settings.
///
/// # Errors
/// The sysctl is there and cannot be read or written.
pub fn set_if_present(path: &str, value: &str) -> Result<()> {
    forgive_absent(set(path, value))
}

/// Gives the sysctl this value without looking first, for one that was just born with another. A kernel without it is
/// fine, as in [`set_if_present`].
///
/// # Errors
/// The sysctl is there and cannot be written.
pub fn overwrite_if_present(path: &str, value: &str) -> Result<()> {
    forgive_absent(write(path, value))
}

/// The text of a file under `/proc/sys`, by one read: these files give all they have at once.
pub(crate) fn read_short(path: &std::path::Path) -> rustix::io::Result<String> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = [0; 512];
    let length = rustix::io::read(&file, &mut text[..])?;
    Ok(String::from_utf8_lossy(&text[..length]).trim_end().to_owned())
}

fn write(path: &str, value: &str) -> Result<()> {
    let opened = rustix::fs::open(file(path)?, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    let written = opened.and_then(|file| rustix::io::write(&file, value.as_bytes()));
    written.map(drop).tried("set sysctl", format_args!("{path} to {value}"))
}

/// Forgives ENOENT: a kernel built or booted without IPv6 has none of its settings.
fn forgive_absent(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(error) if error.errno == Errno::NOENT => Ok(()),
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
