//! The MAC spoof check of a bridge port (`macspoofchk`): frames that enter by it carry the container's MAC or go.
//!
//! ```text
//! table bridge tidewater {
//!     set guarded { type ifname }
//!     set bound { type ifname . ether_addr }
//!     chain prerouting { type filter hook prerouting priority dstnat;
//!         iifname @guarded iifname . ether saddr != @bound drop } }
//! ```
//!
//! A port is one element of each set, marked like everything of an attachment.

use crate::label::Label;
use crate::record::{self, Recorded};
use crate::ruleset;
use crate::stale::Stale;
use crate::table::BRIDGE as TABLE;
use kernel::error::forgive_existing;
use kernel::link::Mac;
use kernel::nft::{
    Base, Chain, ChainKind, Element, Family, Hook, Key, Nft, Policy, Request, Selector, Set, SetSpec, Table,
    Transaction, Type, Value, Verdict, priority,
};
use serde::{Deserialize, Serialize};
use spec::error::{Error, Result};
use spec::request::Attachment;

const PREROUTING: Chain<'static> = TABLE.chain("prerouting");
const GUARDED: Set<'static> = TABLE.set("guarded");
const BOUND: Set<'static> = TABLE.set("bound");
const GUARDED_KEY: &[Type] = &[Type::Ifname];
const BOUND_KEY: &[Type] = &[Type::Ifname, Type::EtherAddr];
/// The reference plugin's table and base chain, with two chains for each interface.
const REFERENCE: Table<'static> = Table::new(Family::Bridge, "nat");

/// What is on record: the port and its MAC.
#[derive(Debug, Serialize, Deserialize)]
struct Bound {
    port: String,
    mac: [u8; 6],
}

impl Recorded for Bound {
    const KIND: &'static str = "macspoofchk";
}

/// Binds the port to the MAC. Safe to repeat.
///
/// # Errors
/// The kernel refused.
pub fn ensure(label: &Label, port: &str, mac: Mac) -> Result<()> {
    record::put(label, &Bound { port: port.to_owned(), mac: mac.0 })?;
    write(label, port, mac)
}

/// The MAC that the attachment's port is bound to, if it is.
///
/// # Errors
/// The records cannot be read.
pub fn bound_mac(label: &Label) -> Result<Option<Mac>> {
    Ok(record::get::<Bound>(label)?.map(|bound| Mac(bound.mac)))
}

/// Puts back what is on record of all attachments; says of how many.
///
/// # Errors
/// The kernel refused one; the others were put back.
pub fn reload() -> Result<usize> {
    record::write_again(|label, Bound { port, mac }| write(label, port, Mac(*mac)))
}

fn write(label: &Label, port: &str, mac: Mac) -> Result<()> {
    let mut nft = Nft::open()?;
    let comment = label.comment();
    if nft.rules(PREROUTING)?.is_empty() {
        // For the first port, and after somebody flushed the chain; whoever comes second finds it there.
        let missing = missing(&mut nft)?;
        forgive_existing(nft.commit(&missing))?;
    }
    // Bound first: a port that is guarded and not yet bound would be deaf for a moment.
    nft.put_element(BOUND, &Element::new(pair(port, mac)).comment(&comment), missing)?;
    Ok(nft.put_element(GUARDED, &Element::new(Value::ifname(port)).comment(&comment), missing)?)
}

/// Whether the port is bound to its MAC.
///
/// # Errors
/// What is missing.
pub fn check(label: &Label, port: &str, mac: Option<Mac>) -> Result<()> {
    let mut nft = Nft::open()?;
    if nft.rules(PREROUTING)?.is_empty() {
        return Err(Error::internal(format!(
            "MAC spoof check of port {port}: chain {PREROUTING} has no rule"
        )));
    }
    let guarded = nft.element(GUARDED, Value::ifname(port))?;
    if !ruleset::is_marked(guarded.as_ref(), label) {
        return Err(Error::internal(format!("MAC spoof check of port {port}: not in set {GUARDED}")));
    }
    let bound = mac.map(|mac| nft.element(BOUND, pair(port, mac))).transpose()?.flatten();
    if bound.is_none() {
        return Err(Error::internal(format!(
            "MAC spoof check of port {port}: its MAC is not in set {BOUND}"
        )));
    }
    Ok(())
}

