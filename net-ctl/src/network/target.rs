//! Which attachment is meant, and what plugins are told about it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use kernel::netns::NetNs;
use lifecycle::cache::{Entry, Remembered};
use lifecycle::{Endpoint, Runtime};
use serde_json::{Map, Value};
use spec::{Attachment, ContainerId, IfName, NameError, NetworkList, NetworkName};

use super::{lookup, trouble};
use crate::failure::{Exit, Failure, kind_of};
use crate::places::{CachePlace, ConfigPlace, Given, NamespacePlace, PluginPlace};

/// Has plugins pass over arguments that are not meant for them, as container runtimes do.
const IGNORE_UNKNOWN: &str = "IgnoreUnknown";

/// Options of add, check and del.
#[derive(Args)]
pub(super) struct Target {
    /// The network, by the name in its configuration
    #[arg(value_parser = super::name)]
    pub(super) network: NetworkName,
    /// The container: id, and name of its namespace unless --netns says otherwise
    #[arg(value_parser = container)]
    container: ContainerId,
    /// Id of the container where it is not CONTAINER
    #[arg(long, value_name = "ID", value_parser = container)]
    container_id: Option<ContainerId>,
    /// Name of the interface in the container
    #[arg(long, value_name = "NAME", default_value = "eth0", value_parser = ifname)]
    ifname: IfName,
    /// The container's namespace: a path, or a name in --netns-dir [default: the name CONTAINER]
    #[arg(long, value_name = "PATH|NAME")]
    netns: Option<String>,
    /// An argument in CNI_ARGS, e.g. IP=10.1.0.9; may be repeated. IgnoreUnknown=1 is added unless it is given: plugins
    /// then pass over arguments that they do not know
    #[arg(long = "args", value_name = "K=V", value_parser = argument)]
    args: Vec<(String, String)>,
    /// Capability arguments, of which some plugin has to declare each, e.g. '{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}'
    #[arg(long, value_name = "JSON", value_parser = capabilities)]
    capabilities: Option<Map<String, Value>>,
    #[command(flatten)]
    pub(super) config: ConfigPlace,
    #[command(flatten)]
    plugins: PluginPlace,
    #[command(flatten)]
    namespaces: NamespacePlace,
    #[command(flatten)]
    pub(super) cache: CachePlace,
}

impl Target {
    pub(super) fn runtime(&self) -> Runtime {
        self.plugins.runtime(&self.cache)
    }

    pub(super) fn list(&self) -> Result<NetworkList, Failure> {
        lookup::one(&self.config, &self.network)
    }

    /// The places that were given.
    pub(super) fn places(&self) -> Given {
        self.config.given().and(self.other_places())
    }

    /// Those that serve for other networks too.
    pub(super) fn places_for(&self, network: &NetworkName) -> Given {
        if *network == self.network {
            self.places()
        } else {
            self.config.given_dir().and(self.other_places())
        }
    }

    fn other_places(&self) -> Given {
        self.plugins.given().and(self.namespaces.given()).and(self.cache.given())
    }

    /// The command for the same attachment with all that was said of it, where nothing is remembered.
    pub(super) fn again(&self, verb: &str) -> String {
        let unusual = Some(self.ifname.as_str()).filter(|ifname| *ifname != "eth0");
        let capabilities = self.capabilities.as_ref().map(|given| Value::Object(given.clone()).to_string());
        let given = Given::default()
            .with("--container-id", self.container_id.as_ref().map(ContainerId::as_str))
            .with("--ifname", unusual)
            .with("--netns", self.netns.as_deref());
        let argument = |given: Given, (key, value): &(String, String)| {
            given.with("--args", Some(format!("{key}={value}")))
        };
        let given = self.args.iter().fold(given, argument).with("--capabilities", capabilities);
        format!("net-ctl network {verb} {} {}{}", self.network, self.container, given.and(self.places()))
    }

