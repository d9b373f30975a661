//! `net-ctl ns exec`: become a command inside a namespace.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Args;
use spec::ContainerId;

use super::name;
use crate::answer::Answer;
use crate::failure::{self, Failure, kind_of};
use crate::places::NamespacePlace;

/// Run a command inside a network namespace
///
/// net-ctl becomes the command: same process, same terminal, the command's exit status.
/// Only the network changes. Unlike `ip netns exec` it does not mount a /sys of the namespace's own, so
/// /sys/fs/cgroup stays in sight and /sys/class/net shows the interfaces of the host: ask `ip link`, not /sys.
/// Files of /etc/netns/NAME are not put over /etc either.
#[derive(Args)]
pub(crate) struct Exec {
    /// The namespace
    #[arg(value_parser = name)]
    name: ContainerId,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<OsString>,
    #[command(flatten)]
    place: NamespacePlace,
}

impl Exec {
    /// Comes back only when the command could not be started.
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        let enter = || format!("enter network namespace {}", self.name);
        let netns = self
            .place
            .sandboxes()
            .open(&self.name)
            .map_err(|error| Failure::os(enter(), kind_of(&error), error).next(self.list()))?;
        let not_started = netns.run(|| self.become_command());
        Err(match not_started {
            Ok(error) => self.failure(&error),
            Err(error) => Failure::os(enter(), kind_of(&error), error),
        })
    }

    fn list(&self) -> String {
        format!("net-ctl ns list{}", self.place.given())
    }

    /// The new program keeps the namespace of the thread that starts it.
    fn become_command(&self) -> io::Error {
        let (program, arguments) = self.program();
        Command::new(program).args(arguments).exec()
    }

    fn failure(&self, error: &io::Error) -> Failure {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => failure::Exit::NoCommand,
            _ => failure::Exit::CannotRun,
        };
        let program = self.program().0.to_string_lossy().into_owned();
        Failure::new(exit, format!("run {program} in network namespace {}", self.name), error)
            .next("a command of the host's PATH, or its full path: the namespace has no files of its own")
    }

    /// clap asks for at least one.
    fn program(&self) -> (OsString, &[OsString]) {
        self.command.split_first().map_or_else(Default::default, |(program, rest)| (program.clone(), rest))
    }
}
