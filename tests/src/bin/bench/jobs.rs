//! The call that makes a peer do one verb for one container.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cases::{CROWD_PORTS, Work};
use super::measure::FIRST;
use super::peers::{Peer, Site, Verb};

/// The host port of the first timed container.
pub(super) const TIMED_PORTS: u32 = 40_000;
/// The first port inside every container.
pub(super) const CONTAINER_PORT: u32 = 1000;

/// A program with all that it is given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    /// Path of the program.
    pub(super) program: String,
    /// Its arguments.
    pub(super) arguments: Vec<String>,
    /// Its whole environment.
    pub(super) environment: Vec<(String, String)>,
    /// Its standard input.
    pub(super) stdin: String,
    /// The other plugins of a list, run one after the other behind it.
    pub(super) then: Vec<Next>,
}

/// A plugin of a list, in its turn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Next {
    /// Path of the program.
    pub(super) program: String,
    /// Its arguments.
    pub(super) arguments: Vec<String>,
    /// Its standard input.
    pub(super) stdin: String,
    /// Whether what the plugin before printed is its `prevResult`.
    pub(super) fed: bool,
}

impl Next {
    /// The call of this plugin, after the one that printed `output`.
    pub(super) fn after(&self, first: &Job, output: &str) -> Job {
        let stdin = match self.stdin.strip_suffix('}') {
            Some(open) if self.fed => format!("{open},\"prevResult\":{output}}}"),
            _ => self.stdin.clone(),
        };
        Job {
            program: self.program.clone(),
            arguments: self.arguments.clone(),
            environment: first.environment.clone(),
            stdin,
            then: Vec::new(),
        }
    }
}

/// A container as a runtime sees it.
#[derive(Clone, Debug)]
pub(super) struct Container {
    /// Never used twice.
    pub(super) serial: u32,
    /// Path of its namespace.
    pub(super) netns: String,
    /// Its interface.
    pub(super) ifname: String,
    /// What ADD printed.
    pub(super) result: Option<Value>,
}

impl Container {
    /// The container's id: 64 digits, as the runtimes make them.
    pub(super) fn id(&self) -> String {
        format!("{:064x}", 0xbe9c_0000_0000_u64 + u64::from(self.serial))
    }
}

/// The call of `verb` for this container at the peer's site.
pub(super) fn job(site: &Site, work: Work, verb: Verb, container: &Container) -> Job {
    match site.peer {
        Peer::Floor | Peer::FloorNotified => floor(site, work, verb, container),
        Peer::Tidewater | Peer::Reference => plugin(site, work, verb, container),
    }
}

fn plugin(site: &Site, work: Work, verb: Verb, container: &Container) -> Job {
    let mut list = list(site, work, verb, container);
    if verb == Verb::Del {
        list.reverse();
    }
    let program = |name: &str| site.programs.join(name).display().to_string();
    let mut calls = list.into_iter().map(|(name, stdin)| Next {
        program: program(name),
        arguments: Vec::new(),
        stdin: stdin.to_string(),
        fed: verb == Verb::Add,
    });
    let first = calls.next();
    let (program, stdin) = first.map(|first| (first.program, first.stdin)).unwrap_or_default();
    let variables = [
        ("CNI_COMMAND", verb.name()),
        ("CNI_CONTAINERID", &container.id()),
        ("CNI_NETNS", &container.netns),
        ("CNI_IFNAME", &container.ifname),
        ("CNI_PATH", &site.programs.display().to_string()),
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    ];
    Job {
        program,
        arguments: Vec::new(),
        environment: variables.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        stdin,
        then: calls.collect(),
    }
}

/// The plugins in the order of ADD, each with its configuration.
fn list(site: &Site, work: Work, verb: Verb, container: &Container) -> Vec<(&'static str, Value)> {
    let first = match work {
        _ if verb == Verb::Version => return vec![("bridge", json!({"cniVersion": "1.0.0"}))],
        Work::HostLocal => ("host-local", bridge(site, work)),
        _ => ("bridge", bridge(site, work)),
    };
    let mut list = vec![first];
    let common = |plugin: &str| json!({"cniVersion": "1.0.0", "name": site.network(), "type": plugin});
    let portmap = |ports, protocol| {
        let mut config = common("portmap");
        config["runtimeConfig"] = json!({"portMappings": mappings(container, ports, protocol)});
        ("portmap", config)
    };
    match work {
        Work::Chain { ports } => list.extend([portmap(ports, "tcp"), ("firewall", common("firewall"))]),
        Work::Flows => list.push(portmap(1, "udp")),
        _ => {}
    }
    for (_, config) in &mut list {
        if let Some(result) = &container.result {
            config["prevResult"] = result.clone();
        }
    }
    list
}

/// Ports that no other container has at the same time. Host and container ports differ, so that none can be joined
/// to a range.
fn mappings(container: &Container, ports: u32, protocol: &str) -> Vec<Value> {
    let (first, count) = match container.serial.checked_sub(FIRST) {
        Some(timed) => (TIMED_PORTS + timed * ports % 20_000, ports),
        None => (20_000 + (container.serial - 1) * CROWD_PORTS, CROWD_PORTS),
    };
    let mapping =
        |n| json!({"hostPort": first + n, "containerPort": CONTAINER_PORT + n * 2, "protocol": protocol});
    (0..count).map(mapping).collect()
}

fn bridge(site: &Site, work: Work) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": site.network(),
        "type": "bridge",
        "bridge": site.bridge(),
        "isGateway": true,
        "ipMasq": matches!(work, Work::BridgeMasq | Work::Chain { .. } | Work::Flows),
        "ipam": {
            "type": "host-local",
            "dataDir": site.leases,
            "ranges": [[{"subnet": format!("{}/16", site.address(0))}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    })
}

fn floor(site: &Site, work: Work, verb: Verb, container: &Container) -> Job {
    let (program, arguments) = match work {
        Work::Version => ("noop", Vec::new()),
        Work::HostLocal => ("floor", lease(site, verb, container)),
        Work::BridgePlain | Work::BridgeMasq | Work::Chain { .. } | Work::Flows => {
            ("floor", link(site, verb, container))
        }
    };
    Job {
        program: site.programs.join(program).display().to_string(),
        arguments,
        environment: Vec::new(),
        stdin: String::new(),
        then: Vec::new(),
    }
}

fn lease(site: &Site, verb: Verb, container: &Container) -> Vec<String> {
    let verb = format!("lease-{}", verb.name().to_lowercase());
    vec![verb, site.leases.display().to_string(), site.address(container.serial), container.id()]
}

fn link(site: &Site, verb: Verb, container: &Container) -> Vec<String> {
    let host = format!("f{:08x}", container.serial);
    let (netns, ifname) = (container.netns.clone(), container.ifname.clone());
    match verb {
        Verb::Check => vec!["check".to_owned(), host, netns, ifname],
        Verb::Del if site.peer == Peer::FloorNotified => vec!["del-notified".to_owned(), netns, ifname],
        Verb::Del => vec!["del".to_owned(), netns, ifname],
        Verb::Add | Verb::Version => {
            // 60 000 addresses are enough for any run: they are only in use while their container is.
            let address = format!("{}/16", site.address(256 + container.serial % 60_000));
            vec!["add".to_owned(), host, site.bridge(), netns, ifname, address, site.address(1)]
        }
    }
}