    /// Capabilities that nobody declares would be lost without a word.
    pub(super) fn check_capabilities(&self, network: &NetworkList, what: &str) -> Result<(), Failure> {
        let offered = self.capabilities.iter().flat_map(Map::keys);
        let is_lost = |name: &&String| !network.plugins.iter().any(|plugin| plugin.is_capable_of(name));
        let lost: Vec<_> = offered.filter(is_lost).cloned().collect();
        if lost.is_empty() {
            return Ok(());
        }
        let declared = declared(network);
        let known = if declared.is_empty() { "none".to_owned() } else { declared.join(", ") };
        let cause = format!(
            "no plugin of {} declares the capability {}; declared are: {known}",
            network.name,
            lost.join(", ")
        );
        let next = "--capabilities with those alone, or \"capabilities\" of a plugin in the configuration";
        Err(Failure::new(Exit::Usage, what, cause).next(next))
    }

    /// Remembered attachments of the same container under another id, interface or network.
    pub(super) fn others(&self, runtime: &Runtime) -> Vec<Entry> {
        let (this, netns) = (self.attachment(), text(&self.netns_path()));
        let mut entries = runtime.cache().entries().unwrap_or_default();
        entries.retain(|Entry { network, endpoint, .. }| {
            let container = &endpoint.attachment.container;
            let same = *container == this.container || *container == self.container;
            (same || endpoint.netns.as_ref() == Some(&netns))
                && !(endpoint.attachment == this && *network == self.network)
        });
        entries
    }

    /// An interface that the container has not got, as far as is remembered.
    pub(super) fn free_ifname(&self, runtime: &Runtime) -> String {
        let container = self.attachment().container;
        let entries = runtime.cache().entries().unwrap_or_default();
        let is_taken = |name: &String| {
            let mut attachments = entries.iter().map(|entry| &entry.endpoint.attachment);
            attachments.any(|it| it.container == container && it.ifname.as_str() == name)
        };
        (1..).map(|number| format!("eth{number}")).find(|name| !is_taken(name)).unwrap_or_default()
    }

    /// The network as it was on ADD; as it is now where --config says so or nothing is remembered.
    fn list_of_add(&self, known: &Remembered) -> Result<NetworkList, Failure> {
        let today = self.list()?;
        Ok(match known {
            Remembered::Entry(entry) if self.config.config.is_none() => entry.list_of_add(today),
            _ => today,
        })
    }

    /// The configuration that --config names; else that of ADD; else today's.
    pub(super) fn network_of_add(&self, known: &Remembered) -> Result<(NetworkList, Vec<String>), Failure> {
        let missing = match self.list_of_add(known) {
            // Not found, or not to be told because some file is broken.
            Err(failure)
                if matches!(failure.exit, Exit::NotFound | Exit::Usage) && self.config.config.is_none() =>
            {
                failure
            }
            found => return found.map(|network| (network, Vec::new())),
        };
        let Remembered::Entry(entry) = known else { return Err(missing) };
        let note =
            format!("{} has no readable configuration any more: used that of the time of add", self.network);
        entry.remembered_list().map(|network| (network, vec![note])).ok_or(missing)
    }

    pub(super) fn attachment(&self) -> Attachment {
        let container = self.container_id.as_ref().unwrap_or(&self.container).clone();
        Attachment { container, ifname: self.ifname.clone() }
    }

    /// `attach container web to network front as eth0`
    pub(super) fn what(&self, verb: &str, to: &str) -> String {
        let Attachment { container, ifname } = self.attachment();
        format!("{verb} container {container} {to} network {} as {ifname}", self.network)
    }

    /// As the options say it, in a namespace that has to be there.
    pub(super) fn new_endpoint(&self, what: &str) -> Result<Endpoint, Failure> {
        let path = self.netns_path();
        self.look_at(&path, what)?;
        Ok(self.endpoint(Some(&path)))
    }

