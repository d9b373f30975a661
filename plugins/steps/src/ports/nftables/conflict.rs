//! Whether the ports are free, asked under the lock of [`crate::ports`].
//!
//! A port of one address is taken when that address has it or all have it; a port of all addresses is taken when
//! any has it. Elements of the attachment itself are no conflict: they are replaced.

use super::elements;
use super::is_marked;
use super::layout::{Group, TABLE};
use crate::label::Label;
use crate::ports::{HostPorts, Mapping, Ports, taken};
use kernel::nft::{Element, ElementFound, Key, Nft, Set};
use spec::error::Result;

/// One question to the kernel, and what an answer means.
struct Probe<'a> {
    set: Set<'a>,
    key: Key,
    /// Who wants the port; `None` for what is replaced whoever had it.
    claim: Option<Claim<'a>>,
}

/// One port of a mapping.
#[derive(Clone, Copy)]
struct Claim<'a> {
    mapping: &'a Mapping,
    port: u16,
    group: &'a Group,
}

/// What the attachment itself has under the keys that it wants, for deletion.
pub(super) fn own_or_free<'a>(
    nft: &mut Nft,
    label: &Label,
    ports: &'a Ports,
    groups: &'a [Group],
    replaced: &'a [elements::Entry],
) -> Result<Vec<(Set<'a>, Element<'static>)>> {
    let members = replaced.iter().filter(|entry| !entry.is_port());
    let mut probes: Vec<Probe<'a>> = members
        .map(|entry| Probe { set: TABLE.set(&entry.set), key: entry.key.clone(), claim: None })
        .collect();
    for (side, group) in ports.sides.iter().zip(groups) {
        probes.extend(side.mappings.iter().flat_map(|mapping| of_mapping(mapping, group)));
    }
    let questions: Vec<_> = probes.iter().map(|probe| (probe.set, probe.key.clone())).collect();
    let mut own: Vec<(Set<'a>, Element<'static>)> = Vec::new();
    for (probe, found) in probes.iter().zip(nft.look_up(&questions)?) {
        let Some(found) = found else { continue };
        if let Some(claim) = probe.claim {
            if probe.set.name == claim.group.some {
                refuse_taken_at_some(nft, label, claim, &probe.key)?;
                continue;
            }
            refuse_taken(label, claim, &found)?;
        }
        let element = elements::as_deleted(found);
        if !own.iter().any(|(set, before)| *set == probe.set && *before == element) {
            own.push((probe.set, element));
        }
    }
    Ok(own)
}

/// A port of one address is looked up there and among those of all addresses; a port of all addresses among those,
/// and among the ports of which some address is taken.
fn of_mapping<'a>(mapping: &'a Mapping, group: &'a Group) -> impl Iterator<Item = Probe<'a>> {
    mapping.host.each().flat_map(move |port| {
        let key = elements::port_key(mapping.protocol, port);
        let third = match mapping.address {
            Some(address) => (&group.at, elements::at_key(address, mapping.protocol, port)),
            None => (&group.some, key.clone()),
        };
        [(&group.all, key.clone()), (&group.ranges, key), third].map(|(set, key)| Probe {
            set: TABLE.set(set),
            key,
            claim: Some(Claim { mapping, port, group }),
        })
    })
}

fn refuse_taken(label: &Label, claim: Claim<'_>, found: &ElementFound) -> Result<()> {
    if is_marked(found.comment.as_deref(), label) {
        return Ok(());
    }
    let one = Mapping { host: HostPorts { first: claim.port, count: 1 }, ..claim.mapping.clone() };
    Err(taken(&one, one.address, &words(found)))
}

/// The small set says that the port is mapped at some address: whose that is, only the map knows.
fn refuse_taken_at_some(nft: &mut Nft, label: &Label, claim: Claim<'_>, port: &Key) -> Result<()> {
    let at = nft.elements(TABLE.set(&claim.group.at))?;
    let is_of_port =
        |found: &&ElementFound| elements::port_of(&found.key, claim.group).as_ref() == Some(port);
    at.iter().filter(is_of_port).try_for_each(|found| refuse_taken(label, claim, found))
}

/// The holder's mark without its hashes: `net: web, if: eth0, id: abc123`.
fn words(found: &ElementFound) -> String {
    let mark = found.comment.as_deref().unwrap_or("an element without a comment");
    mark.split_once(", ").map_or(mark, |(_, words)| words).to_owned()
}
