//! `net-ctl ns create`: make a namespace and give it a name.

use clap::Args;
use spec::ContainerId;

use super::{Document, name};
use crate::answer::Answer;
use crate::failure::{Exit, Failure, kind_of};
use crate::places::NamespacePlace;

/// Make a network namespace with a name
///
/// It is empty but for its own loopback interface, which is up, and lives until `net-ctl ns delete`.
/// `ip netns` sees it too.
#[derive(Args)]
pub(crate) struct Create {
    /// Its name: letters, digits, '_', '.' and '-'
    #[arg(value_parser = name)]
    name: ContainerId,
    #[command(flatten)]
    place: NamespacePlace,
}

impl Create {
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        let sandbox = self.place.sandboxes().create(&self.name).map_err(|error| self.failure(&error))?;
        Ok(Answer::new(&Document::from(&sandbox), format!("created {}", sandbox.path.display())))
    }

    fn failure(&self, error: &kernel::Error) -> Failure {
        let failure = Failure::os(format!("create network namespace {}", self.name), kind_of(error), error);
        match failure.exit {
            Exit::Exists => failure.next(format!(
                "another name, or first: net-ctl ns delete {}{}",
                self.name,
                self.place.given()
            )),
            Exit::NotPermitted => failure.next("--netns-dir DIR, a directory of your own"),
            _ => failure,
        }
    }
}