    /// As the options say it; what they leave out, as it was on ADD.
    pub(super) fn known_endpoint(&self, known: &Remembered) -> Endpoint {
        let Remembered::Entry(entry) = known else { return self.endpoint(self.netns_now().as_deref()) };
        let was = &entry.endpoint;
        let mut endpoint = self.endpoint(None);
        endpoint.netns = match &self.netns {
            Some(_) => Some(text(&self.netns_path())),
            None => was.netns.clone().or_else(|| self.netns_now().as_deref().map(text)),
        };
        // Just what ADD was told, by whatever runtime.
        if self.args.is_empty() {
            endpoint.args.clone_from(&was.args);
        }
        if self.capabilities.is_none() {
            endpoint.capabilities.clone_from(&was.capabilities);
        }
        endpoint
    }

    /// What the cache has of the attachment.
    pub(super) fn remembered(&self, runtime: &Runtime, what: &str) -> Result<Remembered, Failure> {
        let known = runtime.cache().read(&self.network, &self.attachment());
        known.map_err(|error| trouble::failure(what.to_owned(), &error, &self.places()))
    }

    fn endpoint(&self, netns: Option<&Path>) -> Endpoint {
        let mut endpoint = Endpoint::new(self.attachment(), netns.map(text));
        endpoint.args = self.cni_args();
        endpoint.capabilities = self.capabilities.clone().unwrap_or_default();
        endpoint
    }

    fn cni_args(&self) -> Vec<(String, String)> {
        let is_given = self.args.iter().any(|(key, _)| key == IGNORE_UNKNOWN);
        let ours = (IGNORE_UNKNOWN.to_owned(), "1".to_owned());
        let ours = if is_given { None } else { Some(ours) };
        ours.into_iter().chain(self.args.iter().cloned()).collect()
    }

    fn look_at(&self, path: &Path, what: &str) -> Result<(), Failure> {
        NetNs::open(path).map(drop).map_err(|error| {
            let next = match &self.netns {
                Some(given) if given.contains('/') => "another --netns PATH".to_owned(),
                given => format!(
                    "net-ctl ns create {}{}",
                    given.as_deref().unwrap_or(self.container.as_str()),
                    self.namespaces.given()
                ),
            };
            Failure::os(what, kind_of(&error), error).next(next)
        })
    }

    /// The namespace that the options name, if there is one now.
    fn netns_now(&self) -> Option<PathBuf> {
        Some(self.netns_path()).filter(|path| self.netns.is_some() || path.exists())
    }

    /// A path is kept as it is given, but whole: it is used again from other directories.
    fn netns_path(&self) -> PathBuf {
        match &self.netns {
            Some(path) if path.contains('/') => std::path::absolute(path).unwrap_or_else(|_| path.into()),
            Some(name) => self.namespaces.netns_dir.join(name),
            None => self.namespaces.sandboxes().path(&self.container),
        }
    }
}

/// The capabilities that plugins of a network declare, each once.
fn declared(network: &NetworkList) -> Vec<&str> {
    let objects =
        network.plugins.iter().filter_map(|plugin| plugin.object().get("capabilities")?.as_object());
    let names: BTreeSet<_> = objects
        .flatten()
        .filter(|(_, value)| **value == Value::Bool(true))
        .map(|(name, _)| name.as_str())
        .collect();
    names.into_iter().collect()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn container(text: &str) -> Result<ContainerId, String> {
    let rule = "letters, digits, '_', '.' and '-', beginning with a letter or digit";
    text.parse().map_err(|_: NameError| format!("a container's id is made of {rule}"))
}

fn ifname(text: &str) -> Result<IfName, String> {
    text.parse().map_err(|error: NameError| {
        format!("{} (1 to 15 bytes without '/', ':' and white space)", error.reason)
    })
}

/// The pairs travel as `K=V;K2=V2`.
fn argument(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !text.contains(';') => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err("an argument is KEY=VALUE, without ';'".to_owned()),
    }
}

fn capabilities(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("capabilities are a JSON object: {error}"))
}
