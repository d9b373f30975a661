//! The settings of a link that can be asked for: what they are now, what differs, how they are set.

use kernel::link::{self, Link, Mac};
use kernel::rtnl::Request;
use serde::{Deserialize, Serialize};
use spec::error::{Error, Result};

/// Some settings of a link; `None` is not spoken of. As JSON these are the reference plugin's saved values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct LinkSettings {
    /// Hardware address.
    #[serde(with = "mac_text", skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// Receive everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promisc: Option<bool>,
    /// Largest packet, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Receive all multicast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allmulti: Option<bool>,
    /// Length of the transmit queue, in packets.
    #[serde(rename = "txQLen", skip_serializing_if = "Option::is_none")]
    pub tx_queue_len: Option<u32>,
}

impl LinkSettings {
    /// Whether nothing is spoken of.
    pub(crate) fn is_empty(&self) -> bool {
        *self == LinkSettings::default()
    }

    /// How the settings that `self` speaks of are on the link now.
    ///
    /// # Errors
    /// A MAC is spoken of, and the link has none of six bytes.
    pub(crate) fn now(&self, link: &Link) -> Result<LinkSettings> {
        if self.mac.is_some() && link.mac.is_none() {
            let kind = link.kind.as_deref().unwrap_or("unknown");
            return Err(Error::invalid_config(format!(
                "set MAC of {}: a link of kind {kind} has no Ethernet address that could be changed",
                link.name
            )));
        }
        Ok(LinkSettings {
            mac: self.mac.and(link.mac),
            promisc: self.promisc.map(|_| link.promisc),
            mtu: self.mtu.map(|_| link.mtu),
            allmulti: self.allmulti.map(|_| link.allmulti),
            tx_queue_len: self.tx_queue_len.map(|_| link.tx_queue_len),
        })
    }

    /// The settings of `self` where it speaks, those of `other` where it does not.
    pub(crate) fn or(&self, other: &LinkSettings) -> LinkSettings {
        LinkSettings {
            mac: self.mac.or(other.mac),
            promisc: self.promisc.or(other.promisc),
            mtu: self.mtu.or(other.mtu),
            allmulti: self.allmulti.or(other.allmulti),
            tx_queue_len: self.tx_queue_len.or(other.tx_queue_len),
        }
    }

    /// Of these settings, those that are different in `now`.
    pub(crate) fn different_from(&self, now: &LinkSettings) -> LinkSettings {
        LinkSettings {
            mac: self.mac.filter(|mac| now.mac != Some(*mac)),
            promisc: self.promisc.filter(|on| now.promisc != Some(*on)),
            mtu: self.mtu.filter(|mtu| now.mtu != Some(*mtu)),
            allmulti: self.allmulti.filter(|on| now.allmulti != Some(*on)),
            tx_queue_len: self.tx_queue_len.filter(|length| now.tx_queue_len != Some(*length)),
        }
    }

    /// What sets them: a request for each, to go by one send, so that a refusal names its setting and what is
    /// refused does not keep the others from being put back. The order is that of the reference's restoring.
    pub(crate) fn requests(&self, index: u32) -> Vec<Request> {
        [
            self.mtu.map(|mtu| link::set_mtu(index, mtu)),
            self.mac.map(|mac| link::set_mac(index, mac)),
            self.promisc.map(|on| link::set_promisc(index, on)),
            self.allmulti.map(|on| link::set_allmulti(index, on)),
            self.tx_queue_len.map(|length| link::set_tx_queue_len(index, length)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Each setting with its value, in words.
    pub(crate) fn words(&self) -> Vec<String> {
        let switch = |on: bool| if on { "on" } else { "off" };
        [
            self.mac.map(|mac| format!("MAC {mac}")),
            self.promisc.map(|on| format!("promiscuity {}", switch(on))),
            self.mtu.map(|mtu| format!("MTU {mtu}")),
            self.allmulti.map(|on| format!("all-multicast mode {}", switch(on))),
            self.tx_queue_len.map(|length| format!("transmit queue length {length}")),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// A MAC as text; an empty one, and one of another length than Ethernet's, is none.
mod mac_text {
    use kernel::link::Mac;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(mac: &Option<Mac>, to: S) -> Result<S::Ok, S::Error> {
        match mac {
            Some(mac) => to.collect_str(mac),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Mac>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.and_then(|text| text.parse().ok()))
    }
}
