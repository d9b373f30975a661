//! `net-ctl network gc`: delete what no living container has any more.

use std::fmt;
use std::path::Path;

use clap::Args;
use lifecycle::cache::Entry;
use lifecycle::sandbox::{State, state_of};
use lifecycle::{Collected, Error};
use serde_json::{Value, json};
use spec::{Attachment, ContainerId, IfName, NameError, NetworkList, NetworkName, Version};

use super::{lookup, trouble};
use crate::answer::{Answer, table};
use crate::failure::{Exit, Failure};
use crate::places::{CachePlace, ConfigPlace, Given, PluginPlace};
use crate::privileges;

/// Delete what no living container has any more
///
/// Remembered attachments whose namespace is gone are detached; then the plugins are told which ones stay, and
/// remove addresses and rules of all others. Where nothing is remembered they are not told, unless by --all.
/// Attachments that are remembered in another --cache-dir are unknown here and lose what they have: a network that
/// several caches share has to say disableGC. Waits for operations on the network, and keeps new ones waiting.
#[derive(Args)]
pub(crate) struct Gc {
    /// The network, by the name in its configuration
    #[arg(value_parser = super::name)]
    network: NetworkName,
    /// Keep this attachment and delete all that are not named so; may be repeated. Without IFNAME: all of the container
    #[arg(long, value_name = "ID[:IFNAME]", value_parser = Keep::parse)]
    keep: Vec<Keep>,
    /// Keep none, living or not, remembered or not
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
        self.refuse_unknown(&what)?;
        let mut fates = Vec::new();
        let collected = self.collect(&network, |entry| {
            fates.push(self.fate(entry));
            fates.last().is_some_and(|fate| fate.kept)
        });
        let collected = collected.map_err(|error| trouble::failure(what.clone(), &error, &self.places()))?;
        let answer = self.answer(&network, &fates, &collected);
        if collected.errors.is_empty() {
            return Ok(answer);
        }
        Err(failure(what, &collected.errors).done(answer))
    }

    fn places(&self) -> Given {
        self.config.given().and(self.plugins.given()).and(self.cache.given())
    }

    /// A slip of the pen in --keep would take away what was to be kept.
    fn refuse_unknown(&self, what: &str) -> Result<(), Failure> {
        if self.keep.is_empty() {
            return Ok(());
        }
        let entries = self.plugins.runtime(&self.cache).attachments(&self.network);
        let entries = entries.map_err(|error| trouble::failure(what.to_owned(), &error, &self.places()))?;
        let is_unknown = |keep: &&Keep| !entries.iter().any(|entry| keep.names(&entry.endpoint.attachment));
        let Some(unknown) = self.keep.iter().find(is_unknown) else { return Ok(()) };
        let known: Vec<_> = entries.iter().map(|entry| Keep::of(&entry.endpoint.attachment)).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let cause = format!("--keep {unknown}: not remembered on {}; remembered are: {known}", self.network);
        let list = format!("net-ctl network list --attachments{}", self.cache.given());
        Err(Failure::new(Exit::Usage, what, cause).next(list))
    }

    fn collect(
        &self,
        network: &NetworkList,
        mut lives: impl FnMut(&Entry) -> bool,
    ) -> lifecycle::Result<Collected> {
        let runtime = self.plugins.runtime(&self.cache);
        match (self.dry_run, self.all) {
            (true, _) if network.disable_gc => Ok(Collected::default()),
            (true, _) => {
                let entries = runtime.attachments(&network.name)?;
                entries.iter().for_each(|entry| {
                    lives(entry);
                });
                let asked = network.version >= Version::V1_1_0 && (self.all || !entries.is_empty());
                Ok(Collected { asked, ..Collected::default() })
            }
            (false, true) => runtime.gc_unless(network, &[], lives),
            (false, false) => runtime.gc_remembered(network, &self.named(), lives),
        }
    }

    fn fate(&self, entry: &Entry) -> Fate {
        let (kept, why) = match entry.endpoint.netns.as_deref().map(|path| state_of(Path::new(path))) {
            _ if self.all => (false, "--all"),
            _ if self.names(&entry.endpoint.attachment) => (true, "--keep"),
            _ if !self.keep.is_empty() => (false, "not named by --keep"),
            Some(State::Leftover | State::Foreign) => (false, "namespace is gone"),
            Some(State::Namespace(_) | State::Unreadable) => (true, "namespace exists"),
            None => (true, "namespace is not known"),
        };
        Fate { attachment: entry.endpoint.attachment.clone(), kept, why }
    }

    fn names(&self, attachment: &Attachment) -> bool {
        self.keep.iter().any(|keep| keep.names(attachment))
    }

    /// What plugins are to spare even if it was forgotten meanwhile.
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
            true => self.nothing(network, collected.asked),
            false => table(["CONTAINER", "INTERFACE", "ACTION", "WHY"], rows),
        };
        let document = json!({
            "network": network.name, "dryRun": self.dry_run, "attachments": documents,
            "plugins": self.told(collected.asked),
        });
        Answer::new(&document, text).with_notes(notes(network))
    }

    fn told(&self, asked: bool) -> &'static str {
        match (self.dry_run, asked) {
            (true, true) => "would be asked",
            (false, true) => "asked",
            (_, false) => "not asked",
        }
    }

    fn nothing(&self, network: &NetworkList, asked: bool) -> String {
        let head = format!("no attachments of {} are remembered", network.name);
        let cannot_be_asked = network.disable_gc || network.version < Version::V1_1_0;
        let (are, are_not) = if self.dry_run { ("would be", "would not be") } else { ("were", "were not") };
        match asked {
            true => format!("{head}; the plugins {are} asked to remove what they have of any"),
            false if cannot_be_asked => head,
            false => format!(
                "{head}; the plugins {are_not} asked, since others may have attached containers: \
                 --all has them remove what they have of any container on {}",
                network.name
            ),
        }
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

    /// As it is written on the command line.
    fn of(Attachment { container, ifname }: &Attachment) -> String {
        format!("{container}:{ifname}")
    }

    fn names(&self, Attachment { container, ifname }: &Attachment) -> bool {
        self.container == *container && self.ifname.as_ref().is_none_or(|kept| kept == ifname)
    }

    /// A container that is not remembered any more was most likely attached by the usual name.
    fn attachment(&self) -> Option<Attachment> {
        let ifname = self.ifname.clone().or_else(|| "eth0".parse().ok())?;
        Some(Attachment { container: self.container.clone(), ifname })
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ifname {
            Some(ifname) => write!(out, "{}:{ifname}", self.container),
            None => write!(out, "{}", self.container),
        }
    }
}

/// Several may have gone wrong; what lacks a privilege lacks it again.
fn failure(what: String, errors: &[Error]) -> Failure {
    let causes: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let refused = errors.iter().any(|error| trouble::exit(error) == Exit::NotPermitted);
    let failure =
        Failure::new(if refused { Exit::NotPermitted } else { Exit::Failed }, what, causes.join("\n"));
    let failure = if refused { failure.next(privileges::advice()) } else { failure };
    failure.next("the same again after mending the cause: it may be repeated")
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
