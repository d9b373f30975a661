//! What is measured: which work, with how much present beforehand, how often, and how many at once.

use serde::{Deserialize, Serialize};

/// The work whose cost is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Work {
    /// `CNI_COMMAND=VERSION` of the bridge plugin: the cost of being a process.
    Version,
    /// The IPAM plugin called directly.
    HostLocal,
    /// A veth on a bridge that is the gateway, address from host-local.
    BridgePlain,
    /// The same behind masquerade.
    BridgeMasq,
    /// What a node chains: the same, then portmap with so many ports, then firewall.
    Chain {
        /// Host ports of each container.
        ports: u32,
    },
    /// The same without firewall, each container with one port of UDP: what packets are sent through.
    Flows,
}

/// Host ports of each attachment that is present before a chain is measured.
pub(super) const CROWD_PORTS: u32 = 100;

impl Work {
    /// How many attachments make up what is present beforehand: leases and mappings are made by fewer.
    pub(super) fn crowd(self, present: u32) -> u32 {
        match self {
            Work::Version | Work::HostLocal => 0,
            Work::BridgePlain | Work::BridgeMasq => present,
            Work::Chain { .. } | Work::Flows => present.div_ceil(CROWD_PORTS),
        }
    }
}

/// One phase of a case: so many rounds of so many operations at once.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Phase {
    /// Operations at once.
    pub(super) parallel: u32,
    /// How often each peer does each verb with all of them.
    pub(super) rounds: u32,
}

/// One case; all its peers are measured in turn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Case {
    /// Name on the command line and in the output.
    pub(super) name: String,
    /// What is done.
    pub(super) work: Work,
    /// Leases, attachments or port mappings that exist before the first measurement and after the last.
    pub(super) present: u32,
    /// Measured one after the other on the same preload.
    pub(super) phases: Vec<Phase>,
}

/// All cases. Those that leave the kernel most to clean up afterwards come last.
pub(super) fn all(quick: bool) -> Vec<Case> {
    let table = [
        ("version", Work::Version, 0, 300, 40),
        ("host-local", Work::HostLocal, 0, 200, 30),
        ("host-local-1000", Work::HostLocal, 1000, 100, 15),
        ("host-local-10000", Work::HostLocal, 10_000, 25, 3),
        ("bridge-plain", Work::BridgePlain, 0, 150, 25),
        ("bridge-masq", Work::BridgeMasq, 0, 100, 20),
        ("chain", Work::Chain { ports: 1 }, 0, 60, 8),
        ("chain-10-ports", Work::Chain { ports: 10 }, 0, 30, 4),
        ("chain-100-ports", Work::Chain { ports: 100 }, 0, 12, 2),
        ("chain-1000-mapped", Work::Chain { ports: 1 }, 1000, 40, 4),
        ("bridge-plain-1000", Work::BridgePlain, 1000, 50, 8),
        ("bridge-masq-1000", Work::BridgeMasq, 1000, 25, 4),
    ];
    table
        .into_iter()
        .map(|(name, work, present, alone, eight)| {
            let phases = vec![Phase { parallel: 1, rounds: alone }, Phase { parallel: 8, rounds: eight }];
            let case = Case { name: name.to_owned(), work, present, phases };
            if quick { shortened(case) } else { case }
        })
        .collect()
}

fn shortened(mut case: Case) -> Case {
    // An attachment takes a plugin call, a lease only a file.
    case.present = case.present.min(match case.work {
        Work::HostLocal => 2000,
        Work::Chain { .. } => 100,
        _ => 50,
    });
    for phase in &mut case.phases {
        phase.rounds = if phase.parallel == 1 { 5 } else { 1 };
    }
    case
}
