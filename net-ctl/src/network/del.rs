//! `net-ctl network del`: detach a container.

use clap::Args;
use lifecycle::cache::Remembered;
use serde_json::json;
use spec::NetworkList;

use super::target::Target;
use super::{Document, trouble};
use crate::answer::Answer;
use crate::failure::{Exit, Failure};

/// Detach a container from a network
///
/// Fine if it is detached or its namespace is gone already. What `add` was told is remembered and need not be
/// said again, the network's configuration included, unless --config names one.
#[derive(Args)]
pub(crate) struct Del {
    #[command(flatten)]
    target: Target,
}

impl Del {
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        let what = self.target.what("detach", "from");
        let runtime = self.target.runtime();
        let known = self.target.remembered(&runtime, &what)?;
        let (network, notes) = self.network(&known)?;
        let endpoint = self.target.known_endpoint(&known);
        runtime.del(&network, &endpoint).map_err(|error| {
            trouble::failure(what, &error).next("the same again after mending the cause: it may be repeated")
        })?;
        let attachment = Document::new(&network.name, &endpoint.attachment, endpoint.netns.as_deref());
        let text = format!("detached {} from {}", attachment.container, network.name);
        Ok(Answer::new(&json!({"attachment": attachment, "deleted": true}), text).with_notes(notes))
    }

    /// The configuration that --config names; else that of ADD; else today's.
    fn network(&self, known: &Remembered) -> Result<(NetworkList, Vec<String>), Failure> {
        let missing = match self.target.list_of_add(known) {
            // Not found, or not to be told because some file is broken.
            Err(failure)
                if matches!(failure.exit, Exit::NotFound | Exit::Usage)
                    && self.target.config.config.is_none() =>
            {
                failure
            }
            found => return found.map(|network| (network, Vec::new())),
        };
        let Remembered::Entry(entry) = known else { return Err(missing) };
        let note = format!(
            "{} has no readable configuration any more: used that of the time of add",
            self.target.network
        );
        entry.remembered_list().map(|network| (network, vec![note])).ok_or(missing)
    }
}
