//! `net-ctl network gc`: delete what no living container has any more.

use std::path::Path;

use clap::Args;
use lifecycle::Collected;
use lifecycle::cache::Entry;
use lifecycle::sandbox::{State, state_of};
use serde_json::{Value, json};
use spec::{Attachment, ContainerId, IfName, NameError, NetworkList, NetworkName, Version};

use super::{lookup, trouble};
use crate::answer::{Answer, table};
use crate::failure::{Exit, Failure};
use crate::places::{CachePlace, ConfigPlace, PluginPlace};

/// Delete what no living container has any more
///
/// Remembered attachments whose namespace is gone are detached; then the plugins are told which ones stay, and
/// remove addresses and rules of all others. Attachments that are remembered in another --cache-dir are unknown
/// here: name them with --keep. Waits for operations on the network, and keeps new ones waiting.
#[derive(Args)]
pub(crate) struct Gc {
    /// The network, by the name in its configuration
    #[arg(value_parser = super::name)]
    network: NetworkName,
    /// Keep this attachment and delete all that are not named so; may be repeated. Without IFNAME: all of the container
    #[arg(long, value_name = "ID[:IFNAME]", value_parser = Keep::parse)]
    keep: Vec<Keep>,
    /// Keep none, living or not
    #[arg(long, conflicts_with = "keep")]
    all: bool,
    /// Only say what would be detached
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    config: ConfigPlace,
    #[command(flatten)]
    plugins: PluginPlace,
    #[command(flatten)]
    cache: CachePlace,
}

/// What becomes of a remembered attachment, and why.
struct Fate {
    attachment: Attachment,
    kept: bool,
    why: &'static str,
}

impl Gc {
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        let what = format!("collect garbage of network {}", self.network);
        let network = lookup::one(&self.config, &self.network)?;
        let mut fates = Vec::new();
        let collected = self.collect(&network, |entry| {
            fates.push(self.fate(entry));
            fates.last().is_some_and(|fate| fate.kept)
        });
        let collected = collected.map_err(|error| trouble::failure(what.clone(), &error))?;
        let answer = self.answer(&network, &fates, &collected);
        if collected.errors.is_empty() {
            return Ok(answer);
        }
        let causes: Vec<_> = collected.errors.iter().map(ToString::to_string).collect();
        Err(Failure::new(Exit::Failed, what, causes.join("\n"))
            .next("the same again after mending the cause: it may be repeated")
            .done(answer))
    }

    fn collect(
        &self,
        network: &NetworkList,
        mut lives: impl FnMut(&Entry) -> bool,
    ) -> lifecycle::Result<Collected> {
        let runtime = self.plugins.runtime(&self.cache);
        if !self.dry_run {
            return runtime.gc_unless(network, &self.named(), lives);
        }
        if !network.disable_gc {
            let entries = runtime.attachments(&network.name)?;
            entries.iter().for_each(|entry| {
                lives(entry);
            });
        }
        Ok(Collected::default())
    }

    fn fate(&self, entry: &Entry) -> Fate {
        let (kept, why) = match entry.endpoint.netns.as_deref().map(|path| state_of(Path::new(path))) {
            _ if self.all => (false, "--all"),
            _ if self.names(&entry.endpoint.attachment) => (true, "--keep"),
            _ if !self.keep.is_empty() => (false, "not named by --keep"),
            Some(State::Leftover) => (false, "namespace is gone"),
            Some(State::Namespace(_) | State::Unreadable) => (true, "namespace exists"),
            None => (true, "namespace is not known"),
        };
        Fate { attachment: entry.endpoint.attachment.clone(), kept, why }
    }

    fn names(&self, Attachment { container, ifname }: &Attachment) -> bool {
        self.keep.iter().any(|keep| {
            keep.container == *container && keep.ifname.as_ref().is_none_or(|kept| kept == ifname)
        })
    }

    /// What plugins are to spare even if it is not remembered here.
    fn named(&self) -> Vec<Attachment> {
        self.keep.iter().filter_map(Keep::attachment).collect()
    }

    fn answer(&self, network: &NetworkList, fates: &[Fate], collected: &Collected) -> Answer {
        let action = |fate: &Fate| match fate {
            Fate { kept: true, .. } => "kept",
            _ if self.dry_run => "would be deleted",
            fate if collected.deleted.contains(&fate.attachment) => "deleted",
            _ => "not deleted",
        };
        let documents: Vec<_> = fates.iter().map(|fate| document(fate, action(fate))).collect();
        let rows = fates.iter().map(|fate| {
            let Attachment { container, ifname } = &fate.attachment;
            [container.to_string(), ifname.to_string(), action(fate).to_owned(), fate.why.to_owned()]
        });
        let text = match fates.is_empty() {
            true => format!("no attachments of {} are remembered", network.name),
            false => table(["CONTAINER", "INTERFACE", "ACTION", "WHY"], rows),
        };
        let document = json!({"network": network.name, "dryRun": self.dry_run, "attachments": documents});
        Answer::new(&document, text).with_notes(notes(network))
    }
}

/// An attachment that --keep names; without interface, all of the container's.
#[derive(Clone, Debug)]
struct Keep {
    container: ContainerId,
    ifname: Option<IfName>,
}

impl Keep {
    fn parse(text: &str) -> Result<Keep, String> {
        let wrong = |error: NameError| format!("{}; --keep takes ID or ID:IFNAME", error.reason);
        let (container, ifname) =
            text.split_once(':').map_or((text, None), |(id, ifname)| (id, Some(ifname)));
        let ifname = ifname.map(str::parse).transpose().map_err(wrong)?;
        Ok(Keep { container: container.parse().map_err(wrong)?, ifname })
    }

    /// A container that is not remembered here is most likely attached by the usual name.
    fn attachment(&self) -> Option<Attachment> {
        let ifname = self.ifname.clone().or_else(|| "eth0".parse().ok())?;
        Some(Attachment { container: self.container.clone(), ifname })
    }
}

fn document(fate: &Fate, action: &str) -> Value {
    let Attachment { container, ifname } = &fate.attachment;
    json!({"container": container, "ifname": ifname, "action": action, "why": fate.why})
}

fn notes(network: &NetworkList) -> Vec<String> {
    if network.disable_gc {
        return vec![format!("{} says disableGC: nothing is collected", network.name)];
    }
    let asked = network.version >= Version::V1_1_0;
    let note = || {
        format!(
            "plugins collect what nobody remembers only from configuration version 1.1.0 on, {} has {}",
            network.name, network.version
        )
    };
    if asked { Vec::new() } else { vec![note()] }
}
