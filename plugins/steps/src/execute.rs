//! Programs that read a script: `iptables-restore`, and `nft` for what only it can read.

use std::io::{ErrorKind, Result, Write};
use std::process::{Command, Output, Stdio};

/// Executes the program with this input; what it says on stderr is in the output.
///
/// # Errors
/// It cannot be started.
pub(crate) fn fed(command: &mut Command, input: &str) -> Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
    forgive_unread(written)?;
    child.wait_with_output()
}

/// Forgives EPIPE: a program that refuses at once does not read to the end, and says itself why.
fn forgive_unread(written: Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_program_that_does_not_read_is_heard() {
        let mut command = Command::new("sh");
        command.args(["-c", "exec <&-; echo 'no such option' >&2; exit 2"]);
        let output = fed(&mut command, &"x".repeat(1 << 20)).unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(2), &b"no such option\n"[..]));
    }
}
