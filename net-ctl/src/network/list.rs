//! `net-ctl network list`: which networks there are and who is attached.

use std::collections::HashMap;
use std::path::Path;

use clap::Args;
use lifecycle::Cache;
use lifecycle::cache::Entry;
use serde_json::{Value, json};
use spec::NetworkList;

use super::lookup::{self, Found};
use super::{addresses, trouble};
use crate::answer::{Answer, table};
use crate::failure::Failure;
use crate::places::{CachePlace, ConfigPlace};

/// List the networks, or with --attachments who is attached to them
#[derive(Args)]
pub(crate) struct List {
    /// One line for each attachment, also those whose network has no configuration any more
    #[arg(long)]
    attachments: bool,
    #[command(flatten)]
    config: ConfigPlace,
    #[command(flatten)]
    cache: CachePlace,
}

impl List {
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        let entries = Cache::new(&self.cache.cache_dir).entries();
        if self.attachments {
            let failed = |error| trouble::failure("list attachments".to_owned(), &error, &self.cache.given());
            return entries.map(|entries| attachments(&entries)).map_err(failed);
        }
        let (networks, mut notes) = usable(lookup::all(&self.config)?);
        if networks.is_empty() && notes.is_empty() {
            let dir = self.config.dir();
            notes.push(format!("no configurations in {}; net-ctl network --help shows one", dir.display()));
        }
        notes.extend(entries.as_ref().err().map(|error| format!("attachments are not known: {error}")));
        let count = |list: &NetworkList| {
            let entries = entries.as_ref().ok()?;
            Some(entries.iter().filter(|entry| entry.network == list.name).count())
        };
        let shown = |list: &NetworkList| count(list).map_or("?".to_owned(), |count| count.to_string());
        let documents: Vec<_> =
            networks.iter().map(|(file, list)| document(file, list, count(list))).collect();
        let rows = networks.iter().map(|(file, list)| {
            let version = list.version.to_string();
            [list.name.to_string(), version, plugins(list).join(","), shown(list), file.clone()]
        });
        let text = table(["NETWORK", "VERSION", "PLUGINS", "ATTACHMENTS", "FILE"], rows);
        Ok(Answer::new(&json!({"networks": documents, "notes": notes}), text).with_notes(notes))
    }
}

/// The configurations that count, with their files, and what is to be said of the others.
fn usable(found: Vec<Found>) -> (Vec<(String, NetworkList)>, Vec<String>) {
    let (mut networks, mut notes) = (Vec::new(), Vec::new());
    let mut first: HashMap<String, String> = HashMap::new();
    for Found { file, list } in found {
        let file = Path::display(&file).to_string();
        match list {
            Err(error) => notes.push(error.to_string()),
            Ok(list) => match first.get(list.name.as_str()) {
                Some(other) => {
                    notes.push(format!("{file} is never used: network {} is in {other}", list.name));
                }
                None => {
                    first.insert(list.name.to_string(), file.clone());
                    networks.push((file, list));
                }
            },
        }
    }
    (networks, notes)
}

fn document(file: &str, list: &NetworkList, attachments: Option<usize>) -> Value {
    json!({
        "name": list.name, "version": list.version, "plugins": plugins(list), "file": file, "attachments": attachments,
    })
}

fn plugins(list: &NetworkList) -> Vec<&str> {
    list.plugins.iter().map(|plugin| plugin.plugin.as_str()).collect()
}

fn attachments(entries: &[Entry]) -> Answer {
    let documents: Vec<_> = entries
        .iter()
        .map(|Entry { network, endpoint, result, .. }| {
            let attachment = super::Document::new(network, &endpoint.attachment, endpoint.netns.as_deref());
            let mut document = json!(attachment);
            document["addresses"] = json!(addresses(result));
            document
        })
        .collect();
    let rows = entries.iter().map(|Entry { network, endpoint, result, .. }| {
        let (container, ifname) = (&endpoint.attachment.container, &endpoint.attachment.ifname);
        let netns = endpoint.netns.clone().unwrap_or_else(|| "-".to_owned());
        [network.to_string(), container.to_string(), ifname.to_string(), addresses(result).join(","), netns]
    });
    let text = table(["NETWORK", "CONTAINER", "INTERFACE", "ADDRESSES", "NAMESPACE"], rows);
    Answer::new(&json!({"attachments": documents}), text)
}
