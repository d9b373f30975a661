//! Masquerade through iptables, in the very form of the reference plugins: one chain in table nat for each
//! container of a network, so that either can remove what the other made.

use crate::iptables::{self, StaleChains, TOOLS, Tool};
use crate::label::Label;
use crate::stale::Stale;
use ipnet::IpNet;
use kernel::lock::Lock;
use kernel::nft::{Nft, Request};
use spec::error::{Error, Result};
use std::fmt::Write as _;

const TABLE: &str = "nat";
const POSTROUTING: &str = "POSTROUTING";
/// What the name of every container's chain begins with.
const CHAIN_PREFIX: &str = "CNI-";

/// Called on nothing of the attachment's own: a rule of an ADD that was killed would be doubled.
pub(super) fn ensure(label: &Label, addresses: &[IpNet], lock: &Lock) -> Result<()> {
    for tool in &TOOLS {
        let own: Vec<&IpNet> =
            addresses.iter().filter(|address| address.addr().is_ipv4() == tool.v4).collect();
        if !own.is_empty() {
            tool.restore_under(lock, &script(tool, label, &own))?;
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
                None => jumps.insert(tool.rules(TABLE, POSTROUTING)?),
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

/// The deletions of the container's chain and of the jumps to it.
pub(super) fn deletions(nft: &mut Nft, chain: &str) -> Result<Vec<Request>> {
    iptables::chain_deletions(nft, TABLE, &[POSTROUTING], chain)
}

/// The same for the old kernel tables.
pub(super) fn remove_legacy(label: &Label) -> Result<()> {
    TOOLS.iter().try_for_each(|tool| tool.remove_legacy_chain(TABLE, &[POSTROUTING], &label.iptables_chain()))
}

/// The deletions of the chains, and of the jumps to them, of this network's containers that are gone.
pub(super) fn stale_deletions(nft: &mut Nft, stale: &Stale<'_>) -> Result<Vec<Request>> {
    stale_chains(stale, &|chain| is_stale(stale, chain)).deletions(nft)
}

/// The same for the old kernel tables, where they are in use.
pub(super) fn remove_stale_legacy(stale: &Stale<'_>) -> Result<()> {
    stale_chains(stale, &|chain| is_stale(stale, chain)).remove_legacy()
}

fn stale_chains<'a>(stale: &Stale<'_>, is_stale: &'a dyn Fn(&str) -> bool) -> StaleChains<'a> {
    let owner = format!("name: \"{}\" id:", stale.network());
    StaleChains { table: TABLE, leading: POSTROUTING, owner, is_stale }
}

fn is_stale(stale: &Stale<'_>, chain: &str) -> bool {
    chain.starts_with(CHAIN_PREFIX) && stale.is_chain(chain)
}

pub(super) fn available() -> Result<()> {
    // IPv6 may be missing on a host that needs none.
    TOOLS[0].rules(TABLE, POSTROUTING).map(drop)
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
}
