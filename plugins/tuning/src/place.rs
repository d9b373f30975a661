//! Where old values are kept: `<dataDir>/<container>_<interface>.json`, there before the first change and until the
//! last one is taken back, and never in part.

use crate::saved::{Record, Saved};
use kernel::error::Errno;
use kernel::file;
use spec::error::{Error, Result};
use spec::request::Attachment;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Hardware addresses and settings are nobody else's business.
const MODE: u32 = 0o600;

/// Where the file of one attachment is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    dir: PathBuf,
    name: String,
}

impl Place {
    /// The reference's choice.
    pub(crate) fn of(dir: PathBuf, attachment: &Attachment) -> Place {
        Place { dir, name: format!("{}_{}.json", attachment.container, attachment.ifname) }
    }

    /// What the file says; nothing when it is torn or was never ours. `None` without a file.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub(crate) fn load(&self) -> Result<Option<Saved>> {
        match std::fs::read(self.path()) {
            Ok(bytes) => Ok(Some(Saved::parse(&bytes).unwrap_or_default())),
            // A name that no file can have is no file's.
            Err(cause) if [ErrorKind::NotFound, ErrorKind::InvalidFilename].contains(&cause.kind()) => {
                Ok(None)
            }
            Err(cause) => Err(Error::io(format!("read old values {}: {cause}", self.path().display()))),
        }
    }

    /// Keeps these values, and those of a file that is there already. Gives back what that file said, for
    /// [`Place::put_back`].
    ///
    /// # Errors
    /// The directory cannot be made or written, or the file belongs to another attachment.
    pub(crate) fn keep(&self, saved: Saved, attachment: &Attachment) -> Result<Option<Saved>> {
        let dir = self.open_directory()?;
        if file::create_whole(&dir, &self.name, MODE, &saved.to_json()?)
            .map_err(|e| self.refused(&e))?
            .is_some()
        {
            return Ok(None);
        }
        let earlier = self.load()?.unwrap_or_default();
        if let Some(other) = earlier.record.as_ref().filter(|record| !record.is_of(attachment)) {
            return Err(Error::internal(format!(
                "keep old values in {}: it belongs to interface {} of container {}",
                self.path().display(),
                other.ifname,
                other.container
            )));
        }
        let both = saved.after(&earlier).to_json()?;
        file::replace_whole(&dir, &self.name, MODE, &both).map_err(|e| self.refused(&e))?;
        Ok(Some(earlier))
    }

    /// Makes the file as it was before [`Place::keep`].
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn put_back(&self, earlier: Option<&Saved>) -> Result<()> {
        let Some(earlier) = earlier else { return self.remove() };
        let dir = self.open_directory()?;
        file::replace_whole(&dir, &self.name, MODE, &earlier.to_json()?).map_err(|e| self.refused(&e))?;
        Ok(())
    }

    /// Removes the file, after what a killed [`Place::keep`] may have left beside it; fine when they are gone.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn remove(&self) -> Result<()> {
        remove(&self.dir.join(format!(".{}.tmp", self.name)))?;
        remove(&self.path())
    }

    fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    /// The directory is made when missing; only its owner looks into it.
    fn open_directory(&self) -> Result<std::os::fd::OwnedFd> {
        match file::open_directory(&self.dir) {
            Err(error) if error.errno() == Errno::NOENT => {}
            opened => return Ok(opened?),
        }
        let parents = self.dir.parent().map_or(Ok(()), std::fs::create_dir_all);
        let made = parents.and_then(|()| DirBuilder::new().mode(0o700).create(&self.dir));
        match made {
            // Another ADD made it meanwhile.
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
            made => made.map_err(|cause| {
                Error::io(format!(
                    "create directory {} (dataDir) for old values: {cause}",
                    self.dir.display()
                ))
            })?,
        }
        Ok(file::open_directory(&self.dir)?)
    }

    fn refused(&self, cause: &kernel::Error) -> Error {
        Error::io(format!("keep old values in {} (dataDir): {cause}", self.dir.display()))
    }
}

/// Removes a file of old values; fine when it is gone, because a DEL was faster.
///
/// # Errors
/// Code 5: the directory cannot be written.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match file::remove(path) {
        Err(cause) if cause.errno() != Errno::NAMETOOLONG => {
            Err(Error::io(format!("forget old values: {cause}")))
        }
        _ => Ok(()),
    }
}

