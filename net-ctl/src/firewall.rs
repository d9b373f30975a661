//! `net-ctl firewall`: what attachments have in the packet filter.

mod reload;

use clap::Subcommand;

use crate::answer::Answer;
use crate::failure::Failure;

/// What can be done with the packet filter.
#[derive(Subcommand)]
pub(crate) enum Command {
    Reload(reload::Reload),
}

impl Command {
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        match self {
            Self::Reload(reload) => reload.run(),
        }
    }
}
