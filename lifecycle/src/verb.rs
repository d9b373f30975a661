//! What a runtime asks the plugins of a chain to do.

use std::fmt;

/// A verb of the specification, VERSION apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Attach.
    Add,
    /// See whether an attachment still is as ADD left it.
    Check,
    /// Detach.
    Del,
    /// Collect what belongs to no valid attachment.
    Gc,
    /// Tell whether ADD could work now.
    Status,
}

impl Verb {
    /// The value of CNI_COMMAND.
    pub(crate) fn command(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Check => "CHECK",
            Self::Del => "DEL",
            Self::Gc => "GC",
            Self::Status => "STATUS",
        }
    }
}

/// The word that libcni puts into its error texts.
impl fmt::Display for Verb {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Add => "add",
            Self::Check => "check",
            Self::Del => "delete",
            Self::Gc => "gc",
            Self::Status => "status",
        })
    }
}
