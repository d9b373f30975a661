//! `net-ctl ns`: named network namespaces.

mod create;
mod delete;
mod exec;
mod list;

use clap::Subcommand;
use lifecycle::sandbox::{Sandbox, State};
use serde::Serialize;
use spec::{ContainerId, NameError};

use crate::answer::Answer;
use crate::failure::Failure;

/// What can be done with a namespace.
#[derive(Subcommand)]
pub(crate) enum Command {
    Create(create::Create),
    List(list::List),
    Exec(exec::Exec),
    #[command(visible_aliases = ["del", "rm"])]
    Delete(delete::Delete),
}

impl Command {
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        match self {
            Self::Create(create) => create.run(),
            Self::List(list) => list.run(),
            Self::Exec(exec) => exec.run(),
            Self::Delete(delete) => delete.run(),
        }
    }
}

/// A namespace in a document.
#[derive(Serialize)]
struct Document {
    name: String,
    path: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    inode: Option<u64>,
}

impl From<&Sandbox> for Document {
    fn from(sandbox: &Sandbox) -> Self {
        let (state, inode) = match sandbox.state {
            State::Namespace(inode) => ("namespace", Some(inode)),
            State::Leftover => ("leftover", None),
            State::Foreign => ("foreign", None),
            State::Unreadable => ("unreadable", None),
        };
        Self { name: sandbox.name.clone(), path: sandbox.path.display().to_string(), state, inode }
    }
}

/// The name of a namespace: one that may serve as container id too.
fn name(text: &str) -> Result<ContainerId, String> {
    let rule = "letters, digits, '_', '.' and '-', beginning with a letter or digit";
    text.parse().map_err(|_: NameError| format!("a name is made of {rule}"))
}
