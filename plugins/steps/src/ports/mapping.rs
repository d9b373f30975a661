//! One mapping: ports of the host, and the container's.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// A transport protocol with ports that can be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
    /// RFC 9260.
    Sctp,
}

impl Protocol {
    /// By its name in any case; `None` for any other word.
    pub fn from_name(name: &str) -> Option<Protocol> {
        [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
            .into_iter()
            .find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }

    /// `tcp`, `udp`, `sctp`.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }

    /// Its number in the IP header.
    pub fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Consecutive ports; the last is at most 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostPorts {
    /// The first of them.
    pub first: u16,
    /// How many, at least one.
    pub count: u16,
}

impl HostPorts {
    /// The last of them.
    pub fn last(self) -> u16 {
        self.first.saturating_add(self.count.saturating_sub(1))
    }

    /// Each of them.
    pub fn each(self) -> impl Iterator<Item = u16> {
        self.first..=self.last()
    }

    /// Whether both have a port in common.
    pub fn meets(self, other: HostPorts) -> bool {
        self.first <= other.last() && other.first <= self.last()
    }
}

/// Consecutive ports of the host, and as many of the container's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Of which protocol.
    pub protocol: Protocol,
    /// Only at this address of the host; at all of them where there is none.
    pub address: Option<IpAddr>,
    /// The host's ports.
    pub host: HostPorts,
    /// The container's port that the first of them leads to.
    pub container: u16,
}

impl Mapping {
    /// Each host port with the container's.
    pub fn pairs(&self) -> impl Iterator<Item = (u16, u16)> {
        self.host.each().zip(self.container..=u16::MAX)
    }

    /// Whether every port leads to the one of the same number.
    pub fn keeps_numbers(&self) -> bool {
        self.host.first == self.container
    }

    /// Whether the other begins where this one ends, on both sides.
    pub fn goes_on_with(&self, next: &Mapping) -> bool {
        let ends = |first: u16| u32::from(first) + u32::from(self.host.count);
        self.protocol == next.protocol
            && self.address == next.address
            && ends(self.host.first) == u32::from(next.host.first)
            && ends(self.container) == u32::from(next.container)
    }

    /// Whether both want a port of the host's: at one address, or at all (of a family: `0.0.0.0`, `::`) and one.
    pub fn clashes_with(&self, other: &Mapping) -> bool {
        let at_one_place = match (self.address, other.address) {
            (Some(one), Some(two)) => {
                let all = one.is_unspecified() || two.is_unspecified();
                one == two || all && one.is_ipv4() == two.is_ipv4()
            }
            _ => true,
        };
        self.protocol == other.protocol && at_one_place && self.host.meets(other.host)
    }
}
