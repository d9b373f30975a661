//! What the lease format has no room for: the boot and the namespace that an attachment's leases belong to.
//!
//! One small text file for each attachment, `owners/<container id>:<interface>` in the side directory. It
//! also leads from an attachment to its addresses without reading every lease. What it says counts only as
//! far as the lease files agree: each address comes with the identity of the file that was meant.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kernel::file::FileId;
use kernel::spare::{Spare, Used};
use rustix::fs::OFlags;
use sha2::{Digest, Sha512};

use super::files;
use super::lease::Key;

/// Name of the directory of owner files in the side directory.
pub(super) const DIRECTORY: &str = "owners";
/// No file name of Linux is longer.
const LONGEST_NAME: usize = 255;

/// What is remembered of one attachment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The boot in which its leases were made, or first seen when somebody else made them.
    pub(crate) boot: String,
    /// `<dev>:<ino> <path>` of its network namespace, where that was known.
    pub(crate) netns: Option<String>,
    /// Its leases, by address.
    pub(crate) leases: Vec<(IpAddr, FileId)>,
}

impl Owner {
    /// The file that its lease of an address was.
    pub(crate) fn identity_of(&self, ip: IpAddr) -> Option<FileId> {
        let at = self.leases.binary_search_by_key(&ip, |(ip, _)| *ip).ok()?;
        self.leases.get(at).map(|(_, identity)| *identity)
    }

    /// Reads what `Display` writes; lines of later versions are passed over.
    fn parse(text: &str) -> Owner {
        let mut owner = Owner::default();
        for (word, rest) in text.lines().filter_map(|line| line.split_once(' ')) {
            match word {
                "boot" => owner.boot = rest.into(),
                "netns" => owner.netns = Some(rest.into()),
                "lease" => owner.leases.extend(parse_lease(rest)),
                _ => {}
            }
        }
        owner
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "boot {}", self.boot)?;
        if let Some(netns) = &self.netns {
            writeln!(f, "netns {netns}")?;
        }
        self.leases.iter().try_for_each(|(ip, FileId { ino, mtime_s, mtime_ns })| {
            writeln!(f, "lease {ip} {ino} {mtime_s} {mtime_ns}")
        })
    }
}

fn parse_lease(text: &str) -> Option<(IpAddr, FileId)> {
    let mut words = text.split(' ');
    let ip = words.next()?.parse().ok()?;
    let ino = words.next()?.parse().ok()?;
    let mtime_s = words.next()?.parse().ok()?;
    let mtime_ns = words.next()?.parse().ok()?;
    Some((ip, FileId { ino, mtime_s, mtime_ns }))
}

/// How a namespace is written down; `None` for a path that is not there, or that would break the line.
pub(crate) fn describe_netns(path: &Path) -> Option<String> {
    let text = path.to_str().filter(|text| !text.contains('\n'))?;
    let file = fs::metadata(path).ok()?;
    Some(format!("{}:{} {text}", file.dev(), file.ino()))
}

/// The owner files of a network, and what this call knows of them.
#[derive(Debug)]
pub(crate) struct Owners {
    dir: PathBuf,
    known: BTreeMap<Key, Option<Owner>>,
    /// Whose file is there but cannot be read.
    unreadable: BTreeSet<Key>,
    /// Whether the directory is there, once that was asked.
    has_directory: Option<bool>,
    /// Who is not known has nothing: all leases have been read.
    complete: bool,
}

impl Owners {
    /// The owners whose files lie in this directory, if it is there.
    pub(crate) fn new(dir: PathBuf) -> Owners {
        Owners {
            dir,
            known: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            has_directory: None,
            complete: false,
        }
    }

    /// What is remembered of an attachment; `None` if nothing, or nothing readable.
    pub(crate) fn get(&mut self, key: &Key) -> Option<&Owner> {
        if !self.complete && !self.known.contains_key(key) {
            let read = self.try_read(key);
            if read.as_ref().is_err_and(|cause| cause.kind() != ErrorKind::NotFound) {
                self.unreadable.insert(key.clone());
            }
            self.known.insert(key.clone(), read.ok());
        }
        self.known.get(key)?.as_ref()
    }

