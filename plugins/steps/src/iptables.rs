//! iptables, where a host's rules live there: one `iptables-restore` for each family writes, netlink removes.
//!
//! Today's iptables keeps its rules in nf_tables, where chains of any name are looked up and removed over netlink.
//! Where the old kernel tables are in use, their own `iptables-legacy` is executed.

mod stale;

pub(crate) use stale::StaleChains;

use crate::execute::fed;
use kernel::lock::Lock;
use kernel::nft::{Chain, Family, Nft, Request, Table};
use spec::error::{Error, Result};
use std::fmt::Write as _;
use std::os::fd::AsFd;
use std::process::{Command, Output, Stdio};

/// Longest name of a chain.
const CHAIN_MAX: usize = 28;

/// Whether a key's value can be the name of a chain: it becomes a word of a script for `iptables-restore`.
///
/// # Errors
/// Code 7, with the key.
pub fn chain_name(key: &str, name: &str) -> Result<()> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:+".contains(&byte));
    if plain && !name.is_empty() && name.len() <= CHAIN_MAX && !name.starts_with('-') {
        return Ok(());
    }
    Err(Error::invalid_config(format!(
        "{key} {name:?} is no name of a chain: want at most {CHAIN_MAX} letters, digits, '-', '_', '.', ':' or '+'"
    )))
}

/// One address family of iptables.
#[derive(Debug)]
pub(crate) struct Tool {
    /// Whether it is IPv4's.
    pub(crate) v4: bool,
    /// Its family in nf_tables.
    pub(crate) family: Family,
    list: &'static str,
    restore: &'static str,
    legacy: &'static str,
    legacy_restore: &'static str,
    /// Names of the old kernel tables in use; absent where there are none.
    legacy_tables: &'static str,
    /// What is sent to many at once.
    pub(crate) multicast: &'static str,
}

/// IPv4's and IPv6's.
pub(crate) const TOOLS: [Tool; 2] = [
    Tool {
        v4: true,
        family: Family::Ip,
        list: "iptables",
        restore: "iptables-restore",
        legacy: "iptables-legacy",
        legacy_restore: "iptables-legacy-restore",
        legacy_tables: "/proc/net/ip_tables_names",
        multicast: "224.0.0.0/4",
    },
    Tool {
        v4: false,
        family: Family::Ip6,
        list: "ip6tables",
        restore: "ip6tables-restore",
        legacy: "ip6tables-legacy",
        legacy_restore: "ip6tables-legacy-restore",
        legacy_tables: "/proc/net/ip6_tables_names",
        multicast: "ff00::/8",
    },
];

impl Tool {
    /// Executes `iptables-restore --noflush` with this script: all of it or nothing.
    ///
    /// # Errors
    /// iptables is missing, or refuses; its own words.
    pub(crate) fn restore(&self, script: &str) -> Result<()> {
        restore(self.restore, script, Stdio::null())
    }

    /// The same, and the lock is held until iptables has ended even where the caller is killed before: what it writes
    /// then is there for whoever waits for the lock to remove it.
    ///
    /// # Errors
    /// As [`Tool::restore`].
    pub(crate) fn restore_under(&self, lock: &Lock, script: &str) -> Result<()> {
        // A descriptor to inherit; iptables-restore prints nothing there.
        restore(self.restore, script, Stdio::from(lock.as_fd().try_clone_to_owned()?))
    }

    /// The rules of a chain as `iptables -S` writes them.
    ///
    /// # Errors
    /// iptables is missing, or there is no such chain.
    pub(crate) fn rules(&self, table: &str, chain: &str) -> Result<String> {
        list(self.list, table, &[chain])
    }

    /// The chains and rules of a table as `iptables -S` writes them.
    ///
    /// # Errors
    /// iptables is missing, or there is no such table.
    pub(crate) fn all_rules(&self, table: &str) -> Result<String> {
        list(self.list, table, &[])
    }

    /// A chain of iptables as nf_tables knows it.
    pub(crate) fn chain<'a>(&self, table: &'a str, chain: &'a str) -> Chain<'a> {
        Table::new(self.family, table).chain(chain)
    }

    /// Whether this table of the old kernel tables is in use.
    pub(crate) fn has_legacy(&self, table: &str) -> bool {
        std::fs::read_to_string(self.legacy_tables)
            .is_ok_and(|tables| tables.lines().any(|found| found == table))
    }

