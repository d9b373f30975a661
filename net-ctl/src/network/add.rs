//! `net-ctl network add`: attach a container.

use clap::Args;
use lifecycle::Error;
use serde_json::json;
use spec::{NetworkList, Success};

use super::target::Target;
use super::{Document, trouble};
use crate::answer::{Answer, table};
use crate::failure::Failure;

/// Attach a container to a network
///
/// Runs the network's plugins in order and remembers the result. If one of them fails, it and those before it are
/// told to delete what they made: after an error nothing is left. Refused while the container has that interface,
/// on whatever network.
#[derive(Args)]
pub(crate) struct Add {
    #[command(flatten)]
    target: Target,
}

impl Add {
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        let what = self.target.what("attach", "to");
        let network = self.target.list()?;
        self.target.check_capabilities(&network, &what)?;
        let endpoint = self.target.new_endpoint(&what)?;
        let result = self.target.runtime().attach(&network, &endpoint);
        let result = result.map_err(|error| self.failure(what, &error))?;
        let attachment = Document::new(&network.name, &endpoint.attachment, endpoint.netns.as_deref());
        // Versions before 0.3.0 cannot say "no address": it is attached all the same.
        let wire = result.to_value(network.version).unwrap_or_default();
        Ok(Answer::new(
            &json!({"attachment": attachment, "result": wire}),
            text(&network, &attachment, &result),
        ))
    }

    fn failure(&self, what: String, error: &Error) -> Failure {
        match error {
            Error::AlreadyAttached(network, attachment) if *network != self.target.network => {
                let failure = Failure::new(trouble::exit(error), what, error);
                let free = self.target.free_ifname(&self.target.runtime());
                let places = self.target.places_for(network);
                let del = super::command("del", network, attachment, &places);
                failure.next(format!("--ifname {free}; or detach it first: {del}"))
            }
            // What is left is the more pressing, unless it takes a privilege first.
            Error::Cleanup { .. } => {
                trouble::failure(what, error, &self.target.places()).next(self.target.again("del"))
            }
            _ => trouble::on_network(what, error, &self.target.network, &self.target.places())
                .next("the same after mending the cause; nothing was left behind"),
        }
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
