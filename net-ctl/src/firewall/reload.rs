//! `net-ctl firewall reload`: what attachments have in the packet filter is put back.

use clap::Args;
use serde::Serialize;
use steps::reload::{self, Reloaded};

use crate::answer::{Answer, table};
use crate::failure::{Exit, Failure};
use crate::privileges;

/// Put back the packet filter rules of all attachments
///
/// After `nft flush ruleset`, `iptables -F` or a reload of another firewall: masquerade, port mappings, firewall and
/// spoof checks of the containers that run are made anew from what the plugins recorded under /run/tidewater/rules.
/// What is in place already is left as it is, and so is everybody else's. Safe to repeat.
#[derive(Args)]
pub(crate) struct Reload {}

/// A kind of rules in the document.
#[derive(Serialize)]
struct Kind {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attachments: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct Document {
    reloaded: Vec<Kind>,
}

impl From<Reloaded> for Kind {
    fn from(Reloaded { kind, outcome }: Reloaded) -> Self {
        match outcome {
            Ok(attachments) => Self { kind, attachments: Some(attachments), error: None },
            Err(error) => Self { kind, attachments: None, error: Some(error.to_string()) },
        }
    }
}

impl Reload {
    #[allow(clippy::unused_self, reason = "every subcommand has this shape")]
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        let reloaded: Vec<Kind> = reload::everything().into_iter().map(Kind::from).collect();
        let rows = reloaded.iter().map(|kind| {
            let outcome = match (&kind.error, kind.attachments) {
                (Some(error), _) => format!("failed: {error}"),
                (None, attachments) => attachments.unwrap_or_default().to_string(),
            };
            [kind.kind.to_owned(), outcome]
        });
        let text = table(["RULES", "ATTACHMENTS"], rows);
        let error = reloaded.iter().find_map(|kind| kind.error.clone());
        let answer = Answer::new(&Document { reloaded }, text);
        match error {
            None => Ok(answer),
            Some(error) if !privileges::suffice() => {
                let failure = Failure::new(Exit::NotPermitted, "reload the packet filter", error);
                Err(failure.next(privileges::advice()).done(answer))
            }
            Some(error) => Err(Failure::new(Exit::Failed, "reload the packet filter", error).done(answer)),
        }
    }
}
