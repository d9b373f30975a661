//! Output for the person who watches: results on stdout, progress on stderr. A closed pipe is not an error.

use std::io::Write as _;

/// Prints a line of the result.
pub(super) fn result(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a line of progress.
pub(super) fn progress(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
