//! What a plugin is asked to do: verb and environment, parsed once.

mod args;
mod environment;

use std::path::PathBuf;

use crate::config::Config;
use crate::names::{ContainerId, IfName};

pub(crate) use environment::{Command, Environment, Target};

/// A container on a network: the pair that identifies an attachment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attachment {
    /// `CNI_CONTAINERID`.
    pub container: ContainerId,
    /// `CNI_IFNAME`.
    pub ifname: IfName,
}

/// What the runtime says besides the request itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// `CNI_ARGS` as it came.
    pub args: String,
    /// The directories of `CNI_PATH`.
    pub path: Vec<PathBuf>,
    /// `CNI_NETNS_OVERRIDE`: the container's namespace may be the plugin's own.
    pub netns_override: bool,
}

/// ADD: make the attachment.
#[derive(Clone, Debug)]
pub struct Add {
    /// The attachment to make.
    pub attachment: Attachment,
    /// Path of the container's network namespace; nobody has opened it yet.
    pub netns: PathBuf,
    /// What else the runtime says.
    pub caller: Caller,
    /// The configuration from stdin.
    pub config: Config,
}

/// CHECK: look whether the attachment is as it was made.
#[derive(Clone, Debug)]
pub struct Check {
    /// The attachment to look at.
    pub attachment: Attachment,
    /// Path of the container's network namespace.
    pub netns: PathBuf,
    /// What else the runtime says.
    pub caller: Caller,
    /// The configuration from stdin; see [`Config::required_prev_result`].
    pub config: Config,
}

/// DEL: remove the attachment.
#[derive(Clone, Debug)]
pub struct Del {
    /// The attachment to remove.
    pub attachment: Attachment,
    /// Path of the container's network namespace, which may be gone; none when the runtime does not know it.
    pub netns: Option<PathBuf>,
    /// What else the runtime says.
    pub caller: Caller,
    /// The configuration from stdin.
    pub config: Config,
}

/// GC: remove what belongs to no living attachment.
#[derive(Clone, Debug)]
pub struct Gc {
    /// What else the runtime says.
    pub caller: Caller,
    /// The configuration from stdin, with [`Config::valid_attachments`].
    pub config: Config,
}

/// STATUS: say whether an ADD could be served.
#[derive(Clone, Debug)]
pub struct Status {
    /// What else the runtime says.
    pub caller: Caller,
    /// The configuration from stdin.
    pub config: Config,
}

impl Add {
    /// The request that takes this one back.
    pub fn to_del(&self) -> Del {
        Del {
            attachment: self.attachment.clone(),
            netns: Some(self.netns.clone()),
            caller: self.caller.clone(),
            config: self.config.clone(),
        }
    }
}
