//! VLANs of a bridge port: which ids it carries, which is untagged, and how the kernel is told.

use kernel::link::bridge::{self, VlanSide};
use kernel::rtnl::Rtnl;
use serde::Deserialize;
use spec::error::{Error, Result};
use std::ops::RangeInclusive;

/// The highest VLAN id that IEEE 802.1Q leaves to users.
const VLAN_MAX: i64 = 4094;
/// The VLAN in which the kernel puts every new port.
const DEFAULT_VLAN: u16 = 1;

/// One entry of `vlanTrunk`: a single id, or a range.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TrunkKey {
    #[serde(rename = "minID")]
    min_id: Option<i64>,
    #[serde(rename = "maxID")]
    max_id: Option<i64>,
    id: Option<i64>,
}

/// The VLANs of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vlans {
    /// The key `vlan`: the containers' own VLAN, in which the gateway is too.
    pub own: Option<u16>,
    /// Carried with their tags: first and last id of each range.
    tagged: Vec<(u16, u16)>,
    /// The kernel's default VLAN stays on the port.
    keep_default: bool,
}

impl Vlans {
    /// Reads the three keys; `None` when the port is to stay as the kernel makes it.
    ///
    /// # Errors
    /// Code 7 for ids that cannot be.
    pub(crate) fn new(vlan: i64, trunk: Option<&[TrunkKey]>, keep_default: bool) -> Result<Option<Vlans>> {
        let own = own(vlan)?;
        if own.is_none() && trunk.is_none() {
            return Ok(None);
        }
        let tagged = trunk.unwrap_or_default().iter().map(|key| range(*key)).collect::<Result<Vec<_>>>()?;
        Ok(Some(Vlans { own, tagged, keep_default }))
    }

    /// A port in this VLAN alone, without tags.
    pub(crate) fn only(id: u16) -> Vlans {
        Vlans { own: Some(id), tagged: Vec::new(), keep_default: false }
    }

    /// Makes the port carry these VLANs and, unless told to keep it, not the default one.
    ///
    /// # Errors
    /// The kernel refused one; most often because it was built without VLAN filtering.
    pub(crate) fn apply(&self, host: &mut Rtnl, port: u32) -> Result<()> {
        let mut requests = Vec::new();
        if !self.keep_default {
            let found = bridge::vlans(host, port)?;
            requests.extend(found.iter().map(|vlan| on_port(port, vlan.id..=vlan.id, false).remove()));
        }
        // Without a VLAN of its own, a trunk's frames without tag stay in the default one.
        let untagged = self.own.unwrap_or(DEFAULT_VLAN);
        requests.push(on_port(port, untagged..=untagged, true).add());
        requests.extend(self.tagged.iter().map(|(first, last)| on_port(port, *first..=*last, false).add()));
        Ok(host.batch(requests)?)
    }
}

fn on_port(index: u32, ids: RangeInclusive<u16>, untagged: bool) -> bridge::Vlans {
    bridge::Vlans { index, side: VlanSide::Port, ids, pvid: untagged, untagged }
}

fn own(vlan: i64) -> Result<Option<u16>> {
    match u16::try_from(vlan) {
        Ok(0) => Ok(None),
        Ok(id) if vlan <= VLAN_MAX => Ok(Some(id)),
        _ => Err(Error::invalid_config(format!("invalid VLAN ID {vlan} (must be between 0 and {VLAN_MAX})"))),
    }
}

fn range(key: TrunkKey) -> Result<(u16, u16)> {
    let (first, last) = match (key.min_id, key.max_id, key.id) {
        (None, None, Some(id)) => (id, id),
        (Some(first), Some(last), None) => (first, last),
        _ => {
            return Err(Error::invalid_config(
                "invalid vlanTrunk entry: want minID and maxID together, or id alone",
            ));
        }
    };
    if first > last {
        return Err(Error::invalid_config(format!(
            "invalid vlanTrunk entry: minID {first} is above maxID {last}"
        )));
    }
    Ok((trunk_id(first)?, trunk_id(last)?))
}

fn trunk_id(id: i64) -> Result<u16> {
    u16::try_from(id).ok().filter(|_| (1..=VLAN_MAX).contains(&id)).ok_or_else(|| {
        Error::invalid_config(format!("invalid VLAN ID {id} in vlanTrunk (must be between 1 and {VLAN_MAX})"))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn trunk(min_id: Option<i64>, max_id: Option<i64>, id: Option<i64>) -> TrunkKey {
        TrunkKey { min_id, max_id, id }
    }

    #[test]
    fn no_vlan_key_leaves_the_port_alone() {
        assert_eq!(Vlans::new(0, None, false).unwrap(), None);
    }

    #[test]
    fn a_trunk_may_stand_without_a_vlan_of_its_own() {
        let keys = [trunk(Some(100), Some(200), None), trunk(None, None, Some(7))];
        let vlans = Vlans::new(0, Some(&keys), false).unwrap().unwrap();
        assert_eq!(vlans.own, None);
        assert_eq!(vlans.tagged, [(100, 200), (7, 7)]);
    }

    #[test]
    fn ids_out_of_range_and_half_ranges_are_refused() {
        assert!(Vlans::new(4095, None, false).is_err());
        assert!(Vlans::new(-1, None, false).is_err());
        for bad in [
            trunk(Some(1), None, None),
            trunk(None, Some(1), None),
            trunk(None, None, None),
            trunk(Some(5), Some(4), None),
            trunk(None, None, Some(0)),
            trunk(None, None, Some(4095)),
            trunk(Some(1), Some(2), Some(3)),
        ] {
            assert!(Vlans::new(0, Some(&[bad]), false).is_err(), "{bad:?}");
        }
    }
}
