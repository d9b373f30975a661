//! Where configuration lists lie: the files of a directory, in the order in which runtimes look at them.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{NetworkList, PluginConf};
use crate::error::{Error, Result};
use crate::fold;

impl NetworkList {
    /// Loads a list with its plugins, those in the file and those in the directory named after the network
    /// beside it. A file that is no `.conflist` and has no `plugins` is the configuration of a single plugin.
    ///
    /// # Errors
    /// Code 5 when a file cannot be read, `no plugin configs found` when there is no plugin; else as
    /// [`NetworkList::parse`].
    pub fn load_file(path: &Path) -> Result<NetworkList> {
        load(path).map_err(|error| error.context(format_args!("load {}", path.display())))
    }

    /// Loads the network of that name: the first among the lists, then among the single plugins.
    ///
    /// # Errors
    /// `no net configuration with name "N" in DIR`, `no net configurations found in DIR`, and whatever is
    /// wrong with a file that is looked at before the right one.
    pub fn load_by_name(directory: &Path, name: &str) -> Result<NetworkList> {
        let files = NetworkList::list_dir(directory)?;
        for file in &files {
            let list = NetworkList::load_file(file)?;
            if list.name.as_str() == name {
                return Ok(list);
            }
        }
        let directory = directory.display();
        Err(Error::invalid_config(match files.is_empty() {
            true => format!("no net configurations found in {directory}"),
            false => format!("no net configuration with name {name:?} in {directory}"),
        }))
    }

    /// The configuration files of a directory: `.conflist` sorted, then `.conf` and `.json` sorted. A
    /// directory that does not exist has none.
    ///
    /// # Errors
    /// Code 5 when the directory cannot be read.
    pub fn list_dir(directory: &Path) -> Result<Vec<PathBuf>> {
        let mut files = files_with(directory, &["conflist"])?;
        files.extend(files_with(directory, &["conf", "json"])?);
        Ok(files)
    }
}

fn load(path: &Path) -> Result<NetworkList> {
    let bytes = read(path)?;
    if path.extension() != Some(OsStr::new("conflist")) && !has_plugins(&bytes) {
        return NetworkList::parse_single(&bytes);
    }
    let mut list = NetworkList::parse(bytes)?;
    if !list.only_inlined {
        let beside = path.parent().unwrap_or(Path::new("")).join(list.name.as_str());
        for file in files_with(&beside, &["conf"])? {
            list.plugins.push(load_plugin(&file)?);
        }
    }
    if list.plugins.is_empty() {
        return Err(Error::invalid_config("no plugin configs found"));
    }
    Ok(list)
}

/// Whether a file is a list whatever it is called.
fn has_plugins(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Value>(bytes)
        .is_ok_and(|value| value.as_object().is_some_and(|object| fold::member(object, "plugins").is_some()))
}

fn load_plugin(path: &Path) -> Result<PluginConf> {
    let tried = format!("load plugin {}", path.display());
    let object = serde_json::from_slice(&read(path)?)
        .map_err(|cause| Error::decoding(format!("parse configuration: {cause}")).context(&tried))?;
    PluginConf::new(object).map_err(|error| error.context(&tried))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|cause| Error::io(format!("read {}: {cause}", path.display())))
}

/// The files of a directory with one of the extensions, sorted by name.
fn files_with(directory: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let unreadable = |cause| Error::io(format!("read directory {}: {cause}", directory.display()));
    let entries = match fs::read_dir(directory) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let extension = path.extension().and_then(OsStr::to_str);
        if extension.is_some_and(|extension| extensions.contains(&extension)) && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
