//! Port mappings through nftables, over netlink: one port is one element of a map; the rules are static
//! ([`layout`]).
//!
//! A packet that opens a connection is looked up in at most three maps, however many mappings there are, and an
//! attachment is one transaction, however many ports it has.

mod conditions;
mod conflict;
mod elements;
mod group;
mod layout;

use super::{Ports, iptables, siblings};
use crate::label::Label;
use crate::record;
use crate::ruleset;
use crate::stale::Stale;
use elements::Entry;
use group::Group;
use kernel::nft::{ElementFound, Nft, Request, Transaction};
use layout::TABLE;
use spec::error::{Error, Result};

pub(super) fn ensure(label: &Label, ports: &Ports) -> Result<()> {
    // Held until the transaction is in force: who looks whether a port is free and who takes it are one.
    let _lock = record::lock()?;
    let mut nft = Nft::open()?;
    let groups: Vec<Group> = ports.sides.iter().map(Group::of).collect();
    let missing = layout::missing(&mut nft, ports, &groups)?;
    iptables::refuse_taken_here(&mut nft, label, ports)?;
    let claim = conflict::claim(&mut nft, label, ports, &groups)?;
    for holder in &claim.holders {
        siblings::inherit(label, holder)?;
    }
    conditions::check(&missing.for_nft)?;
    let ports = &ports.without(&claim.held);
    let comment = label.comment();
    let deletions = claim.own.iter().flat_map(|(set, own)| set.delete_elements(std::slice::from_ref(own)));
    let mut transaction: Transaction = missing.requests.into_iter().chain(deletions).collect();
    for entry in elements::of(ports, &groups) {
        transaction.extend(entry.create(&comment));
    }
    transaction.extend(elements::some(ports, &groups));
    nft.commit(&transaction)?;
    if !claim.own.is_empty() {
        ruleset::without_waiting(nft);
    }
    conditions::add(&missing.for_nft)
}

pub(super) fn check(label: &Label, ports: &Ports) -> Result<()> {
    let mut nft = Nft::open()?;
    let groups: Vec<Group> = ports.sides.iter().map(Group::of).collect();
    if let Some(missing) = layout::first_missing(&mut nft, ports, &groups)? {
        return Err(Error::internal(format!(
            "port mappings: {missing}; somebody changed or flushed the ruleset"
        )));
    }
    let entries = elements::of(ports, &groups);
    let places: Vec<_> = entries.iter().map(Entry::place).collect();
    for (entry, found) in entries.iter().zip(nft.look_up(&places)?) {
        let set = &entry.set;
        let stands = match found {
            Some(found) if label.marks(mark(&found)) => entry.is(&found),
            // Another attachment of the container has the port: the runtime asked for it on several networks.
            Some(found) => entry.is_port() && siblings::of_same_container(label, mark(&found))?.is_some(),
            None => false,
        };
        if !stands {
            return Err(Error::internal(format!(
                "{}: set {set} has no such element of this attachment; somebody removed it, or flushed the ruleset",
                entry.what
            )));
        }
    }
    Ok(())
}

/// The deletions of the attachment's elements: of those that it is known to have, or of all with its mark.
pub(super) fn deletions(nft: &mut Nft, label: &Label, known: Option<&Ports>) -> Result<Vec<Request>> {
    let Some(ports) = known else {
        return deletions_where(nft, |mark| label.marks(mark));
    };
    let groups: Vec<Group> = ports.sides.iter().map(Group::of).collect();
    let mut deletions = Vec::new();
    let mut ports_at = Vec::new();
    let entries = elements::of(ports, &groups);
    let places: Vec<_> = entries.iter().map(Entry::place).collect();
    for (entry, found) in entries.iter().zip(nft.look_up(&places)?) {
        let found = found.filter(|found| label.marks(mark(found)));
        if let Some(found) = found {
            deletions.extend(TABLE.set(&entry.set).delete_elements(&[elements::as_deleted(found)]));
            ports_at.extend(entry.port_at.clone().map(|port| (port, entry.key.clone())));
        }
    }
    for group in &groups {
        deletions.extend(elements::no_longer_some(nft, group, &ports_at)?);
    }
    Ok(deletions)
}

/// The same for all attachments that are gone.
pub(super) fn stale_deletions(nft: &mut Nft, stale: &Stale<'_>) -> Result<Vec<Request>> {
    deletions_where(nft, |mark| stale.is(mark))
}

/// Looks through all maps and sets.
fn deletions_where(nft: &mut Nft, chosen: impl Fn(&str) -> bool) -> Result<Vec<Request>> {
    let mut deletions = Vec::new();
    for name in nft.sets(TABLE)?.iter().filter(|name| elements::is_of_mappings(name)) {
        let set = TABLE.set(name);
        for found in nft.elements(set)? {
            if found.comment.as_deref().is_some_and(&chosen) {
                deletions.extend(set.delete_elements(&[elements::as_deleted(found)]));
            }
        }
    }
    for group in Group::list(nft)? {
        let gone = elements::at_where(nft, &group, &chosen)?;
        deletions.extend(elements::no_longer_some(nft, &group, &gone)?);
    }
    Ok(deletions)
}

pub(super) fn available() -> Result<()> {
    Nft::open()?.tables()?;
    Ok(())
}

fn mark(found: &ElementFound) -> &str {
    found.comment.as_deref().unwrap_or_default()
}
