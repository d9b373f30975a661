//! `net-ctl ns list`: which names there are and what they lead to.

use clap::Args;
use lifecycle::sandbox::State;
use serde_json::json;

use super::Document;
use crate::answer::{Answer, table};
use crate::failure::Failure;
use crate::places::NamespacePlace;

/// List the network namespaces that have a name
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    place: NamespacePlace,
}

impl List {
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        let found = self.place.sandboxes().list().map_err(|error| {
            let what = format!("list network namespaces in {}", self.place.netns_dir.display());
            Failure::os(what, error.kind(), error)
        })?;
        let documents: Vec<_> = found.iter().map(Document::from).collect();
        let rows = found.iter().map(|sandbox| {
            let namespace = match sandbox.state {
                State::Namespace(inode) => format!("net:[{inode}]"),
                State::Leftover => "none: left by a creation that was killed".to_owned(),
                State::Foreign => "none: something else, which is left alone".to_owned(),
                State::Unreadable => "may not be looked at without root".to_owned(),
            };
            [sandbox.name.clone(), namespace, sandbox.path.display().to_string()]
        });
        let answer =
            Answer::new(&json!({"namespaces": documents}), table(["NAME", "NAMESPACE", "PATH"], rows));
        Ok(match found.is_empty() {
            true => answer.with_notes(vec![format!(
                "none yet; make one: net-ctl ns create NAME{}",
                self.place.given()
            )]),
            false => answer,
        })
    }
}