    /// The rules of a chain of the old kernel tables. `None` where there is no such chain, and where there is no
    /// `iptables-legacy`: without one nothing can be removed there, and a DEL has to end all the same.
    pub(crate) fn legacy_rules(&self, table: &str, chain: &str) -> Option<String> {
        list(self.legacy, table, &[chain]).ok()
    }

    /// As [`Tool::restore`], for the old kernel tables.
    ///
    /// # Errors
    /// As [`Tool::restore`].
    pub(crate) fn restore_legacy(&self, script: &str) -> Result<()> {
        restore(self.legacy_restore, script, Stdio::null())
    }

    /// Removes from the old kernel tables a chain and the rules of these others that lead to it; fine where
    /// [`Tool::legacy_rules`] finds none. Nothing is executed where the table is not in use.
    ///
    /// # Errors
    /// `iptables-legacy` refuses.
    pub(crate) fn remove_legacy_chain(&self, table: &str, leading: &[&str], chain: &str) -> Result<()> {
        if !self.has_legacy(table) || self.legacy_rules(table, chain).is_none() {
            return Ok(());
        }
        let mut script = format!("*{table}\n");
        for base in leading {
            let rules = self.legacy_rules(table, base).unwrap_or_default();
            for rule in rules.lines().filter(|rule| jump_target(rule) == Some(chain)) {
                // Writing to a String cannot fail.
                let _ = writeln!(script, "{}", rule.replacen("-A ", "-D ", 1));
            }
        }
        let _ = writeln!(script, "-F {chain}\n-X {chain}\nCOMMIT");
        restore(self.legacy_restore, &script, Stdio::null())
    }
}

/// The deletions of a chain of both families, and of the rules of these others that lead to it, made by the
/// nf_tables flavour of iptables.
///
/// # Errors
/// The kernel does not answer.
pub(crate) fn chain_deletions(
    nft: &mut Nft,
    table: &str,
    leading: &[&str],
    chain: &str,
) -> Result<Vec<Request>> {
    let mut deletions = Vec::new();
    for tool in &TOOLS {
        if nft.chain(tool.chain(table, chain))?.is_none() {
            continue;
        }
        for name in leading {
            let base = tool.chain(table, name);
            let rules = nft.rules(base)?;
            deletions.extend(
                rules.iter().filter(|rule| rule.leads_to(chain)).map(|rule| base.delete_rule(rule.handle)),
            );
        }
        deletions.push(tool.chain(table, chain).delete());
    }
    Ok(deletions)
}

/// Where a rule that `iptables -S` listed leads to.
pub(crate) fn jump_target(rule: &str) -> Option<&str> {
    let mut words = rule.split_whitespace();
    words.find(|word| *word == "-j")?;
    words.next()
}

fn list(program: &str, table: &str, chain: &[&str]) -> Result<String> {
    let output =
        Command::new(program).args(["-w", "-t", table, "-S"]).args(chain).stdin(Stdio::null()).output();
    let output = finished(program, output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn restore(program: &str, input: &str, stdout: Stdio) -> Result<()> {
    let mut command = Command::new(program);
    command.args(["--noflush", "--wait"]).stdout(stdout);
    finished(program, fed(&mut command, input)).map(drop)
}

fn finished(program: &str, outcome: std::io::Result<Output>) -> Result<Output> {
    let output = outcome.map_err(|error| {
        Error::internal(format!("run {program}: {error}; install iptables, or use the nftables backend"))
    })?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::internal(format!("{program}: {}", said.trim())))
}

#[cfg(test)]
mod tests {
    use super::{chain_name, jump_target};

    #[test]
    fn a_name_is_one_word_of_a_script() {
        assert!(chain_name("key", "KUBE-MARK-MASQ").is_ok());
        for name in ["", "A B", "A\n-F", "-A", "A-CHAIN-OF-A-VERY-LONG-NAME-X"] {
            assert!(chain_name("key", name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_target_of_a_jump_is_read_from_a_listed_rule() {
        let rule =
            r#"-A POSTROUTING -s 10.1.0.5/32 -m comment --comment "name: \"n\" id: \"c\"" -j CNI-70a2"#;
        assert_eq!(jump_target(rule), Some("CNI-70a2"));
        assert_eq!(jump_target("-P POSTROUTING ACCEPT"), None);
    }
}
