//! The call that makes a peer do one verb for one container.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cases::Work;
use super::peers::{Peer, Site, Verb};

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
    let name = if work == Work::HostLocal { "host-local" } else { "bridge" };
    let variables = [
        ("CNI_COMMAND", verb.name()),
        ("CNI_CONTAINERID", &container.id()),
        ("CNI_NETNS", &container.netns),
        ("CNI_IFNAME", &container.ifname),
        ("CNI_PATH", &site.programs.display().to_string()),
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    ];
    Job {
        program: site.programs.join(name).display().to_string(),
        arguments: Vec::new(),
        environment: variables.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        stdin: configuration(site, work, verb, container.result.as_ref()).to_string(),
    }
}

fn configuration(site: &Site, work: Work, verb: Verb, result: Option<&Value>) -> Value {
    if verb == Verb::Version {
        return json!({"cniVersion": "1.0.0"});
    }
    let mut config = json!({
        "cniVersion": "1.0.0",
        "name": site.network(),
        "type": "bridge",
        "bridge": site.bridge(),
        "isGateway": true,
        "ipMasq": work == Work::BridgeMasq,
        "ipam": {
            "type": "host-local",
            "dataDir": site.leases,
            "ranges": [[{"subnet": format!("{}/16", site.address(0))}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    });
    if let Some(result) = result {
        config["prevResult"] = result.clone();
    }
    config
}

fn floor(site: &Site, work: Work, verb: Verb, container: &Container) -> Job {
    let (program, arguments) = match work {
        Work::Version => ("noop", Vec::new()),
        Work::HostLocal => ("floor", lease(site, verb, container)),
        Work::BridgePlain | Work::BridgeMasq => ("floor", link(site, verb, container)),
    };
    Job {
        program: site.programs.join(program).display().to_string(),
        arguments,
        environment: Vec::new(),
        stdin: String::new(),
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