/// Removes what binds the attachment's port, also what the reference plugin had made; returns the open
/// socket, see [`crate::masquerade::remove`].
///
/// # Errors
/// The kernel refused; what is not there is no error.
pub fn remove(label: &Label, attachment: &Attachment) -> Result<Option<Nft>> {
    let Some(mut nft) = ruleset::open_if_supported()? else {
        return Ok(None);
    };
    let mut deletions = elements_of(&mut nft, |mark| label.marks(mark))?;
    deletions.extend(of_reference(&mut nft, attachment)?);
    nft.remove(deletions)?;
    record::remove::<Bound>(label)?;
    Ok(Some(nft))
}

/// Removes what binds ports of attachments that are gone.
///
/// # Errors
/// The kernel refused.
pub fn remove_stale(stale: &Stale<'_>) -> Result<()> {
    let Some(mut nft) = ruleset::open_if_supported()? else {
        return Ok(());
    };
    let deletions = elements_of(&mut nft, |mark| stale.is(mark))?;
    nft.remove(deletions)?;
    record::remove_stale::<Bound>(stale)
}

/// The deletions of the elements of both sets whose mark is chosen.
fn elements_of(nft: &mut Nft, chosen: impl Fn(&str) -> bool) -> Result<Vec<Request>> {
    let mut deletions = Vec::new();
    for set in [GUARDED, BOUND] {
        deletions.extend(ruleset::deletions(set, nft.elements(set)?, &chosen));
    }
    Ok(deletions)
}

/// The deletions of the reference plugin's: its chains are named after container and interface, its rules
/// carry both as comment.
fn of_reference(nft: &mut Nft, attachment: &Attachment) -> Result<Vec<Request>> {
    let (container, ifname) = (&attachment.container, &attachment.ifname);
    let comment = format!("macspoofchk-{container}-{ifname}");
    let mut deletions = nft.rules_by_comment(REFERENCE, |found| found == comment)?;
    let chain = format!("cni-br-iface-{container}-{ifname}");
    for name in [chain.as_str(), &format!("{chain}-mac")] {
        if nft.chain(REFERENCE.chain(name))?.is_some() {
            deletions.push(REFERENCE.chain(name).delete());
        }
    }
    Ok(deletions)
}

fn pair(port: &str, mac: Mac) -> Key {
    Key::concat(&[Value::ifname(port), Value::ether(mac.0)])
}

/// Created together, hence once, however many ADDs build at the same time.
fn missing(nft: &mut Nft) -> kernel::error::Result<Transaction> {
    let chain = Base {
        kind: ChainKind::Filter,
        hook: Hook::Prerouting,
        priority: priority::BRIDGE_DSTNAT,
        policy: Policy::Accept,
    };
    let mut transaction: Transaction = [TABLE.add()].into_iter().collect();
    let rule = PREROUTING
        .rule()
        .in_set(&[Selector::Iifname], GUARDED.name)
        .not_in_set(&[Selector::Iifname, Selector::EtherSaddr], BOUND.name)
        .verdict(Verdict::Drop);
    if nft.chain(PREROUTING)?.is_none() {
        transaction.extend([
            GUARDED.add(&SetSpec::set(GUARDED_KEY)),
            BOUND.add(&SetSpec::set(BOUND_KEY)),
            PREROUTING.create_base(&chain),
            rule.add(),
        ]);
    } else if nft.rules(PREROUTING)?.is_empty() {
        transaction.push(rule.add());
    }
    Ok(transaction)
}
