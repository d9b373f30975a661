//! Port mappings through iptables, in the very form of the reference plugins: chains that all containers share, and
//! one chain in table nat for each container of a network, so that either can remove what the other made.
//!
//! Two attachments of one container to one network share the container's chain; the first DEL removes it.

mod rules;
mod standing;

use super::{Backend, Mapping, Ports, taken};
use crate::iptables::{self, StaleChains, TOOLS, Tool};
use crate::label::Label;
use crate::record::{self, Found};
use crate::ruleset::{self, open_if_supported};
use crate::stale::Stale;
use kernel::lock::Lock;
use kernel::nft::{Nft, Request};
use rules::{DNAT, Rules, TABLE, chain_of};
use spec::error::Result;
use standing::Missing;
use std::collections::BTreeSet;

/// What led to the chains of older reference plugins, which rewrote sources in chains of their own.
const SNAT: &str = "CNI-HOSTPORT-SNAT";

pub(super) fn ensure(label: &Label, ports: &Ports) -> Result<()> {
    let lock = record::lock()?;
    let records = record::list::<Ports>()?;
    let mut nft = open_if_supported()?;
    refuse_taken(nft.as_mut(), label, ports, &records)?;
    clear(label)?;
    let sharing = sharing(label, ports, &records);
    for tool in &TOOLS {
        let rules = Rules::of(tool, label, &sharing);
        if !rules.own.is_empty() {
            write(nft.as_mut(), tool, &rules, &lock)?;
        }
    }
    Ok(())
}

/// The records tell who else wants the ports, and the chains who of them has got so far.
fn refuse_taken(
    mut nft: Option<&mut Nft>,
    label: &Label,
    ports: &Ports,
    records: &[Found<Ports>],
) -> Result<()> {
    for (mapping, other) in clashes(label, ports, records) {
        if other.what.backend == Backend::Nftables || has_chain(nft.as_deref_mut(), &other.label)? {
            return Err(taken(mapping, mapping.address, &holder(&other.label)));
        }
    }
    Ok(())
}

/// For the other backend: nobody has a port by this one where its shared chain is not there.
pub(super) fn refuse_taken_here(nft: &mut Nft, label: &Label, ports: &Ports) -> Result<()> {
    let mut in_use = false;
    for tool in &TOOLS {
        in_use |= nft.chain(tool.chain(TABLE, DNAT))?.is_some();
    }
    if !in_use {
        return Ok(());
    }
    let mut records = record::list::<Ports>()?;
    records.retain(|other| other.what.backend == Backend::Iptables);
    refuse_taken(Some(nft), label, ports, &records)
}

/// A port under other conditions is another one. One container may have its ports on several networks, where runtimes
/// tell each network's plugin of all of them: the first mapping wins.
fn clashes<'a>(
    label: &Label,
    ports: &'a Ports,
    records: &'a [Found<Ports>],
) -> impl Iterator<Item = (&'a Mapping, &'a Found<Ports>)> {
    let container = label.names().1.to_owned();
    let others = records.iter().filter(move |other| other.label.names().1 != container);
    others.filter_map(|other| Some((first_clash(ports, &other.what)?, other)))
}

/// Whether the container's chain stands in one of the tables.
fn has_chain(nft: Option<&mut Nft>, label: &Label) -> Result<bool> {
    let chain = chain_of(label);
    if let Some(nft) = nft {
        for tool in &TOOLS {
            if nft.chain(tool.chain(TABLE, &chain))?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(TOOLS.iter().any(|tool| tool.has_legacy(TABLE) && tool.legacy_rules(TABLE, &chain).is_some()))
}

fn first_clash<'a>(ports: &'a Ports, other: &Ports) -> Option<&'a Mapping> {
    let sides = ports.sides.iter().flat_map(|side| other.sides.iter().map(move |other| (side, other)));
    let alike = sides.filter(|(side, other)| {
        side.container.addr().is_ipv4() == other.container.addr().is_ipv4()
            && side.conditions == other.conditions
    });
    alike.into_iter().find_map(|(side, other)| {
        side.mappings.iter().find(|mapping| other.mappings.iter().any(|other| mapping.clashes_with(other)))
    })
}

fn holder(label: &Label) -> String {
    let (network, container, ifname) = label.names();
    format!("{ifname} of container {container} on network {network}")
}

