//! The world of a real process.

use std::io::{self, Read, Write};
use std::path::Path;

/// Whether two names lead to one namespace: its inode says so.
pub(super) fn own_netns(path: &Path) -> io::Result<bool> {
    let other = rustix::fs::stat(path)?;
    let own = rustix::fs::stat("/proc/self/ns/net")?;
    Ok((other.st_dev, other.st_ino) == (own.st_dev, own.st_ino))
}

/// Descriptor 0 without a buffer.
pub(super) struct Stdin;

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(rustix::stdio::stdin(), buffer)?)
    }
}

/// Descriptor 1 without a buffer: the standard library's would write a document of many lines in two pieces.
pub(super) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(rustix::stdio::stdout(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
