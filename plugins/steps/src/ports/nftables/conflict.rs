//! Whether the ports are free, asked under the lock of [`crate::ports`].
//!
//! A port of one address is taken when that address has it or all have it; a port of all addresses is taken when
//! any has it. Elements of the attachment itself are no conflict: they are replaced. Neither is the same mapping of
//! the same container on another network, because runtimes tell the plugins of all its networks of all its ports:
//! the first stays.

use super::elements;
use super::is_marked;
use super::layout::{Group, TABLE};
use crate::label::Label;
use crate::ports::{HostPorts, Mapping, Ports, taken};
use crate::record;
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

/// What stands under the keys that an attachment wants.
#[derive(Default)]
pub(super) struct Standing<'a> {
    /// Its own from before, for deletion.
    pub(super) own: Vec<(Set<'a>, Element<'static>)>,
    /// What the same container has by another attachment.
    shared: Vec<(Set<'a>, Key)>,
}

impl Standing<'_> {
    /// Whether the container has it by another attachment.
    pub(super) fn has(&self, entry: &elements::Entry) -> bool {
        self.shared.iter().any(|(set, key)| set.name == entry.set && *key == entry.key)
    }
}

/// What stands under the keys that the attachment wants.
///
/// # Errors
/// Another container has a port: its attachment is named.
pub(super) fn own_or_free<'a>(
    nft: &mut Nft,
    label: &Label,
    ports: &'a Ports,
    groups: &'a [Group],
    wanted: &'a [elements::Entry],
) -> Result<Standing<'a>> {
    let probes = probes(ports, groups, wanted);
    let questions: Vec<_> = probes.iter().map(|probe| (probe.set, probe.key.clone())).collect();
    let (mut standing, mut siblings) = (Standing::default(), Siblings::new(label));
    for (probe, found) in probes.iter().zip(nft.look_up(&questions)?) {
        let Some(found) = found else { continue };
        if let Some(claim) = probe.claim {
            if probe.set.name == claim.group.some {
                refuse_taken_at_some(nft, label, claim, &probe.key)?;
                continue;
            }
            let is_wanted = |entry: &elements::Entry| entry.set == probe.set.name && entry.key == found.key;
            if wanted.iter().any(is_wanted) && siblings.have(&found)? {
                standing.shared.push((probe.set, found.key));
                continue;
            }
            refuse_taken(label, claim, &found)?;
        }
        let element = elements::as_deleted(found);
        if !standing.own.iter().any(|(set, before)| *set == probe.set && *before == element) {
            standing.own.push((probe.set, element));
        }
    }
    Ok(standing)
}

fn probes<'a>(ports: &'a Ports, groups: &'a [Group], wanted: &'a [elements::Entry]) -> Vec<Probe<'a>> {
    let member = |entry: &'a elements::Entry| Probe {
        set: TABLE.set(&entry.set),
        key: entry.key.clone(),
        claim: None,
    };
    let mut probes: Vec<_> = wanted.iter().filter(|entry| !entry.is_port()).map(member).collect();
    for (side, group) in ports.sides.iter().zip(groups) {
        probes.extend(side.mappings.iter().flat_map(|mapping| of_mapping(mapping, group)));
    }
    probes
}

/// The container's other attachments, read from the records when they are needed: a mark names its container only by
/// a hash.
pub(super) struct Siblings<'a> {
    label: &'a Label,
    others: Option<Vec<Label>>,
}

impl<'a> Siblings<'a> {
    pub(super) fn new(label: &'a Label) -> Siblings<'a> {
        Siblings { label, others: None }
    }

    /// Whether one of them has the element.
    ///
    /// # Errors
    /// The records cannot be read.
    pub(super) fn have(&mut self, found: &ElementFound) -> Result<bool> {
        let comment = found.comment.as_deref();
        if is_marked(comment, self.label) {
            return Ok(false);
        }
        let others = match self.others.take() {
            Some(others) => others,
            None => self.read()?,
        };
        let have = others.iter().any(|other| is_marked(comment, other));
        self.others = Some(others);
        Ok(have)
    }

    fn read(&self) -> Result<Vec<Label>> {
        let all = record::list::<Ports>()?.into_iter().map(|record| record.label);
        Ok(all.filter(|other| other.names().1 == self.label.names().1).collect())
    }
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
