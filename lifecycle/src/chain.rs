//! One operation over all plugins of a network, in the order that the specification gives it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use spec::list::Extra;
use spec::{Code, Error as Reported, NetworkList, PluginType, Success, ValidAttachment, Version, delegate};

use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::verb::Verb;

/// An ADD that did not get to the end of its chain.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) error: Error,
    /// How many plugins were started, from the first on; the last of them is the one that failed.
    pub(crate) started: usize,
}

/// The plugins of one network and where their binaries are looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain<'a> {
    pub(crate) network: &'a NetworkList,
    pub(crate) path: &'a [PathBuf],
}

impl Chain<'_> {
    /// Forward; each plugin gets the result of the one before. Stops at the first error.
    ///
    /// All binaries are found before the first of them runs: a missing one leaves nothing behind.
    pub(crate) fn add(self, endpoint: &Endpoint) -> std::result::Result<Value, Stopped> {
        let binaries = self.forward().map(|index| self.find(index, Verb::Add)).collect::<Result<Vec<_>>>();
        let binaries = binaries.map_err(|error| Stopped { error, started: 0 })?;
        let mut result = None;
        for (index, binary) in binaries.iter().enumerate() {
            let added = self.add_one(index, binary, endpoint, result.as_ref());
            result = Some(added.map_err(|error| Stopped { error, started: index + 1 })?);
        }
        Ok(result.unwrap_or_default())
    }

    fn add_one(
        self,
        index: usize,
        binary: &Path,
        endpoint: &Endpoint,
        previous: Option<&Value>,
    ) -> Result<Value> {
        let extra = told(endpoint, previous);
        let answer = self
            .execute(binary, index, Verb::Add, Some(endpoint), &extra)
            .map_err(|error| if index == 0 { refusal(error, binary) } else { error })?;
        result_in(&answer, self.network.version).map_err(|error| self.plugin_error(index, Verb::Add, error))
    }

    /// Forward; each plugin gets the final result. Stops at the first error.
    pub(crate) fn check(self, endpoint: &Endpoint, result: Option<&Value>) -> Result<()> {
        let check = |index| self.run(index, Verb::Check, Some(endpoint), &told(endpoint, result)).map(drop);
        self.forward().try_for_each(check)
    }

    /// Backward; each plugin gets the final result. All of them, and every error is told, the first one leading:
    /// libcni stops at the first, which leaves behind what the plugins before it have made and could remove.
    pub(crate) fn del(self, endpoint: &Endpoint, result: Option<&Value>) -> Result<()> {
        self.del_first(self.network.plugins.len(), endpoint, result)
    }

    /// The same for the first `started` plugins alone: those behind them have made nothing.
    pub(crate) fn del_first(self, started: usize, endpoint: &Endpoint, result: Option<&Value>) -> Result<()> {
        let del = |index| self.run(index, Verb::Del, Some(endpoint), &told(endpoint, result)).err();
        Error::joined(self.forward().take(started).rev().filter_map(del))
    }

    /// Forward, all of them; gives every error.
    pub(crate) fn gc(self, valid: &[ValidAttachment]) -> Vec<Error> {
        let extra = Extra { valid_attachments: Some(valid), ..Extra::default() };
        self.forward().filter_map(|index| self.run(index, Verb::Gc, None, &extra).err()).collect()
    }

    /// Forward; stops at the first error, whose code tells how bad it is.
    pub(crate) fn status(self) -> Result<()> {
        self.forward().try_for_each(|index| self.run(index, Verb::Status, None, &Extra::default()).map(drop))
    }

    /// Whether all binaries are there, those of IPAM included, as far as the configuration names them.
    pub(crate) fn installed(self) -> Result<()> {
        self.forward().try_for_each(|index| {
            self.find(index, Verb::Status)?;
            self.find_ipam(index)
        })
    }

    fn find_ipam(self, index: usize) -> Result<()> {
        let ipam = self.network.plugins[index].object().get("ipam");
        let named = ipam.and_then(|ipam| ipam.get("type")).and_then(Value::as_str);
        // A type that cannot be a file name is for the plugin to complain about.
        let Some(Ok(plugin)) = named.map(str::parse::<PluginType>) else { return Ok(()) };
        delegate::find(&plugin, self.path).map(drop).map_err(|error| Error::MissingPlugin {
            plugin: format!("type={:?}, ipam of {}", plugin.as_str(), self.description(index)),
            verb: Verb::Status,
            error,
        })
    }

    fn forward(self) -> std::ops::Range<usize> {
        0..self.network.plugins.len()
    }

    fn run(
        self,
        index: usize,
        verb: Verb,
        endpoint: Option<&Endpoint>,
        extra: &Extra<'_>,
    ) -> Result<Vec<u8>> {
        self.execute(&self.find(index, verb)?, index, verb, endpoint, extra)
    }

    fn execute(
        self,
        binary: &Path,
        index: usize,
        verb: Verb,
        endpoint: Option<&Endpoint>,
        extra: &Extra<'_>,
    ) -> Result<Vec<u8>> {
        let stdin =
            self.network.request(index, extra).map_err(|error| self.plugin_error(index, verb, error))?;
        delegate::exec(binary, verb.command(), &environment(endpoint, self.path), &stdin)
            .map_err(|error| self.plugin_error(index, verb, error))
    }

    fn find(self, index: usize, verb: Verb) -> Result<PathBuf> {
        delegate::find(&self.network.plugins[index].plugin, self.path).map_err(|error| Error::MissingPlugin {
            plugin: self.description(index),
            verb,
            error,
        })
    }

    fn plugin_error(self, index: usize, verb: Verb, error: Reported) -> Error {
        Error::Plugin { plugin: self.description(index), verb, error }
    }

    /// `type="bridge"`, with the plugin object's own name behind it if it has one.
    fn description(self, index: usize) -> String {
        let plugin = &self.network.plugins[index];
        match plugin.object().get("name").and_then(Value::as_str) {
            None | Some("") => format!("type={:?}", plugin.plugin.as_str()),
            Some(name) => format!("type={:?} name={name:?}", plugin.plugin.as_str()),
        }
    }
}