/// Nothing of a repeated ADD, or of the reference plugins' for the same container, is doubled.
fn clear(label: &Label) -> Result<()> {
    if let Some(mut nft) = open_if_supported()? {
        let deletions = deletions(&mut nft, label)?;
        ruleset::remove(nft, deletions)?;
    }
    remove_legacy(label)
}

/// All that is to be in the container's chain: of this attachment and, from their records, of others of the same
/// container to the same network.
fn sharing<'a>(label: &Label, ports: &'a Ports, records: &'a [Found<Ports>]) -> Vec<&'a Ports> {
    let others = records.iter().filter(|other| {
        other.label.names() != label.names()
            && other.label.seed() == label.seed()
            && other.what.backend == ports.backend
    });
    std::iter::once(ports).chain(others.map(|other| &other.what)).collect()
}

/// Once more where the reference plugins, which do not know our lock, made a shared chain since the look.
fn write(mut nft: Option<&mut Nft>, tool: &Tool, rules: &Rules, lock: &Lock) -> Result<()> {
    let missing = Missing::look(nft.as_deref_mut(), tool, rules)?;
    let Err(error) = tool.restore_under(lock, &rules.script(&missing)) else { return Ok(()) };
    let since = Missing::look(nft, tool, rules)?;
    if since == missing {
        return Err(error);
    }
    tool.restore_under(lock, &rules.script(&since))
}

/// One question for each family: iptables itself compares the rules, which it may print in other words.
pub(super) fn check(label: &Label, ports: &Ports) -> Result<()> {
    for tool in &TOOLS {
        let rules = Rules::of(tool, label, &[ports]);
        if !rules.own.is_empty() {
            tool.restore(&rules.check_script()).map_err(|error| {
                error.context(format!(
                    "port mappings: not all rules of {} stand in table nat; \
                     somebody removed or changed them, or flushed the table",
                    rules.chain
                ))
            })?;
        }
    }
    Ok(())
}

/// The deletions of the container's chain and of the jumps to it, whoever made them.
pub(super) fn deletions(nft: &mut Nft, label: &Label) -> Result<Vec<Request>> {
    let mut deletions = Vec::new();
    for (top, chain) in chains(label) {
        deletions.extend(iptables::chain_deletions(nft, TABLE, &[top], &chain)?);
    }
    Ok(deletions)
}

/// The same for the old kernel tables.
pub(super) fn remove_legacy(label: &Label) -> Result<()> {
    for (top, chain) in chains(label) {
        TOOLS.iter().try_for_each(|tool| tool.remove_legacy_chain(TABLE, &[top], &chain))?;
    }
    Ok(())
}

/// The container's chains, each with the shared one that leads to it.
fn chains(label: &Label) -> [(&'static str, String); 2] {
    [(DNAT, chain_of(label)), (SNAT, chain_of(label).replacen("-DN-", "-SN-", 1))]
}

/// The deletions of the chains, and of the jumps to them, of this network's containers that are gone.
pub(super) fn stale_deletions(nft: &mut Nft, stale: &Stale<'_>) -> Result<Vec<Request>> {
    let valid = valid_chains(stale);
    stale_chains(stale, &|chain| is_stale(&valid, chain)).deletions(nft)
}

/// The same for the old kernel tables, where they are in use.
pub(super) fn remove_stale_legacy(stale: &Stale<'_>) -> Result<()> {
    let valid = valid_chains(stale);
    stale_chains(stale, &|chain| is_stale(&valid, chain)).remove_legacy()
}

fn stale_chains<'a>(stale: &Stale<'_>, is_stale: &'a dyn Fn(&str) -> bool) -> StaleChains<'a> {
    let owner = format!("dnat name: \"{}\" id:", stale.network());
    StaleChains { table: TABLE, leading: DNAT, owner, is_stale }
}

fn valid_chains(stale: &Stale<'_>) -> BTreeSet<String> {
    stale.valid().iter().map(chain_of).collect()
}

fn is_stale(valid: &BTreeSet<String>, chain: &str) -> bool {
    chain.starts_with(rules::PREFIX) && !valid.contains(chain)
}

pub(super) fn available() -> Result<()> {
    // IPv6 may be missing on a host that needs none.
    TOOLS[0].rules(TABLE, "POSTROUTING").map(drop)
}

#[cfg(test)]
mod tests;
