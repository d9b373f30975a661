//! `conditionsV4`, `conditionsV6`: words of `nft` that only `nft` can read. Once for each list of conditions and
//! host, not for each container.

use crate::execute::fed;
use kernel::nft::Chain;
use spec::error::{Error, Result};
use std::process::{Command, Stdio};

/// The rule from a base chain to a group's chain.
#[derive(Debug)]
pub(super) struct Rule {
    from: Chain<'static>,
    /// What the packet has to match: what every rule of its kind asks, then the conditions.
    words: String,
    to: String,
    comment: String,
}

impl Rule {
    pub(super) fn new(
        from: Chain<'static>,
        asked: &str,
        conditions: &[String],
        to: &str,
        comment: String,
    ) -> Rule {
        Rule { from, words: format!("{asked} {}", conditions.join(" ")), to: to.to_owned(), comment }
    }

    /// The command that adds it.
    fn command(&self) -> String {
        let Rule { from, words, to, comment } = self;
        let (table, chain) = (from.table, from.name);
        format!("add rule {table} {chain} {words} fib daddr type local jump {to} comment \"{comment}\"\n")
    }

    /// The commands that would add the like of it to a chain at the same hook in a table of its own.
    fn trial(&self) -> String {
        let Rule { from, words, .. } = self;
        let (table, hook) = (format!("{}-trial", from.table), from.name);
        format!(
            "add table {table}\n\
             add chain {table} {hook} {{ type nat hook {hook} priority -100; }}\n\
             add rule {table} {hook} {words} fib daddr type local accept\n"
        )
    }
}

/// Whether `nft` and the kernel would take these rules; nothing is changed.
///
/// # Errors
/// `nft` is missing, or does not understand the conditions: its own words.
pub(super) fn check(rules: &[Rule]) -> Result<()> {
    execute(&["-c", "-f", "-"], &rules.iter().map(Rule::trial).collect::<String>())
}

/// Adds these rules, all or none.
///
/// # Errors
/// The same.
pub(super) fn add(rules: &[Rule]) -> Result<()> {
    execute(&["-f", "-"], &rules.iter().map(Rule::command).collect::<String>())
}

fn execute(args: &[&str], commands: &str) -> Result<()> {
    if commands.is_empty() {
        return Ok(());
    }
    let mut nft = Command::new("nft");
    let output = fed(nft.args(args).stdout(Stdio::null()), commands).map_err(|error| {
        Error::internal(format!("run nft for conditionsV4/conditionsV6: {error}; install nftables"))
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::invalid_config(format!("conditionsV4/conditionsV6: nft refuses them: {}", said.trim())))
}
