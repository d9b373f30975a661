//! Lease files, byte for byte as the reference host-local writes them.
//!
//! `<ip>` holds `<container id>\r\n<interface>`; files of old versions hold the id alone, and stand for any
//! interface. No file is ever written in place: it appears whole or not at all.

use std::fs::{self, DirEntry, File};
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kernel::file::{self, FileId};
use kernel::spare::{Spare, Used};
use rustix::fs::OFlags;
use rustix::io::Errno;
use spec::{Attachment, Result};

use super::{files, io_error, trouble};

/// No lease file is longer: an id has 255 bytes, an interface name 15.
const LONGEST: usize = 4096;
const SEPARATOR: &str = "\r\n";

/// Whom a lease belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The container id; from a foreign hand it may be any text.
    pub(crate) id: String,
    /// The interface; `None` in files of old versions.
    pub(crate) ifname: Option<String>,
}

impl Key {
    /// The key of an attachment.
    pub(crate) fn of(attachment: &Attachment) -> Key {
        Key {
            id: attachment.container.as_str().to_owned(),
            ifname: Some(attachment.ifname.as_str().to_owned()),
        }
    }

    /// The key that an old version would have written.
    pub(crate) fn bare(&self) -> Key {
        Key { id: self.id.clone(), ifname: None }
    }

    fn parse(content: &[u8]) -> Key {
        let text = String::from_utf8_lossy(content);
        match text.trim().split_once(SEPARATOR) {
            Some((id, ifname)) => Key { id: id.into(), ifname: Some(ifname.into()) },
            None => Key { id: text.trim().into(), ifname: None },
        }
    }

    fn content(&self) -> String {
        match &self.ifname {
            Some(ifname) => format!("{}{SEPARATOR}{ifname}", self.id),
            None => self.id.clone(),
        }
    }
}

/// What stands under an address.
#[derive(Debug)]
pub(crate) enum Lease {
    /// Somebody's.
    Of(Key, FileId),
    /// Empty: its writer was killed between creating and writing it (only the reference does so).
    Unfinished,
    /// A directory, or a file that cannot be read: taken, by whom is unknown.
    Unreadable,
}

/// `<dataDir>/<network>/`.
#[derive(Debug)]
pub(crate) struct LeaseDir {
    pub(crate) path: PathBuf,
    fd: OwnedFd,
}

impl LeaseDir {
    /// Opens the directory.
    pub(crate) fn open(path: PathBuf) -> Result<LeaseDir> {
        let fd = file::open_directory(&path).map_err(io_error)?;
        Ok(LeaseDir { path, fd })
    }

    /// Which directory it is, and when an entry was last made or removed.
    pub(crate) fn id(&self) -> Result<FileId> {
        file::id_of_open(&self.fd).map_err(io_error)
    }

    /// Sets when an entry was last made or removed.
    pub(crate) fn set_mtime(&self, (seconds, nanoseconds): (i64, u32)) -> Result<()> {
        file::set_mtime(&self.fd, seconds, nanoseconds).map_err(io_error)
    }

    /// Creates the lease of an address, from the spare file if there is one; `None` if the address is leased.
    pub(crate) fn create(&self, ip: IpAddr, key: &Key, spare: Option<Spare<'_>>) -> Result<Option<FileId>> {
        let (name, content) = (ip.to_string(), key.content());
        let used = spare.map_or(Ok(Used::None), |spare| spare.place(&self.fd, &name, content.as_bytes()));
        let made = used.and_then(|used| match used {
            Used::Placed(id) => Ok(Some(id)),
            Used::Taken => Ok(None),
            Used::None => file::create_whole(&self.fd, &name, 0o600, content.as_bytes()),
        });
        made.map_err(|cause| io_error(cause).context(format!("lease in {}", self.path.display())))
    }

    /// Removes the lease of an address and keeps its file as the spare, if there is none; fine if somebody
    /// else has.
    pub(crate) fn release(&self, ip: IpAddr, spare: Option<Spare<'_>>) -> Result<()> {
        let kept = spare.is_some_and(|spare| spare.keep(&self.fd, &ip.to_string()));
        if kept { Ok(()) } else { self.remove(ip) }
    }

