//! Which network is meant: the configurations in a file or a directory.

use std::fs::File;
use std::path::{Path, PathBuf};

use spec::{NetworkList, NetworkName};

use crate::failure::{Exit, Failure};
use crate::places::ConfigPlace;

/// A configuration file and what came of reading it.
pub(super) struct Found {
    pub(super) file: PathBuf,
    pub(super) list: spec::Result<NetworkList>,
}

/// Every configuration of a place, in the order in which networks are looked for.
pub(super) fn all(place: &ConfigPlace) -> Result<Vec<Found>, Failure> {
    let files = match &place.config {
        Some(file) => {
            let what = || format!("read configuration {}", file.display());
            File::open(file).map_err(|error| {
                Failure::os(what(), error.kind(), error).next("another --config FILE, or --config-dir DIR")
            })?;
            vec![file.clone()]
        }
        None => in_dir(&place.dir())?,
    };
    Ok(files.into_iter().map(|file| Found { list: NetworkList::load_file(&file), file }).collect())
}

/// The first configuration of that name.
pub(super) fn one(place: &ConfigPlace, name: &NetworkName) -> Result<NetworkList, Failure> {
    let what = || format!("find network {name}");
    let mut broken = Vec::new();
    let mut others = Vec::new();
    for Found { list, .. } in all(place)? {
        match list {
            Ok(list) if list.name == *name => return Ok(list),
            Ok(list) => others.push(list.name.to_string()),
            Err(error) => broken.push(error.to_string()),
        }
    }
    let place = place.config.clone().unwrap_or_else(|| place.dir());
    if !broken.is_empty() {
        let cause =
            format!("it is not in {}, as far as that can be read:\n{}", place.display(), broken.join("\n"));
        return Err(Failure::new(Exit::Usage, what(), cause).next("the same after mending the file"));
    }
    let known = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
    let cause = format!("it is not in {}; networks there: {known}", place.display());
    Err(Failure::new(Exit::NotFound, what(), cause).next("another name, --config FILE, or --config-dir DIR"))
}

fn in_dir(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    match std::fs::read_dir(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::os(format!("read configurations in {}", dir.display()), error.kind(), error))
        }
        _ => NetworkList::list_dir(dir).map_err(|error| {
            Failure::new(Exit::Failed, format!("read configurations in {}", dir.display()), error)
        }),
    }
}
