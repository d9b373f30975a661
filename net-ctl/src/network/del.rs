//! `net-ctl network del`: detach a container.

use clap::Args;
use lifecycle::Endpoint;
use lifecycle::cache::{Entry, Remembered};
use serde_json::{Value, json};
use spec::{Attachment, NetworkList};

use super::target::Target;
use super::{Document, trouble};
use crate::answer::Answer;
use crate::failure::Failure;

/// Detach a container from a network
///
/// Fine if it is detached or its namespace is gone already: where nothing is remembered the plugins are asked all
/// the same to remove what is left. All plugins are asked, also when one of them fails. What `add` was told is remembered and need not be
/// said again, the network's configuration included, unless --config names one.
#[derive(Args)]
pub(crate) struct Del {
    #[command(flatten)]
    target: Target,
}

impl Del {
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        let what = self.target.what("detach", "from");
        let runtime = self.target.runtime();
        let known = self.target.remembered(&runtime, &what)?;
        let (network, notes) = self.target.network_of_add(&known)?;
        self.target.check_capabilities(&network, &what)?;
        let endpoint = self.target.known_endpoint(&known);
        runtime.del(&network, &endpoint).map_err(|error| {
            trouble::on_network(what, &error, &network.name, &self.target.places())
                .next("the same again after mending the cause: it may be repeated")
        })?;
        Ok(match known {
            Remembered::Nothing => self.unknown(&endpoint, &self.target.others(&runtime)),
            _ => detached(&network, &endpoint).with_notes(notes),
        })
    }

    /// It may be that there was nothing; it may be that something else was meant.
    fn unknown(&self, endpoint: &Endpoint, others: &[Entry]) -> Answer {
        let Attachment { container, ifname } = &endpoint.attachment;
        let network = &self.target.network;
        let text = format!(
            "nothing was remembered of {container} on {network} as {ifname}; \
             asked the plugins to remove whatever is left"
        );
        let document = json!({
            "attachment": Document::new(network, &endpoint.attachment, endpoint.netns.as_deref()),
            "deleted": true, "remembered": false, "others": others.iter().map(other).collect::<Vec<_>>(),
        });
        Answer::new(&document, text).with_notes(others.iter().map(|entry| self.note(entry)).collect())
    }

    fn note(&self, Entry { network, endpoint, .. }: &Entry) -> String {
        let Attachment { container, ifname } = &endpoint.attachment;
        let places = self.target.places_for(network);
        let del = super::command("del", network, &endpoint.attachment, &places);
        format!("{container} is attached to {network} as {ifname}; to detach that: {del}")
    }
}

fn detached(network: &NetworkList, endpoint: &Endpoint) -> Answer {
    let attachment = Document::new(&network.name, &endpoint.attachment, endpoint.netns.as_deref());
    let text = format!("detached {} from {}", attachment.container, network.name);
    Answer::new(&json!({"attachment": attachment, "deleted": true, "remembered": true}), text)
}

fn other(Entry { network, endpoint, .. }: &Entry) -> Value {
    json!(Document::new(network, &endpoint.attachment, endpoint.netns.as_deref()))
}
