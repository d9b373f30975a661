//! Kernel settings under `/proc/sys`, of the calling thread's namespace where they belong to one.

use crate::error::{Error, Result, errno_of};
use rustix::io::Errno;
use std::path::PathBuf;

/// The value of `net/ipv4/ip_forward` and the like, without the line's end.
///
/// # Errors
/// There is no such sysctl, or it cannot be read.
pub fn get(path: &str) -> Result<String> {
    let read = std::fs::read_to_string(file(path)?);
    let text = read.map_err(|error| Error::new("read sysctl", path, errno_of(&error)))?;
    Ok(text.trim_end().to_owned())
}

/// Makes the sysctl have this value. One that has it already is not written: `/proc/sys` may be mounted read-only.
///
/// # Errors
/// There is no such sysctl, it cannot be written, or it does not take the value.
pub fn set(path: &str, value: &str) -> Result<()> {
    if get(path)? == value {
        return Ok(());
    }
    let written = std::fs::write(file(path)?, value);
    written.map_err(|error| Error::new("set sysctl", format!("{path} to {value}"), errno_of(&error)))
}

/// As [`set`], but a kernel without this sysctl is fine: one built or booted without IPv6 has none of its settings.
///
/// # Errors
/// The sysctl is there and cannot be read or written.
pub fn set_if_present(path: &str, value: &str) -> Result<()> {
    match set(path, value) {
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