/// Whether the first plugin of a chain came as far as to make something: not when it found fault with what it was
/// told, nor when it could not be started.
fn refusal(error: Error, binary: &Path) -> Error {
    let never_ran = format!("netplugin failed with no error message: execute {} ", binary.display());
    match error {
        Error::Plugin { plugin, error, .. }
            if matches!(error.code, Code::InvalidEnvironment | Code::Decoding | Code::InvalidConfig)
                || error.msg.starts_with(&never_ran) =>
        {
            Error::Refused { plugin, error }
        }
        other => other,
    }
}

fn told<'a>(endpoint: &'a Endpoint, prev_result: Option<&'a Value>) -> Extra<'a> {
    Extra { capabilities: Some(&endpoint.capabilities), prev_result, ..Extra::default() }
}

/// All variables of a request; those that do not apply are empty, so that none comes from the caller's environment.
fn environment(endpoint: Option<&Endpoint>, path: &[PathBuf]) -> [(&'static str, String); 5] {
    let (container, ifname) = endpoint.map_or(("", ""), |endpoint| {
        (endpoint.attachment.container.as_str(), endpoint.attachment.ifname.as_str())
    });
    let directories: Vec<_> = path.iter().map(|dir| Path::display(dir).to_string()).collect();
    [
        ("CNI_CONTAINERID", container.into()),
        ("CNI_IFNAME", ifname.into()),
        ("CNI_NETNS", endpoint.and_then(|endpoint| endpoint.netns.clone()).unwrap_or_default()),
        ("CNI_ARGS", endpoint.map(Endpoint::args_text).unwrap_or_default()),
        ("CNI_PATH", directories.join(":")),
    ]
}

/// What a plugin printed, in the network's version: as it stands where it is in that version already, members that
/// nobody here knows included.
fn result_in(answer: &[u8], version: Version) -> std::result::Result<Value, Reported> {
    let mut value: Value = serde_json::from_slice(answer)
        .map_err(|cause| Reported::decoding(format!("read its result: {cause}")))?;
    let success = Success::from_value(&value, version).map_err(|error| error.context("read its result"))?;
    match value.get("cniVersion").and_then(Value::as_str).unwrap_or_default() {
        said if said == version.as_str() => Ok(value),
        "" if value.is_object() => {
            value["cniVersion"] = json!(version);
            Ok(value)
        }
        "" => Ok(json!({"cniVersion": version})),
        _ => success.to_value(version),
    }
}