/// A file in a data directory, for GC.
#[derive(Debug)]
pub(crate) enum Found {
    /// What is left of a file that was being replaced.
    Leftover(PathBuf),
    /// A file whose attachment is known.
    Of(PathBuf, Record),
}

/// All files in the directory that say whose they are, and leftovers; none without a directory.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn list(dir: &Path) -> Result<Vec<Found>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::io(format!("list old values in {}: {cause}", dir.display()))),
    };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.filter_map(|name| look(dir, &name)).collect())
}

fn look(dir: &Path, name: &str) -> Option<Found> {
    let path = dir.join(name);
    if name.starts_with('.') && name.ends_with(".json.tmp") {
        return Some(Found::Leftover(path));
    }
    if !name.ends_with(".json") {
        return None;
    }
    let record = Saved::parse(&std::fs::read(&path).ok()?)?.record?;
    Some(Found::Of(path, record))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::saved::tests::{record, saved};

    fn attachment(container: &str, ifname: &str) -> Attachment {
        Attachment { container: container.parse().unwrap(), ifname: ifname.parse().unwrap() }
    }

    #[test]
    fn the_oldest_value_stays_and_the_newest_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let (place, c1) =
            (Place::of(dir.path().join("a/b"), &attachment("c1", "eth0")), attachment("c1", "eth0"));
        assert_eq!(place.keep(saved(1500, Some(record(7, &[("net/x", "0", "1")]))), &c1).unwrap(), None);
        let later = saved(1400, Some(record(7, &[("net/x", "1", "2"), ("net/y", "5", "6")])));
        let earlier = place.keep(later, &c1).unwrap();
        let both = record(7, &[("net/x", "0", "2"), ("net/y", "5", "6")]);
        assert_eq!(place.load().unwrap(), Some(saved(1500, Some(both))));
        place.put_back(earlier.as_ref()).unwrap();
        assert_eq!(place.load().unwrap(), Some(saved(1500, Some(record(7, &[("net/x", "0", "1")])))));
        place.put_back(None).unwrap();
        assert_eq!(place.load().unwrap(), None);
    }

    #[test]
    fn a_file_about_another_namespace_or_garbage_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (place, c1) = (Place::of(dir.path().into(), &attachment("c1", "eth0")), attachment("c1", "eth0"));
        for earlier in
            [saved(9000, Some(record(8, &[]))).to_json().unwrap(), b"{\"mtu\":".to_vec(), Vec::new()]
        {
            std::fs::write(dir.path().join("c1_eth0.json"), earlier).unwrap();
            place.keep(saved(1500, Some(record(7, &[]))), &c1).unwrap();
            assert_eq!(place.load().unwrap(), Some(saved(1500, Some(record(7, &[])))));
        }
    }

    #[test]
    fn another_attachment_s_file_of_the_same_name_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let one = attachment("a_b", "c");
        let place = Place::of(dir.path().into(), &one);
        let own = Record { container: "a_b".into(), ifname: "c".into(), ..record(7, &[]) };
        place.keep(saved(1500, Some(own)), &one).unwrap();
        let other = attachment("a", "b_c");
        let error =
            Place::of(dir.path().into(), &other).keep(saved(1400, Some(record(7, &[]))), &other).unwrap_err();
        assert!(error.msg.contains("belongs to interface c of container a_b"), "{error}");
    }

    #[test]
    fn the_list_has_what_says_whose_it_is_and_leftovers() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("ours_eth0.json", saved(1, Some(record(7, &[]))).to_json().unwrap()),
            ("theirs_eth0.json", saved(1, None).to_json().unwrap()),
            ("torn_eth0.json", b"{".to_vec()),
            (".c1_eth0.json.tmp", Vec::new()),
            ("other.conf", Vec::new()),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let mut found: Vec<String> = list(dir.path())
            .unwrap()
            .iter()
            .map(|found| match found {
                Found::Leftover(path) | Found::Of(path, _) => {
                    path.file_name().unwrap().to_string_lossy().into_owned()
                }
            })
            .collect();
        found.sort();
        assert_eq!(found, [".c1_eth0.json.tmp", "ours_eth0.json"]);
        assert_eq!(list(&dir.path().join("none")).unwrap().len(), 0);
    }
}
