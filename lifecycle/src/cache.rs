//! The result cache: what has to be remembered of each attachment from ADD to DEL, shared with libcni.
//!
//! `<dir>/results/<network>-<container>-<ifname>`, 0700 and 0600, in libcni's own bytes. Names may hold `-`,
//! so a file's name is never taken apart: the keys inside say what it is about. A reboot voids what is
//! remembered here, hence files are replaced whole (rename) and not forced to the disk.

mod entry;

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;
use spec::names::NetworkName;
use spec::request::Attachment;

pub use entry::Entry;
use entry::Read;

use crate::error::{Error, Result};

/// Where libcni remembers attachments unless it is told otherwise.
pub const DEFAULT_DIR: &str = "/var/lib/cni";

/// A cache directory.
#[derive(Clone, Debug)]
pub struct Cache {
    dir: PathBuf,
}

/// What the cache knows of one attachment.
#[derive(Clone, Debug, PartialEq)]
pub enum Remembered {
    /// Nothing: no ADD has succeeded, or DEL has.
    Nothing,
    /// Everything, as libcni and this library write it.
    Entry(Box<Entry>),
    /// The result alone, as early libcni wrote it.
    Result(Value),
    /// There is a file, and this is wrong with it.
    Unreadable(String),
}

impl Remembered {
    /// The final result of ADD, if it is known.
    #[must_use]
    pub fn result(&self) -> Option<&Value> {
        match self {
            Self::Entry(entry) => Some(&entry.result),
            Self::Result(result) => Some(result),
            Self::Nothing | Self::Unreadable(_) => None,
        }
    }
}

impl Cache {
    /// A cache in a directory, which is made when something is first remembered.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file of an attachment, there or not.
    #[must_use]
    pub fn file(&self, network: &NetworkName, attachment: &Attachment) -> PathBuf {
        self.results().join(file_name(network, attachment))
    }

    /// What is known of an attachment.
    ///
    /// # Errors
    /// The file is there and cannot be read from the disk.
    pub fn read(&self, network: &NetworkName, attachment: &Attachment) -> Result<Remembered> {
        let path = self.file(network, attachment);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(remembered(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Remembered::Nothing),
            Err(cause) => Err(Error::File { tried: "read", path, cause }),
        }
    }

    /// Every attachment that is remembered in full, of all networks, ordered by file name.
    ///
    /// Files that hold something else are passed over: they say of nobody that he is attached.
    ///
    /// # Errors
    /// The directory is there and cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        Ok(self.paths()?.iter().filter_map(|path| whole(path)).collect())
    }

    /// The entries of one container's interface, on whatever network.
    pub(crate) fn entries_of(&self, attachment: &Attachment) -> Result<Vec<Entry>> {
        let Attachment { container, ifname } = attachment;
        // The names of files say who it cannot be: among thousands hardly any has to be read.
        let ending = format!("-{container}-{ifname}");
        let mut paths = self.paths()?;
        paths.retain(|path| path.to_string_lossy().ends_with(&ending));
        let mut entries: Vec<_> = paths.iter().filter_map(|path| whole(path)).collect();
        entries.retain(|entry| entry.endpoint.attachment == *attachment);
        Ok(entries)
    }

    fn paths(&self) -> Result<Vec<PathBuf>> {
        let files = match std::fs::read_dir(self.results()) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(Error::File { tried: "list", path: self.results(), cause }),
        };
        let mut paths: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).collect();
        paths.sort();
        Ok(paths)
    }

    /// Makes the directories: whoever cannot remember an attachment had better not begin it.
    pub(crate) fn prepare(&self) -> Result<()> {
        for path in [self.results(), self.drafts()] {
            private_dir(&path).map_err(|cause| Error::File { tried: "make directory", path, cause })?;
        }
        Ok(())
    }

    /// Remembers an attachment, after [`prepare`](Self::prepare); the file appears whole or not at all.
    pub(crate) fn write(&self, entry: &Entry) -> Result<()> {
        let path = self.file(&entry.network, &entry.endpoint.attachment);
        // libcni reads all of results/ and stops at a file that it cannot read: nothing unfinished may lie there.
        let draft = self.drafts().join(file_name(&entry.network, &entry.endpoint.attachment));
        let write = || -> io::Result<()> {
            let bytes = entry.to_bytes()?;
            private_file(&draft, &bytes)?;
            std::fs::rename(&draft, &path)
        };
        write().map_err(|cause| Error::File { tried: "write", path: path.clone(), cause })
    }

    /// Forgets an attachment; fine if nothing was known of it.
    pub(crate) fn remove(&self, network: &NetworkName, attachment: &Attachment) -> Result<()> {
        let path = self.file(network, attachment);
        match std::fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                Err(Error::File { tried: "remove", path, cause })
            }
            _ => Ok(()),
        }
    }

    fn results(&self) -> PathBuf {
        self.dir.join("results")
    }

    /// A container's lock is held by whoever writes one, so a draft's name needs nothing unique.
    fn drafts(&self) -> PathBuf {
        self.dir.join("drafts")
    }
}

/// Makes a directory that only its owner can look into.
pub(crate) fn private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn private_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(bytes)
}

fn file_name(network: &NetworkName, Attachment { container, ifname }: &Attachment) -> String {
    format!("{network}-{container}-{ifname}")
}

fn remembered(bytes: &[u8]) -> Remembered {
    match entry::read(bytes) {
        Ok(Read::Whole(entry)) => Remembered::Entry(entry),
        Ok(Read::Bare(result)) => Remembered::Result(result),
        Err(wrong) => Remembered::Unreadable(wrong),
    }
}

fn whole(path: &Path) -> Option<Entry> {
    match remembered(&std::fs::read(path).ok()?) {
        Remembered::Entry(entry) => Some(*entry),
        _ => None,
    }
}
