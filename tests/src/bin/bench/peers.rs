//! Who is measured, and where each of them works.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::cases::Work;

/// The verbs of CNI that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Verb {
    /// VERSION
    Version,
    /// ADD
    Add,
    /// CHECK
    Check,
    /// DEL
    Del,
}

impl Verb {
    /// As in `CNI_COMMAND`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Verb::Version => "VERSION",
            Verb::Add => "ADD",
            Verb::Check => "CHECK",
            Verb::Del => "DEL",
        }
    }

    /// The verbs of this work, in the order of a container's life.
    pub(super) fn of(work: Work) -> &'static [Verb] {
        match work {
            Work::Version => &[Verb::Version],
            // The reference portmap's CHECK fails where all is well (it wants rules for IPv6 that it never made).
            Work::Chain { .. } | Work::Flows => &[Verb::Add, Verb::Del],
            _ => &[Verb::Add, Verb::Check, Verb::Del],
        }
    }
}

/// Who does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Peer {
    /// Our plugins.
    Tidewater,
    /// The reference plugins.
    Reference,
    /// The floor program; its DEL waits for the kernel's answer.
    Floor,
    /// The floor program whose DEL returns when the link is notified as gone.
    FloorNotified,
}

impl Peer {
    /// As in the output.
    pub(super) fn name(self) -> &'static str {
        match self {
            Peer::Tidewater => "tidewater",
            Peer::Reference => "reference",
            Peer::Floor => "floor",
            Peer::FloorNotified => "floor-notified",
        }
    }

    /// Those who take part in this work, in the order of their turns.
    pub(super) fn of(work: Work) -> &'static [Peer] {
        match work {
            Work::Version | Work::HostLocal => &[Peer::Tidewater, Peer::Reference, Peer::Floor],
            // No floor: what the least would be that makes these rules is what is measured here.
            Work::Chain { .. } | Work::Flows => &[Peer::Tidewater, Peer::Reference],
            _ => &[Peer::Tidewater, Peer::Reference, Peer::Floor, Peer::FloorNotified],
        }
    }

    /// Keeps subnets and names of the peers apart.
    pub(super) fn number(self) -> usize {
        self as usize
    }

    /// Whether this is one of the floor programs.
    pub(super) fn is_floor(self) -> bool {
        matches!(self, Peer::Floor | Peer::FloorNotified)
    }

    /// Whether the figures of this verb say something that another peer's do not.
    pub(super) fn tells(self, verb: Verb) -> bool {
        self != Peer::FloorNotified || verb == Verb::Del
    }
}

/// Where one peer works; nothing of it is shared with another.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// Whose it is.
    pub(super) peer: Peer,
    /// Directory of the programs.
    pub(super) programs: PathBuf,
    /// Path of the namespace that plays the host.
    pub(super) host: String,
    /// Where host-local keeps its leases.
    pub(super) leases: PathBuf,
}

impl Site {
    /// The bridge of this peer.
    pub(super) fn bridge(&self) -> String {
        format!("bench{}", self.peer.number())
    }

    /// The network's name, which host-local makes a directory of.
    pub(super) fn network(&self) -> String {
        format!("bench-{}", self.peer.name())
    }

    /// Address number `n` of the peer's own /16.
    pub(super) fn address(&self, n: u32) -> String {
        let [_, _, high, low] = n.to_be_bytes();
        format!("10.{}.{high}.{low}", 64 + self.peer.number())
    }
}
