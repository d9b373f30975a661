//! CHECK: everything that ADD made is there and as `prevResult` says; nothing is changed.

use crate::config::Plan;
use crate::{bridge, gateway};
use kernel::link::Link;
use spec::error::{Error, Result};
use spec::request::Check;
use spec::result::Success;
use steps::label::Label;
use steps::lease::Ipam;
use steps::sockets::Sockets;
use steps::{masquerade, pair, spoof, verify};

pub(crate) fn check(call: &Check) -> Result<()> {
    let plan = Plan::of_network(&call.config)?;
    let result = call.config.required_prev_result()?;
    if let Some(plugin) = &plan.ipam {
        Ipam::find(plugin, &call.caller)?.check(call)?;
    }
    let mut sockets = Sockets::open(&call.netns)?;
    let bridge = check_bridge(&mut sockets, &plan, result)?;
    let (position, recorded) = verify::container_interface(call, result)?;
    let inside = verify::container_link(&mut sockets, recorded, "veth")?;
    if plan.container.up && !inside.up {
        return Err(Error::internal(format!("interface {} is down in the container", inside.name)));
    }
    let port = check_port(&mut sockets, &plan, &inside, &bridge)?;
    verify::addresses(&mut sockets, &inside, position, &result.ips)?;
    verify::routes(&mut sockets, result)?;
    if plan.gateway.is_some() {
        gateway::check(&mut sockets.host, &plan, &bridge, &result.ips)?;
    }
    let label = Label::new(&call.config, &call.attachment);
    if plan.port.spoof_check {
        spoof::check(&label, &port.name, inside.mac)?;
    }
    if let Some(backend) = plan.masquerade {
        let addresses: Vec<_> = result.ips.iter().map(|ip| ip.address).collect();
        masquerade::check(backend, &label, &addresses)?;
    }
    Ok(())
}

fn check_bridge(sockets: &mut Sockets, plan: &Plan, result: &Success) -> Result<Link> {
    let name = plan.bridge.name.as_str();
    let bridge = bridge::find(&mut sockets.host, name)?
        .ok_or_else(|| Error::internal(format!("bridge {name} not found")))?;
    let recorded =
        result.interfaces.iter().find(|interface| interface.name == name && interface.is_on_host());
    if let Some(recorded) = recorded {
        verify::same_mac(&bridge, recorded)?;
    }
    if plan.bridge.promisc && !bridge.promisc {
        return Err(Error::internal(format!("bridge {name} is not in promiscuous mode")));
    }
    if !bridge.up {
        return Err(Error::internal(format!("bridge {name} is down")));
    }
    Ok(bridge)
}

fn check_port(sockets: &mut Sockets, plan: &Plan, inside: &Link, bridge: &Link) -> Result<Link> {
    let port = pair::other_end(&mut sockets.host, inside)?;
    if port.master != Some(bridge.index) {
        return Err(Error::internal(format!("{} is not a port of bridge {}", port.name, bridge.name)));
    }
    if !port.up {
        return Err(Error::internal(format!("port {} of bridge {} is down", port.name, bridge.name)));
    }
    let flags = port.port.as_ref();
    if plan.port.hairpin && !flags.is_some_and(|port| port.hairpin) {
        return Err(Error::internal(format!("hairpin mode of port {} is off", port.name)));
    }
    if plan.port.isolated && !flags.is_some_and(|port| port.isolated) {
        return Err(Error::internal(format!("port {} is not isolated", port.name)));
    }
    Ok(port)
}
