//! `net-ctl ns delete`: take a name away, and with it the namespace.

use clap::Args;
use lifecycle::Cache;
use lifecycle::cache::Entry;
use serde_json::json;
use spec::ContainerId;

use super::name;
use crate::answer::Answer;
use crate::failure::{Exit, Failure, kind_of};
use crate::network::command;
use crate::places::{CachePlace, NamespacePlace};

/// Take a network namespace away
///
/// Its interfaces go with it, once no process is left inside. Refused while networks have it attached:
/// their addresses and rules on the host would stay. Also removes what an interrupted `create` left,
/// an empty file; a file that holds something is never deleted.
#[derive(Args)]
pub(crate) struct Delete {
    /// The namespace
    #[arg(value_parser = name)]
    name: ContainerId,
    /// Also while it is attached to networks; `net-ctl network gc` cleans up after that
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: NamespacePlace,
    #[command(flatten)]
    cache: CachePlace,
}

impl Delete {
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        let sandboxes = self.place.sandboxes();
        let path = sandboxes.path(&self.name);
        if std::fs::symlink_metadata(&path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            let cause = format!("{} does not exist", path.display());
            return Err(Failure::new(Exit::NotFound, self.what(), cause).next(self.list()));
        }
        if !self.force {
            self.refuse_while_attached(&path.to_string_lossy())?;
        }
        sandboxes
            .delete(&self.name)
            .map_err(|error| Failure::os(self.what(), kind_of(&error), error).next(self.list()))?;
        Ok(Answer::new(&json!({"name": self.name, "deleted": true}), format!("deleted {}", path.display())))
    }

    /// A cache that may not be read is no reason to refuse: deleting needs the same privilege and says so.
    fn refuse_while_attached(&self, path: &str) -> Result<(), Failure> {
        let mut entries = Cache::new(&self.cache.cache_dir).entries().unwrap_or_default();
        entries.retain(|entry| entry.endpoint.netns.as_deref() == Some(path));
        if entries.is_empty() {
            return Ok(());
        }
        let attached: Vec<_> = entries.iter().map(attachment).collect();
        let cause = format!("it is attached to {}", attached.join(", "));
        let places = self.cache.given().and(self.place.given());
        let detach = |entry: &Entry| command("del", &entry.network, &entry.endpoint.attachment, &places);
        let mut next: Vec<_> = entries.iter().map(detach).collect();
        next.push("or --force".to_owned());
        Err(Failure::new(Exit::Failed, self.what(), cause).next(next.join("\n")))
    }

    fn list(&self) -> String {
        format!("net-ctl ns list{}", self.place.given())
    }

    fn what(&self) -> String {
        format!("delete network namespace {}", self.name)
    }
}

fn attachment(entry: &Entry) -> String {
    format!("{} as {}", entry.network, entry.endpoint.attachment.ifname)
}
