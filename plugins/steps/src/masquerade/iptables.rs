//! Masquerade through iptables, in the very form of the reference plugins: one chain in table nat for each
//! container of a network, so that either can remove what the other made.
//!
//! Writing goes through one `iptables-restore` for each family. Removal speaks netlink where iptables is the
//! nf_tables one, and executes `iptables` only where the old kernel tables are in use.

use crate::label::Label;
use crate::stale::Stale;
use ipnet::IpNet;
use kernel::nft::{Family, Nft, Request, Table, Verdict};
use spec::error::{Error, Result};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// What the name of every container's chain begins with.
const CHAIN_PREFIX: &str = "CNI-";

/// One address family of iptables.
struct Tool {
    v4: bool,
    family: Family,
    list: &'static str,
    restore: &'static str,
    legacy: &'static str,
    legacy_restore: &'static str,
    /// Names of the old kernel tables in use; absent where there are none.
    legacy_tables: &'static str,
    multicast: &'static str,
}

const TOOLS: [Tool; 2] = [
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

pub(super) fn ensure(label: &Label, addresses: &[IpNet]) -> Result<()> {
    // A rule of an ADD that was killed would be doubled by a second one.
    super::remove(label, Some(&[]))?;
    for tool in &TOOLS {
        let own: Vec<&IpNet> =
            addresses.iter().filter(|address| address.addr().is_ipv4() == tool.v4).collect();
        if !own.is_empty() {
            run(tool.restore, &["--noflush", "--wait"], &script(tool, label, &own))?;
        }
    }
    Ok(())
}

pub(super) fn check(label: &Label, addresses: &[IpNet]) -> Result<()> {
    let chain = label.iptables_chain();
    for tool in &TOOLS {
        let own = addresses.iter().filter(|address| address.addr().is_ipv4() == tool.v4);
        let mut jumps = None;
        for address in own {
            let jumps = match &jumps {
                Some(jumps) => jumps,
                None => jumps.insert(list(tool.list, "POSTROUTING")?),
            };
            let source = format!("-s {}", IpNet::from(address.addr()));
            let present =
                jumps.lines().any(|rule| rule.contains(&source) && rule.ends_with(&format!("-j {chain}")));
            if !present {
                return Err(Error::internal(format!(
                    "masquerade of {address}: no jump to {chain} in table nat"
                )));
            }
        }
    }
    Ok(())
}

/// The deletions of the chain and of the jumps to it that the nf_tables flavour of iptables made.
pub(super) fn deletions(nft: &mut Nft, chain: &str) -> Result<Vec<Request>> {
    let mut deletions = Vec::new();
    for tool in &TOOLS {
        let base = Table::new(tool.family, "nat").chain("POSTROUTING");
        deletions.extend(nft.chain_and_jumps(base, chain)?);
    }
    Ok(deletions)
}

/// The same for the old kernel tables; nothing is executed where those are not in use.
pub(super) fn remove_legacy(label: &Label) -> Result<()> {
    for tool in TOOLS.iter().filter(|tool| legacy_nat(tool)) {
        remove_legacy_chain(tool, &label.iptables_chain())?;
    }
    Ok(())
}

/// The deletions of the chains, and of the jumps to them, of this network's containers that are gone.
pub(super) fn stale_deletions(nft: &mut Nft, stale: &Stale<'_>) -> Result<Vec<Request>> {
    let owner = format!("name: \"{}\" id:", stale.network());
    let mut chains = BTreeSet::new();
    for tool in &TOOLS {
        for rule in nft.rules(Table::new(tool.family, "nat").chain("POSTROUTING"))? {
            let ours = rule.comment.as_deref().is_some_and(|comment| comment.starts_with(&owner));
            let targets = rule.verdicts.iter().filter_map(Verdict::target).filter(|_| ours);
            chains.extend(targets.filter(|chain| is_stale_chain(stale, chain)).map(str::to_owned));
        }
    }
    let mut deletions = Vec::new();
    for chain in chains {
        deletions.extend(self::deletions(nft, &chain)?);
    }
    Ok(deletions)
}

/// The same for the old kernel tables, where they are in use.
pub(super) fn remove_stale_legacy(stale: &Stale<'_>) -> Result<()> {
    let owner = format!("name: \\\"{}\\\" id:", stale.network());
    for tool in TOOLS.iter().filter(|tool| legacy_nat(tool)) {
        let rules = list(tool.legacy, "POSTROUTING")?;
        let chains = rules.lines().filter(|rule| rule.contains(&owner)).filter_map(jump_target);
        for chain in chains.filter(|chain| is_stale_chain(stale, chain)) {
            remove_legacy_chain(tool, chain)?;
        }
    }
    Ok(())
}

fn is_stale_chain(stale: &Stale<'_>, chain: &str) -> bool {
    chain.starts_with(CHAIN_PREFIX) && stale.is_chain(chain)
}

pub(super) fn available() -> Result<()> {
    // IPv6 may be missing on a host that needs none.
    list(TOOLS[0].list, "POSTROUTING").map(drop)
}

fn script(tool: &Tool, label: &Label, addresses: &[&IpNet]) -> String {
    let chain = label.iptables_chain();
    let comment = format!("-m comment --comment \"{}\"", label.iptables_comment());
    let mut text = format!("*nat\n:{chain} - [0:0]\n");
    for address in addresses {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "-A {chain} -d {} {comment} -j ACCEPT", address.trunc());
        let _ = writeln!(text, "-A {chain} ! -d {} {comment} -j MASQUERADE", tool.multicast);
        let _ = writeln!(text, "-A POSTROUTING -s {} {comment} -j {chain}", address.addr());
    }
    text.push_str("COMMIT\n");
    text
}

