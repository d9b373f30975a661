//! `net-ctl network`: attachments of containers to CNI networks.

mod add;
mod check;
mod del;
mod gc;
mod list;
mod lookup;
mod status;
mod target;
mod trouble;

use clap::Subcommand;
use serde::Serialize;
use serde_json::Value;
use spec::{Attachment, NameError, NetworkName};

use crate::answer::Answer;
use crate::failure::Failure;
use crate::places::Given;

/// What can be done with a network.
#[derive(Subcommand)]
pub(crate) enum Command {
    Add(add::Add),
    Check(check::Check),
    #[command(visible_aliases = ["delete", "rm"])]
    Del(del::Del),
    Gc(gc::Gc),
    Status(status::Status),
    List(list::List),
}

impl Command {
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        match self {
            Self::Add(add) => add.run(),
            Self::Check(check) => check.run(),
            Self::Del(del) => del.run(),
            Self::Gc(gc) => gc.run(),
            Self::Status(status) => status.run(),
            Self::List(list) => list.run(),
        }
    }
}

/// An attachment in a document.
#[derive(Serialize)]
struct Document<'a> {
    network: &'a str,
    container: &'a str,
    ifname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    netns: Option<&'a str>,
}

impl<'a> Document<'a> {
    fn new(network: &'a NetworkName, attachment: &'a Attachment, netns: Option<&'a str>) -> Self {
        let Attachment { container, ifname } = attachment;
        Self { network: network.as_str(), container: container.as_str(), ifname: ifname.as_str(), netns }
    }
}

/// The command for the same attachment: `net-ctl network del front web`, with the interface where it is not the
/// usual, and the places that were given.
pub(crate) fn command(
    verb: &str,
    network: &NetworkName,
    Attachment { container, ifname }: &Attachment,
    places: &Given,
) -> String {
    let unusual = Given::default().with("--ifname", Some(ifname.as_str()).filter(|ifname| *ifname != "eth0"));
    format!("net-ctl network {verb} {network} {container}{unusual}{places}")
}

/// The name of a network, as the specification allows it.
fn name(text: &str) -> Result<NetworkName, String> {
    let rule = "letters, digits, '_', '.' and '-', beginning with a letter or digit";
    text.parse().map_err(|_: NameError| format!("a network's name is made of {rule}"))
}

/// The addresses in a result, as they are written there.
fn addresses(result: &Value) -> Vec<String> {
    let newer = result["ips"].as_array().into_iter().flatten().map(|ip| &ip["address"]);
    let older = ["ip4", "ip6"].into_iter().map(|family| &result[family]["ip"]);
    newer.chain(older).filter_map(Value::as_str).map(str::to_owned).collect()
}
