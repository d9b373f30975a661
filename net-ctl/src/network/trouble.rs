//! What an error of the runtime's side means to the person at the terminal.

use lifecycle::{Error, Verb};
use spec::Code;

use crate::failure::{Exit, Failure};
use crate::privileges;

/// The failure to do `what`, with exit code and next step as the error asks for.
pub(super) fn failure(what: String, error: &Error) -> Failure {
    match error {
        Error::File { cause, .. } => Failure::os(what, cause.kind(), error).next("--cache-dir DIR"),
        _ => Failure::new(exit(error), what, error).next(next(error)),
    }
}

fn exit(error: &Error) -> Exit {
    match error {
        Error::Plugin { error, .. } if error.code == Code::TryAgainLater => Exit::TryAgain,
        Error::Plugin { error, .. } if lacks_privilege(error) => Exit::NotPermitted,
        Error::Plugin { verb: Verb::Check, .. } => Exit::Different,
        Error::Plugin { verb: Verb::Status, .. } => Exit::NotReady,
        Error::Plugin { .. } | Error::File { .. } => Exit::Failed,
        Error::MissingPlugin { .. } => Exit::NotFound,
        Error::Unsupported(_) => Exit::Usage,
        Error::AlreadyAttached(..) => Exit::Exists,
        Error::Busy { .. } => Exit::TryAgain,
        Error::Cleanup { first, .. } => exit(first),
    }
}

fn next(error: &Error) -> String {
    match error {
        Error::MissingPlugin { .. } => "--plugin-dir DIR, with the directory that has the plugin".to_owned(),
        Error::AlreadyAttached(network, attachment) => {
            let command = |verb| super::command(verb, network, attachment);
            format!("{}; or detach it first: {}", command("check"), command("del"))
        }
        Error::Busy { .. } => "the same again when the other operation has ended".to_owned(),
        _ if exit(error) == Exit::NotPermitted => privileges::ADVICE.to_owned(),
        _ if exit(error) == Exit::TryAgain => "the same again in a while".to_owned(),
        _ => String::new(),
    }
}

/// Plugins have no code for it; without our own capabilities these words have one meaning.
fn lacks_privilege(error: &spec::Error) -> bool {
    let text = error.to_string().to_lowercase();
    ["not permitted", "permission denied"].iter().any(|words| text.contains(words)) && !privileges::suffice()
}
