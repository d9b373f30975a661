//! Why a command did not do what it was asked: what was tried, the cause, the next step, the exit code.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::answer::{Answer, print_document, say};
use crate::privileges;

/// In --help; the same as in EXIT-CODES.md.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it was tried and did not work
  2  the command line or a configuration is wrong, also in a plugin's eyes; nothing was made
  3  not found: the namespace, network, plugin or attachment
  4  not permitted: needs root, or a user namespace of its own
  5  check: the attachment is not as it was made
  6  status: the network is not ready
  7  try again later: something else holds it
  8  exists already
  `ns exec` ends with the command's own exit status, or 126 if it cannot be run, 127 if it is not found.";

/// In the help of subcommands.
pub(crate) const SEE_EXIT_CODES: &str = "Exit codes: see net-ctl --help";

/// The kinds of failure that a script can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    NotPermitted = 4,
    Different = 5,
    NotReady = 6,
    TryAgain = 7,
    Exists = 8,
    CannotRun = 126,
    NoCommand = 127,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// One failure, complete enough to act on.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    what: String,
    /// Whether `what` is a finding, rather than what was tried.
    finding: bool,
    cause: String,
    next: String,
    /// What was done all the same.
    done: Option<Box<Answer>>,
}

impl Failure {
    /// `what` was tried and did not work because of `cause`.
    pub(crate) fn new(exit: Exit, what: impl Into<String>, cause: impl Display) -> Self {
        let (what, cause) = (what.into(), cause.to_string());
        Self { exit, what, finding: false, cause, next: String::new(), done: None }
    }

    /// The same, with the outcome of a question in place of what was tried: `network front is not ready`.
    pub(crate) fn finding(self, finding: impl Into<String>) -> Self {
        Self { what: finding.into(), finding: true, ..self }
    }

    /// The kernel's or a file's answer; the exit code follows from it.
    pub(crate) fn os(what: impl Into<String>, kind: io::ErrorKind, cause: impl Display) -> Self {
        let exit = match kind {
            io::ErrorKind::NotFound => Exit::NotFound,
            io::ErrorKind::PermissionDenied => Exit::NotPermitted,
            io::ErrorKind::AlreadyExists => Exit::Exists,
            _ => Exit::Failed,
        };
        let failure = Self::new(exit, what, cause);
        // With all privileges over networks it is the place that is somebody else's: the caller knows the option.
        if exit == Exit::NotPermitted { failure.next(privileges::advice()) } else { failure }
    }

    /// Says what to do next, unless something better was said already.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        if self.next.is_empty() {
            self.next = next.into();
        }
        self
    }

    /// Adds what was done before or in spite of it.
    pub(crate) fn done(self, answer: Answer) -> Self {
        Self { done: Some(Box::new(answer)), ..self }
    }

    /// Programs read stdout, people stderr.
    pub(crate) fn print(&self, json: bool) {
        if json {
            return print_document(&self.document());
        }
        if let Some(done) = &self.done {
            done.print(false);
        }
        let mut err = io::stderr();
        let could_not = if self.finding { "" } else { "could not " };
        say(&mut err, &format!("net-ctl: {could_not}{}", self.what));
        say(&mut err, &format!("  cause: {}", self.cause.replace('\n', "\n         ")));
        if !self.next.is_empty() {
            say(&mut err, &format!("  try:   {}", self.next.replace('\n', "\n         ")));
        }
    }

    fn document(&self) -> Value {
        let mut document = self.done.as_ref().map_or_else(|| json!({}), |done| done.document.clone());
        document["error"] =
            json!({"what": self.what, "cause": self.cause, "next": self.next, "exit": self.exit as u8});
        document
    }
}

/// The kind of an error of the kernel.
pub(crate) fn kind_of(error: &kernel::Error) -> io::ErrorKind {
    io::Error::from(error.errno()).kind()
}