    /// Whether somebody's having nothing is no proof: there is a file that cannot be read, or not even the
    /// directory. Looked at once: files come and go under the lock.
    pub(crate) fn is_in_doubt(&mut self, key: &Key) -> bool {
        if self.complete {
            return false;
        }
        let dir = &self.dir;
        let has_directory = *self.has_directory.get_or_insert_with(|| fs::symlink_metadata(dir).is_ok());
        !has_directory || self.unreadable.contains(key)
    }

    /// What its file says.
    pub(crate) fn read(&self, key: &Key) -> Option<Owner> {
        self.try_read(key).ok()
    }

    fn try_read(&self, key: &Key) -> std::io::Result<Owner> {
        let mut text = String::new();
        files::open(&self.path(key), OFlags::RDONLY)?.read_to_string(&mut text)?;
        Ok(Owner::parse(&text))
    }

    /// Remembers it, also when that cannot be written. Killed half-way this leaves a torn text, but then also
    /// an index that proves nothing.
    pub(crate) fn set(&mut self, key: &Key, owner: Owner, spare: Option<Spare<'_>>) -> std::io::Result<()> {
        let text = owner.to_string();
        self.known.insert(key.clone(), Some(owner));
        if spare.is_some_and(|spare| is_placed(&spare, key, &text)) {
            return Ok(());
        }
        match self.write(key, &text) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                files::create_private_dir(&self.dir)?;
                self.write(key, &text)
            }
            written => written,
        }
    }

    fn write(&self, key: &Key, text: &str) -> std::io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        files::open(&self.path(key), flags)?.write_all(text.as_bytes())
    }

    /// Forgets it; fine if there was nothing.
    pub(crate) fn remove(&mut self, key: &Key, spare: Option<Spare<'_>>) -> std::io::Result<()> {
        self.known.insert(key.clone(), None);
        if spare.is_some_and(|spare| spare.keep(spare.dir, &beside_spare(key))) {
            return Ok(());
        }
        files::remove(&self.path(key))
    }

    /// Everybody, if all leases have been read.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Key, &Owner)> {
        self.known.iter().filter_map(|(key, owner)| Some((key, owner.as_ref()?)))
    }

    /// Whether all leases have been read.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Remembers these and nobody else; writes only what differs from `before`, what the files say.
    pub(crate) fn set_all(&mut self, found: Vec<(Key, Option<Owner>, Owner)>) -> std::io::Result<()> {
        self.complete = true;
        self.known.clear();
        let mut outcome = Ok(());
        for (key, before, owner) in found {
            if before.as_ref() == Some(&owner) {
                self.known.insert(key, Some(owner));
            } else {
                outcome = outcome.and(self.set(&key, owner, None));
            }
        }
        outcome.and_then(|()| self.remove_others())
    }

    fn remove_others(&self) -> std::io::Result<()> {
        let wanted: BTreeSet<String> = self.known.keys().map(file_name).collect();
        let entries = match fs::read_dir(&self.dir) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let name = entry?.file_name();
            if !name.to_str().is_some_and(|name| wanted.contains(name)) {
                files::remove(&self.dir.join(name))?;
            }
        }
        Ok(())
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.dir.join(file_name(key))
    }
}

/// Whether the spare file could become the owner file; else it is to be written anew, over whatever is there.
fn is_placed(spare: &Spare<'_>, key: &Key, text: &str) -> bool {
    matches!(spare.place(spare.dir, &beside_spare(key), text.as_bytes()), Ok(Used::Placed(_)))
}

/// The owner file as seen from the side directory, where the spare lies.
fn beside_spare(key: &Key) -> String {
    format!("{DIRECTORY}/{}", file_name(key))
}

/// `<id>:<ifname>`, which is unambiguous as neither holds a colon; `<id>:` for an old lease. What is too long
/// for a file name, or not spelled as the specification has it, goes by its hash behind a character that no
/// id has.
fn file_name(key: &Key) -> String {
    let ifname = key.ifname.as_deref().unwrap_or_default();
    let plain = format!("{}:{ifname}", key.id);
    let spelled = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b':' | b'~'));
    if plain.len() <= LONGEST_NAME && spelled(&key.id) && spelled(ifname) {
        return plain;
    }
    if ifname.len() <= 15 && spelled(ifname) {
        return format!("~{}:{ifname}", hash(&key.id));
    }
    format!("~{}:", hash(&plain))
}

/// The first 64 hex digits of the SHA-512.
fn hash(text: &str) -> String {
    let digest = Sha512::digest(text);
    digest.iter().take(32).fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
