//! What the kernel refused: what was tried, on what, and its answer.

pub use rustix::io::Errno;
use std::fmt;

/// The result of everything in this room.
pub type Result<T> = std::result::Result<T, Error>;

/// A request that failed. Reads `add address 10.1.0.2/24 on eth0: File exists (os error 17)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What was tried: `add address`.
    pub op: String,
    /// On what: `10.1.0.2/24 on eth0`.
    pub object: String,
    /// The kernel's answer.
    pub errno: Errno,
    /// The kernel's own words (netlink's extended acknowledgement), where it gave some.
    pub note: Option<String>,
    /// What is wrong with `object`, where that says more than the errno: `is not a network namespace`.
    pub because: Option<&'static str>,
}

impl Error {
    /// An error with the kernel's number alone.
    pub fn new(op: impl Into<String>, object: impl Into<String>, errno: Errno) -> Error {
        Error { op: op.into(), object: object.into(), errno, note: None, because: None }
    }

    /// Adds the kernel's own words.
    #[must_use]
    pub fn with_note(self, note: Option<String>) -> Error {
        Error { note, ..self }
    }

    /// Says what is wrong with the object, in place of the errno's text: `is not a network namespace`.
    #[must_use]
    pub fn because(self, because: &'static str) -> Error {
        Error { because: Some(because), ..self }
    }

    /// The kernel's answer.
    pub fn errno(&self) -> Errno {
        self.errno
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.because {
            Some(because) => write!(f, "{}: {} {because}", self.op, self.object)?,
            None => write!(f, "{} {}: {}", self.op, self.object, self.errno)?,
        }
        match &self.note {
            Some(note) => write!(f, " (kernel: {note})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// Forgives EEXIST: several processes ensure the same shared thing at once, and another was faster.
///
/// # Errors
/// Every other error.
pub fn forgive_existing(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(error) if error.errno == Errno::EXIST => Ok(()),
        other => other,
    }
}

/// Gives a bare errno its what and where.
pub(crate) trait Tried<T> {
    /// `op` and `object` are asked for only after a failure.
    fn tried(self, op: &'static str, object: impl fmt::Display) -> Result<T>;
}

impl<T> Tried<T> for rustix::io::Result<T> {
    fn tried(self, op: &'static str, object: impl fmt::Display) -> Result<T> {
        self.map_err(|errno| Error::new(op, object.to_string(), errno))
    }
}

/// The errno inside an error of std, `EIO` where std made the error itself.
pub(crate) fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_tried_on_what_and_the_cause() {
        let object = "vethabcd0123 with eth0 in its peer namespace";
        let error = Error::new("create veth", object, Errno::EXIST);
        let text = "create veth vethabcd0123 with eth0 in its peer namespace: File exists (os error 17)";
        assert_eq!(error.to_string(), text);
        let error = error.with_note(Some("name is taken".to_owned()));
        assert_eq!(error.to_string(), format!("{text} (kernel: name is taken)"));
    }

    #[test]
    fn a_reason_stands_in_place_of_the_number() {
        let error = Error::new("open network namespace", "/tmp/x", Errno::INVAL);
        let text = error.because("is not a network namespace").to_string();
        assert_eq!(text, "open network namespace: /tmp/x is not a network namespace");
    }
}
