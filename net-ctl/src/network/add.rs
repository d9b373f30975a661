//! `net-ctl network add`: attach a container.

use clap::Args;
use serde_json::json;
use spec::{NetworkList, Success};

use super::target::Target;
use super::{Document, trouble};
use crate::answer::{Answer, table};
use crate::failure::Failure;

/// Attach a container to a network
///
/// Runs the network's plugins in order and remembers the result. If one of them fails, what the others made is
/// deleted again: after an error nothing is left.
#[derive(Args)]
pub(crate) struct Add {
    #[command(flatten)]
    target: Target,
}

impl Add {
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        let what = self.target.what("attach", "to");
        let network = self.target.list()?;
        let endpoint = self.target.new_endpoint(&what)?;
        let result = self.target.runtime().attach(&network, &endpoint).map_err(|error| {
            trouble::failure(what, &error).next(match error {
                lifecycle::Error::Cleanup { .. } => {
                    super::command("del", &network.name, &endpoint.attachment)
                }
                _ => "the same after mending the cause; nothing was left behind".to_owned(),
            })
        })?;
        let attachment = Document::new(&network.name, &endpoint.attachment, endpoint.netns.as_deref());
        // Versions before 0.3.0 cannot say "no address": it is attached all the same.
        let wire = result.to_value(network.version).unwrap_or_default();
        Ok(Answer::new(
            &json!({"attachment": attachment, "result": wire}),
            text(&network, &attachment, &result),
        ))
    }
}

fn text(network: &NetworkList, attachment: &Document<'_>, result: &Success) -> String {
    let head = format!("attached {} to {} as {}", attachment.container, network.name, attachment.ifname);
    if result.ips.is_empty() {
        return head;
    }
    let rows = result.ips.iter().map(|ip| {
        let interface = ip.interface.and_then(|index| result.interfaces.get(index));
        let interface = interface.map_or(attachment.ifname, |interface| interface.name.as_str());
        let gateway = ip.gateway.map_or("-".to_owned(), |gateway| gateway.to_string());
        [interface.to_owned(), ip.address.to_string(), gateway]
    });
    format!("{head}\n\n{}", table(["INTERFACE", "ADDRESS", "GATEWAY"], rows))
}
