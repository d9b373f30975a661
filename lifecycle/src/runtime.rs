//! A runtime's operations on a network: the chain, with what has to be locked and remembered around it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use spec::{Attachment, Error as Reported, NetworkList, Success, Version};

use crate::cache::{Cache, Entry, Remembered};
use crate::chain::{Chain, Stopped};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::lock::{Locks, PATIENCE};

/// Attaches containers to networks and remembers it.
///
/// Operations on one container wait for each other, in this process and in others that use the same cache
/// directory; GC of a network waits for all its operations and keeps new ones waiting.
#[derive(Clone, Debug)]
pub struct Runtime {
    path: Vec<PathBuf>,
    pub(crate) cache: Cache,
    pub(crate) locks: Locks,
}

impl Runtime {
    /// Looks for plugins in the directories of `path`, in order, and remembers attachments in `cache`.
    #[must_use]
    pub fn new(path: Vec<PathBuf>, cache: Cache) -> Self {
        let locks = Locks::new(cache.dir().join("locks"), PATIENCE);
        Self { path, cache, locks }
    }

    /// The same, that gives up on a lock after `patience` (300 s unless said).
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        let locks = Locks::new(self.cache.dir().join("locks"), patience);
        Self { locks, ..self }
    }

    /// What is remembered.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// ADD. After an error the caller has to [`del`](Self::del); [`attach`](Self::attach) does both.
    ///
    /// # Errors
    /// `AlreadyAttached`, on this network or another one, and nothing was tried; else the first plugin's error, or
    /// that of the cache.
    pub fn add(&self, network: &NetworkList, endpoint: &Endpoint) -> Result<Success> {
        let _locks =
            (self.locks.in_network(&network.name)?, self.locks.container(&endpoint.attachment.container)?);
        self.refuse_second(network, &endpoint.attachment)?;
        self.add_locked(network, endpoint).map_err(|stopped| stopped.error)
    }

    /// ADD, and DEL if that went wrong: attached, or nothing is left. DEL goes to the plugin that failed and to
    /// those before it, in reverse; those after it have not been started.
    ///
    /// # Errors
    /// As [`add`](Self::add); `Cleanup` with both errors if the DEL went wrong too.
    pub fn attach(&self, network: &NetworkList, endpoint: &Endpoint) -> Result<Success> {
        let _locks =
            (self.locks.in_network(&network.name)?, self.locks.container(&endpoint.attachment.container)?);
        // Before anything is tried: cleaning up after a second ADD would take the first one's interface away.
        self.refuse_second(network, &endpoint.attachment)?;
        self.add_locked(network, endpoint).map_err(|stopped| self.roll_back(network, endpoint, stopped))
    }

    /// CHECK; success without asking anybody if the configuration says `disableCheck`.
    ///
    /// # Errors
    /// `Unsupported` for networks below 0.4.0; else the first plugin's error, or that of the cache.
    pub fn check(&self, network: &NetworkList, endpoint: &Endpoint) -> Result<()> {
        if network.version < Version::V0_4_0 {
            let text = format!(
                "configuration version {:?} does not support the CHECK command",
                network.version.as_str()
            );
            return Err(Error::Unsupported(Reported::incompatible_version(text)));
        }
        if network.disable_check {
            return Ok(());
        }
        let _locks =
            (self.locks.in_network(&network.name)?, self.locks.container(&endpoint.attachment.container)?);
        let known = self.cache.read(&network.name, &endpoint.attachment)?;
        let result = previous(network, &known).map_err(|error| self.unusable(network, endpoint, &error))?;
        self.chain(network).check(endpoint, result.as_ref())
    }

    /// DEL; fine if the attachment is gone already. What is remembered is forgotten only after full success.
    ///
    /// Unlike in libcni, a plugin that fails does not keep those before it in the chain from their DEL: less is left
    /// behind, and it may all be repeated.
    ///
    /// # Errors
    /// The plugin's error, or `Several`, the first one leading; it may be tried again.
    pub fn del(&self, network: &NetworkList, endpoint: &Endpoint) -> Result<()> {
        let _locks =
            (self.locks.in_network(&network.name)?, self.locks.container(&endpoint.attachment.container)?);
        self.del_locked(network, endpoint)
    }

    /// STATUS, once all binaries are found, those of IPAM included; networks below 1.1.0 cannot be asked for more.
    ///
    /// # Errors
    /// `MissingPlugin`; the first plugin's error, with code 50 or 51 if it is not ready.
    pub fn status(&self, network: &NetworkList) -> Result<()> {
        self.chain(network).installed()?;
        if network.version < Version::V1_1_0 { Ok(()) } else { self.chain(network).status() }
    }

    pub(crate) fn chain<'a>(&'a self, network: &'a NetworkList) -> Chain<'a> {
        Chain { network, path: &self.path }
    }

    pub(crate) fn del_locked(&self, network: &NetworkList, endpoint: &Endpoint) -> Result<()> {
        let result =
            if network.version < Version::V0_4_0 { None } else { self.result_for_del(network, endpoint)? };
        self.chain(network).del(endpoint, result.as_ref())?;
        self.cache.remove(&network.name, &endpoint.attachment)
    }

    fn add_locked(
        &self,
        network: &NetworkList,
        endpoint: &Endpoint,
    ) -> std::result::Result<Success, Stopped> {
        let result = self.chain(network).add(endpoint)?;
        self.remember(network, endpoint, result)
            .map_err(|error| Stopped { error, started: network.plugins.len() })
    }

    fn remember(&self, network: &NetworkList, endpoint: &Endpoint, result: Value) -> Result<Success> {
        let success = Success::from_value(&result, network.version).map_err(Error::Unsupported)?;
        let (network, config) = (network.name.clone(), network.bytes.clone());
        self.cache.write(&Entry { network, endpoint: endpoint.clone(), config, result })?;
        Ok(success)
    }

    /// DEL after an ADD that went wrong; gives what is to be reported.
    fn roll_back(&self, network: &NetworkList, endpoint: &Endpoint, stopped: Stopped) -> Error {
        let Stopped { error: first, started } = stopped;
        match (self.chain(network).del_first(started, endpoint, None), &first) {
            // Nothing was made; who finds fault with an ADD does so with a DEL.
            (Ok(()), _) | (Err(_), Error::Refused { .. }) => first,
            (Err(cleanup), _) => Error::Cleanup { first: Box::new(first), cleanup: Box::new(cleanup) },
        }
    }

    fn refuse_second(&self, network: &NetworkList, attachment: &Attachment) -> Result<()> {
        self.cache.prepare()?;
        let taken_by = match self.cache.read(&network.name, attachment)? {
            // An interface of a container is on one network.
            Remembered::Nothing => {
                self.cache.entries_of(attachment)?.into_iter().next().map(|entry| entry.network)
            }
            _ => Some(network.name.clone()),
        };
        taken_by.map_or(Ok(()), |network| Err(Error::AlreadyAttached(network, attachment.clone())))
    }

    /// A cache file that cannot be used is dropped: DEL is to go on without it.
    fn result_for_del(&self, network: &NetworkList, endpoint: &Endpoint) -> Result<Option<Value>> {
        let known = self.cache.read(&network.name, &endpoint.attachment);
        match known.map(|known| previous(network, &known)) {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) | Err(_) => self.cache.remove(&network.name, &endpoint.attachment).map(|()| None),
        }
    }

    fn unusable(&self, network: &NetworkList, endpoint: &Endpoint, why: &Reported) -> Error {
        let cause = std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_string());
        Error::File { tried: "use", path: self.cache.file(&network.name, &endpoint.attachment), cause }
    }
}

/// The remembered result in the network's version.
fn previous(network: &NetworkList, known: &Remembered) -> spec::Result<Option<Value>> {
    if let Remembered::Unreadable(why) = known {
        return Err(Reported::decoding(why.clone()));
    }
    let convert = |result| Success::from_value(result, network.version)?.to_value(network.version);
    known.result().map(convert).transpose()
}
