//! Attachments of one container that want the same ports.
//!
//! A runtime hands the same list of ports to every network that a container joins (podman does). The first
//! attachment has them, as with the reference plugins; when it goes, the next one gets them.

use super::{Ports, write};
use crate::label::Label;
use crate::record::{self, Recorded};
use crate::stale::Stale;
use serde::{Deserialize, Serialize};
use spec::error::Result;
use spec::names::NetworkName;

/// Who gets the ports when an attachment goes: attachments of the same container, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Heirs {
    /// Network and interface of each.
    attachments: Vec<(NetworkName, String)>,
}

impl Recorded for Heirs {
    const KIND: &'static str = "portmap-heirs";
}

/// The attachment that this mark is of, where it is another one of the same container. The mark's own words may be
/// cut; its record says whose it is.
pub(super) fn of_same_container(label: &Label, mark: &str) -> Result<Option<Label>> {
    let key = mark.split(',').next().unwrap_or_default();
    let holder = record::find::<Ports>(key)?.map(|found| found.label);
    Ok(holder.filter(|holder| holder.names().1 == label.names().1))
}

/// Notes that the attachment wants ports which the holder has. Under the lock of [`crate::record`].
pub(super) fn inherit(label: &Label, holder: &Label) -> Result<()> {
    let (network, _, ifname) = label.names();
    let mut heirs = record::get::<Heirs>(holder)?.unwrap_or_default();
    let heir = (network.clone(), ifname.to_owned());
    if heirs.attachments.contains(&heir) {
        return Ok(());
    }
    heirs.attachments.push(heir);
    record::put(holder, &heirs)
}

/// Under the lock of [`crate::record`]: gives the ports of an attachment that has gone to those who wait for them. Who gets nothing is told of on stderr:
/// that does not keep the one that has gone from being removed.
///
/// # Errors
/// The records cannot be read or written.
pub(super) fn hand_over(gone: &Label) -> Result<()> {
    let Some(heirs) = record::get::<Heirs>(gone)? else { return Ok(()) };
    let (_, container, _) = gone.names();
    for (network, ifname) in heirs.attachments {
        let heir = Label::of(&network, container, &ifname);
        let given =
            record::get::<Ports>(&heir).and_then(|ports| ports.map_or(Ok(()), |ports| write(&heir, &ports)));
        if let Err(error) = given {
            eprintln!("ports of container {container} go to its attachment to {network}: {error}");
        }
    }
    // Last, for a removal that is killed to be repeated.
    record::remove::<Heirs>(gone)
}

/// The same for all attachments that are gone, for GC.
///
/// # Errors
/// The records cannot be read or written.
pub(super) fn hand_over_stale(stale: &Stale<'_>) -> Result<()> {
    record::list_stale::<Heirs>(stale)?.iter().try_for_each(|holder| hand_over(&holder.label))?;
    record::remove_stale::<Heirs>(stale)
}
