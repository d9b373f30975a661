//! What an error of the runtime's side means to the person at the terminal.

use lifecycle::{Error, Verb};
use spec::{Code, NetworkName};

use crate::failure::{Exit, Failure};
use crate::places::Given;
use crate::privileges;

/// The failure to do `what`, with exit code and next step as the error asks for; commands in it go to these places.
pub(super) fn failure(what: String, error: &Error, places: &Given) -> Failure {
    match error {
        Error::File { cause, .. } => Failure::os(what, cause.kind(), error).next("--cache-dir DIR"),
        _ => Failure::new(exit(error), what, error).next(next(error, places)),
    }
}

/// The same about an operation on a network, which may be the cause.
pub(super) fn on_network(what: String, error: &Error, network: &NetworkName, places: &Given) -> Failure {
    let failure = failure(what, error, places);
    match error.reported() {
        Some(reported) if is_exhausted(reported) => failure.next(format!(
            "delete containers; net-ctl network gc {network}{places}, for what deleted ones left; or a larger range"
        )),
        _ if exit(error) == Exit::TryAgain => failure.next("the same again in a while"),
        _ => failure,
    }
}

/// The exit code that an error asks for.
pub(super) fn exit(error: &Error) -> Exit {
    match error {
        Error::Cleanup { first, .. } => exit(first),
        Error::Several { first, rest } => several(first, rest),
        Error::Unsupported(_) => Exit::Usage,
        Error::AlreadyAttached(..) => Exit::Exists,
        Error::Busy { .. } => Exit::TryAgain,
        Error::MissingPlugin { .. } => Exit::NotFound,
        Error::File { cause, .. } if cause.kind() == std::io::ErrorKind::PermissionDenied => {
            Exit::NotPermitted
        }
        Error::File { .. } => Exit::Failed,
        Error::Refused { error, .. } | Error::Plugin { error, .. } if lacks_privilege(error) => {
            Exit::NotPermitted
        }
        Error::Refused { error, .. } if is_configuration(error) => Exit::Usage,
        Error::Plugin { error, .. } if error.code == Code::TryAgainLater => Exit::TryAgain,
        Error::Plugin { verb: Verb::Check, .. } => Exit::Different,
        Error::Plugin { verb: Verb::Status, .. } => Exit::NotReady,
        Error::Refused { .. } | Error::Plugin { .. } => Exit::Failed,
    }
}

/// The first one's, except that none will do better without the privilege that any of them lacked.
fn several(first: &Error, rest: &[Error]) -> Exit {
    let refused = rest.iter().any(|error| exit(error) == Exit::NotPermitted);
    if refused { Exit::NotPermitted } else { exit(first) }
}

fn next(error: &Error, places: &Given) -> String {
    match error {
        Error::MissingPlugin { .. } => "--plugin-dir DIR, with the directory that has the plugin".to_owned(),
        Error::AlreadyAttached(network, attachment) => {
            let command = |verb| super::command(verb, network, attachment, places);
            format!("{}; or detach it first: {}", command("check"), command("del"))
        }
        Error::Busy { .. } => "the same again when the other operation has ended".to_owned(),
        _ if exit(error) == Exit::NotPermitted => privileges::advice().to_owned(),
        Error::Refused { error, .. } if is_configuration(error) => {
            "the same after mending the configuration or the options; nothing was made".to_owned()
        }
        _ => String::new(),
    }
}

fn is_configuration(error: &spec::Error) -> bool {
    matches!(error.code, Code::InvalidEnvironment | Code::Decoding | Code::InvalidConfig)
}

/// The words of the reference for a pool without a free address: waiting does not help.
fn is_exhausted(error: &spec::Error) -> bool {
    error.msg.contains("no IP addresses available")
}

/// Plugins have no code for it: these are the words of the kernel, of Go, and of iptables. Who cannot enter a
/// namespace without privilege lacks that.
fn lacks_privilege(error: &spec::Error) -> bool {
    let text = error.to_string().to_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
    says(&["operation not permitted", "permission denied", "eperm", "eacces", "must be root"])
        || (!privileges::suffice() && (error.code == Code::InvalidNetns || says(&["not permitted", "setns"])))
}

#[cfg(test)]
mod tests;
