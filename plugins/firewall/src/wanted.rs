//! What one attachment is to have, made of the plan, of `prevResult`, and of a look at its interface where a key
//! needs one.

use crate::config::{Plan, Policy};
use kernel::link::Link;
use spec::config::Config;
use spec::error::{Error, Result};
use spec::names::IfName;
use spec::request::Attachment;
use spec::result::Success;
use std::net::IpAddr;
use std::path::Path;
use steps::anti_spoof::Guard;
use steps::forward::{self, Backend, Forward, Ingress};
use steps::sockets::Sockets;
use steps::{chained, host_end};

/// What is to be there.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// What is forwarded.
    pub(crate) forward: Forward,
    /// What the port is bound to.
    pub(crate) guard: Option<Guard>,
    /// The bridge that a guarded port is of, by its index.
    pub(crate) bridge: Option<u32>,
}

impl Wanted {
    /// `written` is who wrote the rules, where that is known; else it is decided.
    ///
    /// # Errors
    /// Code 7 where the list cannot do what the keys ask for; or the attachment's interface is not found.
    pub(crate) fn new(
        plan: &Plan,
        config: &Config,
        attachment: &Attachment,
        netns: &Path,
        written: Option<Backend>,
    ) -> Result<Wanted> {
        let result = chained::prev_result(config)?;
        let bridge = bridge(plan, result)?;
        let mut sockets = None;
        let mut port = None;
        if plan.anti_spoof || plan.policy == Policy::Isolated {
            let opened = sockets.insert(Sockets::open(netns)?);
            port = Some(host_end::find(opened, attachment, result)?);
        }
        let guard = match (&mut sockets, &port) {
            (Some(sockets), Some(port)) if plan.anti_spoof => {
                Some(Guard::of(sockets, attachment, result, port)?)
            }
            _ => None,
        };
        let addresses = addresses(result);
        let forward = Forward {
            backend: written.map_or_else(|| forward::choose(&plan.backend, &addresses), Ok)?,
            addresses,
            admin_chain: plan.admin_chain.clone(),
            zone: plan.zone.clone(),
            ingress: bridge.map(|bridge| ingress(plan, &bridge, port.as_ref())),
        };
        let bridge = port.and_then(|port| port.master).filter(|_| guard.is_some());
        Ok(Wanted { forward, guard, bridge })
    }
}

/// Each address of the result once. The reference plugin takes all of them, whichever interface they are on.
pub(crate) fn addresses(result: &Success) -> Vec<IpAddr> {
    let mut addresses = Vec::with_capacity(result.ips.len());
    for ip in &result.ips {
        if !addresses.contains(&ip.address.addr()) {
            addresses.push(ip.address.addr());
        }
    }
    addresses
}

/// The bridge that an ingress policy is of: the first interface of the result.
fn bridge(plan: &Plan, result: &Success) -> Result<Option<IfName>> {
    if plan.policy == Policy::Open {
        return Ok(None);
    }
    let first = result.interfaces.first().filter(|interface| interface.is_on_host());
    let name = first.and_then(|interface| interface.name.parse().ok());
    name.map(Some).ok_or_else(|| {
        Error::invalid_config(
            "ingressPolicy needs a bridge as the first interface of prevResult: put firewall behind the plugin bridge",
        )
    })
}

/// A port is closed to the others of its bridge only where it is one.
fn ingress(plan: &Plan, bridge: &IfName, port: Option<&Link>) -> Ingress {
    let isolated = plan.policy == Policy::Isolated;
    let port = port.filter(|port| isolated && port.master.is_some());
    Ingress { bridge: bridge.to_string(), isolated, port: port.map(|port| port.name.clone()) }
}
