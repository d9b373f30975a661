//! `net-ctl network check`: see whether an attachment is as it was made.

use clap::Args;
use lifecycle::cache::Remembered;
use serde_json::json;

use super::target::Target;
use super::{Document, trouble};
use crate::answer::Answer;
use crate::failure::{Exit, Failure};

/// See whether an attachment still is as `add` made it
///
/// Nothing is changed. What `add` was told is remembered and need not be said again, the network's configuration
/// included, unless --config names one.
#[derive(Args)]
pub(crate) struct Check {
    #[command(flatten)]
    target: Target,
}

impl Check {
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        let what = self.target.what("check", "on");
        let runtime = self.target.runtime();
        let known = self.target.remembered(&runtime, &what)?;
        let (network, mut notes) = self.target.network_of_add(&known)?;
        let container = self.target.attachment().container;
        if known == Remembered::Nothing {
            let cause = format!("no such attachment is remembered in {}", runtime.cache().dir().display());
            return Err(Failure::new(Exit::NotFound, what, cause).next(format!(
                "net-ctl network list --attachments{}, or --cache-dir DIR of the runtime that attached it",
                self.target.cache.given()
            )));
        }
        self.target.check_capabilities(&network, &what)?;
        let endpoint = self.target.known_endpoint(&known);
        runtime.check(&network, &endpoint).map_err(|error| {
            let places = self.target.places();
            let again = |verb| super::command(verb, &network.name, &endpoint.attachment, &places);
            let anew = format!(
                "net-ctl firewall reload, where somebody changed or flushed the packet filter; else to make it anew:\n\
                 {}, then {} with the options that it had",
                again("del"),
                again("add")
            );
            trouble::on_network(what, &error, &network.name, &places).next(anew)
        })?;
        let attachment = Document::new(&network.name, &endpoint.attachment, endpoint.netns.as_deref());
        let text = format!("{container} on {} is as it was made", network.name);
        let answer = Answer::new(&json!({"attachment": attachment, "asMade": true}), text);
        if network.disable_check {
            notes.push(format!("{} says disableCheck: no plugin was asked", network.name));
        }
        Ok(answer.with_notes(notes))
    }
}