fn remove_legacy_chain(tool: &Tool, chain: &str) -> Result<()> {
    let jumps = list(tool.legacy, "POSTROUTING")?;
    let mut text = "*nat\n".to_owned();
    for rule in jumps.lines().filter(|rule| jump_target(rule) == Some(chain)) {
        let _ = writeln!(text, "{}", rule.replacen("-A ", "-D ", 1));
    }
    if list(tool.legacy, chain).is_err() {
        return Ok(());
    }
    let _ = writeln!(text, "-F {chain}\n-X {chain}\nCOMMIT");
    run(tool.legacy_restore, &["--noflush", "--wait"], &text)
}

fn legacy_nat(tool: &Tool) -> bool {
    std::fs::read_to_string(tool.legacy_tables).is_ok_and(|tables| tables.lines().any(|table| table == "nat"))
}

fn jump_target(rule: &str) -> Option<&str> {
    let mut words = rule.split_whitespace();
    words.find(|word| *word == "-j")?;
    words.next().filter(|chain| chain.starts_with(CHAIN_PREFIX))
}

fn list(program: &str, chain: &str) -> Result<String> {
    let output = Command::new(program).args(["-w", "-t", "nat", "-S", chain]).stdin(Stdio::null()).output();
    let output = finished(program, output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn run(program: &str, arguments: &[&str], input: &str) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let outcome = command.spawn().and_then(|mut child| {
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        child.wait_with_output()
    });
    finished(program, outcome).map(drop)
}

fn finished(program: &str, outcome: std::io::Result<Output>) -> Result<Output> {
    let output = outcome.map_err(|error| {
        Error::internal(format!(
            "run {program}: {error}; install iptables, or use ipMasqBackend \"nftables\""
        ))
    })?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::internal(format!("{program}: {}", said.trim())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_script_is_the_reference_plugins_rules() {
        let label = Label::of(&"mynet".parse().unwrap(), "abc123", "eth0");
        let text = script(&TOOLS[0], &label, &[&"10.1.0.5/16".parse().unwrap()]);
        let comment = r#"-m comment --comment "name: \"mynet\" id: \"abc123\"""#;
        let expected = format!(
            "*nat\n:CNI-70a29d9dc18bc4d652ea5d59 - [0:0]\n\
             -A CNI-70a29d9dc18bc4d652ea5d59 -d 10.1.0.0/16 {comment} -j ACCEPT\n\
             -A CNI-70a29d9dc18bc4d652ea5d59 ! -d 224.0.0.0/4 {comment} -j MASQUERADE\n\
             -A POSTROUTING -s 10.1.0.5 {comment} -j CNI-70a29d9dc18bc4d652ea5d59\nCOMMIT\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn the_target_of_a_jump_is_read_from_a_listed_rule() {
        let rule =
            r#"-A POSTROUTING -s 10.1.0.5/32 -m comment --comment "name: \"n\" id: \"c\"" -j CNI-70a2"#;
        assert_eq!(jump_target(rule), Some("CNI-70a2"));
        assert_eq!(jump_target("-A POSTROUTING -j MASQUERADE"), None);
        assert_eq!(jump_target("-P POSTROUTING ACCEPT"), None);
    }
}
