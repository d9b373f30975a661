//! `conditionsV4`, `conditionsV6`: words of `nft` that only `nft` can read. Once for each list of conditions and
//! host, not for each container.

use kernel::nft::Chain;
use spec::error::{Error, Result};
use std::io::Write;
use std::process::{Command, Stdio};

/// The command that adds the rule from a base chain to a group's chain.
pub(super) fn rule(from: Chain<'_>, conditions: &[String], to: &str, comment: &str) -> String {
    let words = conditions.join(" ");
    format!(
        "add rule {} {} {words} fib daddr type local jump {to} comment \"{comment}\"\n",
        from.table, from.name
    )
}

/// Executes these commands, all or none.
///
/// # Errors
/// `nft` is missing, or does not understand the conditions: its own words.
pub(super) fn execute(commands: &[String]) -> Result<()> {
    if commands.is_empty() {
        return Ok(());
    }
    let mut nft = Command::new("nft");
    nft.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let output = nft.spawn().and_then(|mut child| {
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(commands.concat().as_bytes())?;
        }
        child.wait_with_output()
    });
    let output = output.map_err(|error| {
        Error::internal(format!("run nft for conditionsV4/conditionsV6: {error}; install nftables"))
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::invalid_config(format!("conditionsV4/conditionsV6: nft refuses them: {}", said.trim())))
}