    /// What stands under an address; `None` if nothing.
    pub(crate) fn read(&self, ip: IpAddr) -> Result<Option<Lease>> {
        read(&self.path.join(ip.to_string()))
    }

    /// Removes the lease of an address; fine if somebody else has.
    pub(crate) fn remove(&self, ip: IpAddr) -> Result<()> {
        let path = self.path.join(ip.to_string());
        files::remove(&path).map_err(|cause| trouble("remove", &path, &cause))
    }

    /// All leases. Costs as much as there are.
    pub(crate) fn list(&self) -> Result<Vec<(IpAddr, Lease)>> {
        let listing = || -> std::io::Result<Vec<DirEntry>> { fs::read_dir(&self.path)?.collect() };
        let entries = listing().map_err(|cause| trouble("list", &self.path, &cause))?;
        entries.iter().filter_map(|entry| lease_at(entry).transpose()).collect()
    }

    /// Where the round robin of a range set stands.
    pub(crate) fn last_reserved(&self, set: usize) -> LastReserved {
        LastReserved::open(self.path.join(format!("last_reserved_ip.{set}")))
    }
}

/// An entry of the directory that is named like a lease: an address in its canonical form.
fn lease_at(entry: &DirEntry) -> Result<Option<(IpAddr, Lease)>> {
    let name = entry.file_name();
    let Some((name, ip)) = name.to_str().and_then(|name| Some((name, name.parse::<IpAddr>().ok()?))) else {
        return Ok(None);
    };
    if ip.to_string() != name {
        return Ok(None);
    }
    match entry.file_type() {
        Ok(kind) if kind.is_file() => Ok(read(&entry.path())?.map(|lease| (ip, lease))),
        _ => Ok(Some((ip, Lease::Unreadable))),
    }
}

/// A lease that cannot be read is nobody's, for good. One that cannot be read *now* must not be taken for
/// that: then nothing is known of it, and the call ends.
fn read(path: &Path) -> Result<Option<Lease>> {
    let file = match files::open(path, OFlags::RDONLY) {
        Ok(file) => file,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        Err(cause) if is_passing(&cause) => return Err(trouble("read lease", path, &cause)),
        Err(_) => return Ok(Some(Lease::Unreadable)),
    };
    Ok(Some(read_open(&file).unwrap_or(Lease::Unreadable)))
}

/// Whether an error speaks of this process or this moment rather than of the file.
pub(super) fn is_passing(cause: &std::io::Error) -> bool {
    let errno = Errno::from_io_error(cause);
    errno.is_some_and(|errno| {
        [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO, Errno::INTR].contains(&errno)
    })
}

fn read_open(file: &File) -> Option<Lease> {
    let mut content = [0; LONGEST];
    let length = file.read_at(&mut content, 0).ok()?;
    Some(match &content[..length] {
        [] => Lease::Unfinished,
        content => Lease::Of(Key::parse(content), file::id_of_open(file).ok()?),
    })
}

/// `last_reserved_ip.<i>`: where the round robin of range set i stands.
#[derive(Debug)]
pub(crate) struct LastReserved {
    path: PathBuf,
    file: Option<File>,
    text: String,
}

impl LastReserved {
    fn open(path: PathBuf) -> LastReserved {
        let file = files::open(&path, OFlags::RDWR).ok();
        let mut text = [0; 64];
        let length = file.as_ref().and_then(|file| file.read_at(&mut text, 0).ok()).unwrap_or_default();
        LastReserved { path, file, text: String::from_utf8_lossy(&text[..length]).into_owned() }
    }

    /// The address; `None` if there was none yet, or if the file holds anything else.
    pub(crate) fn get(&self) -> Option<IpAddr> {
        self.text.parse().ok()
    }

    /// Writes the next one down. Only the order of later addresses hangs on it, so nothing fails when this
    /// does.
    pub(crate) fn set(self, ip: IpAddr) {
        let _ = self.write(ip.to_string().as_bytes());
    }

    /// Over the old text, then cut to length: one killed in between leaves some address, or none.
    fn write(&self, text: &[u8]) -> std::io::Result<()> {
        let Some(file) = &self.file else {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
            return files::open(&self.path, flags)?.write_all(text);
        };
        file.write_all_at(text, 0)?;
        if self.text.len() > text.len() { file.set_len(text.len() as u64) } else { Ok(()) }
    }
}
