//! Whether the ports are free, asked under the lock of [`crate::record`].
//!
//! A port of one address is taken when that address has it or all have it; a port of all addresses is taken when
//! any has it. Elements of the attachment itself are no conflict: they are replaced. Neither are those of the same
//! container on another network ([`siblings`]): they stay.

use super::group::Group;
use super::layout::TABLE;
use super::{elements, mark};
use crate::label::Label;
use crate::ports::{HostPorts, Mapping, Ports, siblings, taken};
use kernel::nft::{Element, ElementFound, Key, Nft, Set};
use spec::error::Result;
use std::collections::HashSet;

/// One question to the kernel, and what an answer means.
struct Probe<'a> {
    set: Set<'a>,
    key: Key,
    /// Who wants the port; `None` for what is replaced whoever had it.
    wish: Option<Wish<'a>>,
}

/// One port of a mapping.
#[derive(Clone, Copy)]
struct Wish<'a> {
    mapping: &'a Mapping,
    port: u16,
    group: &'a Group,
}

/// What was found under the keys that an attachment wants.
#[derive(Debug, Default)]
pub(super) struct Claim<'a> {
    /// What it has itself, for deletion.
    pub(super) own: Vec<(Set<'a>, Element<'static>)>,
    /// What is in `own`: by the set's name and the key.
    seen: HashSet<(&'a str, Key)>,
    /// The mappings that other attachments of the same container have.
    pub(super) held: Vec<&'a Mapping>,
    /// Those attachments.
    pub(super) holders: Vec<Label>,
}

/// Looks whether all ports are free for the attachment.
///
/// # Errors
/// Another container has one: it is named.
pub(super) fn claim<'a>(
    nft: &mut Nft,
    label: &Label,
    ports: &'a Ports,
    groups: &'a [Group],
) -> Result<Claim<'a>> {
    let probes = probes(ports, groups);
    let questions: Vec<_> = probes.iter().map(|probe| (probe.set, probe.key.clone())).collect();
    let mut claim = Claim::default();
    for (probe, found) in probes.iter().zip(nft.look_up(&questions)?) {
        let Some(found) = found else { continue };
        match probe.wish {
            None => claim.replace(probe.set, found),
            Some(wish) if probe.set.name == wish.group.some => {
                for found in at_some_address(nft, wish.group, &probe.key)? {
                    claim.judge(label, wish, TABLE.set(&wish.group.at), found)?;
                }
            }
            Some(wish) => claim.judge(label, wish, probe.set, found)?,
        }
    }
    Ok(claim)
}

impl<'a> Claim<'a> {
    /// Takes in who has the port.
    fn judge(&mut self, label: &Label, wish: Wish<'a>, set: Set<'a>, found: ElementFound) -> Result<()> {
        if label.marks(mark(&found)) {
            self.replace(set, found);
            return Ok(());
        }
        let Some(holder) = siblings::of_same_container(label, mark(&found))? else {
            let port = HostPorts { first: wish.port, count: 1 };
            let one = Mapping { host: port, ..wish.mapping.clone() };
            return Err(taken(&one, one.address, &words(&found)));
        };
        if !self.held.contains(&wish.mapping) {
            self.held.push(wish.mapping);
        }
        if !self.holders.contains(&holder) {
            self.holders.push(holder);
        }
        Ok(())
    }

    fn replace(&mut self, set: Set<'a>, found: ElementFound) {
        // A range is found by each of its ports.
        if self.seen.insert((set.name, found.key.clone())) {
            self.own.push((set, elements::as_deleted(found)));
        }
    }
}

/// The container's place in sets is taken over from whoever had it; ports are not.
fn probes<'a>(ports: &'a Ports, groups: &'a [Group]) -> Vec<Probe<'a>> {
    let mut probes: Vec<Probe<'a>> =
        elements::memberships(ports, groups).map(|(set, key)| Probe { set, key, wish: None }).collect();
    for (side, group) in ports.sides.iter().zip(groups) {
        probes.extend(side.mappings.iter().flat_map(|mapping| of_mapping(mapping, group)));
    }
    probes
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
            wish: Some(Wish { mapping, port, group }),
        })
    })
}

/// The elements of this port at single addresses: the small set says that there are some, whose they are only the
/// map knows.
fn at_some_address(nft: &mut Nft, group: &Group, port: &Key) -> Result<Vec<ElementFound>> {
    let at = nft.elements(TABLE.set(&group.at))?.into_iter();
    Ok(at.filter(|found| elements::port_of(&found.key, group).as_ref() == Some(port)).collect())
}

/// The holder's mark without its hashes: `net: web, if: eth0, id: abc123`.
fn words(found: &ElementFound) -> String {
    let mark = found.comment.as_deref().unwrap_or("an element without a comment");
    mark.split_once(", ").map_or(mark, |(_, words)| words).to_owned()
}
