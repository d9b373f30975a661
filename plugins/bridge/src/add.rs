//! ADD: lease, bridge, pair, addresses, gateway, masquerade; then the port forwards and the neighbours know.

use crate::config::{GatewayWish, Plan};
use crate::{bridge, gateway, port};
use ipnet::IpNet;
use kernel::link::Link;
use kernel::rtnl::Rtnl;
use spec::error::Result;
use spec::request::Add;
use spec::result::{Interface, Success};
use steps::apply::{self, OnLink, Target};
use steps::label::Label;
use steps::pair::{self, Pair};
use steps::sockets::Sockets;
use steps::undo::Undo;
use steps::{anti_spoof, spoof};
use steps::{lease, masquerade};

/// Position of the container's interface in the result.
const CONTAINER: usize = 2;

pub(crate) fn add(call: &Add) -> Result<Success> {
    let plan = Plan::new(call)?;
    let label = Label::new(&call.config, &call.attachment);
    let mut sockets = Sockets::open(&call.netns)?;
    if apply::has_interface(&mut sockets, &call.attachment.ifname)? {
        return Err(pair::taken(&call.attachment));
    }
    let mut undo = Undo::new();
    let mut result = lease(&plan, call, &mut undo)?;
    let bridge = bridge::ensure(&mut sockets.host, &plan.bridge)?;
    let pair = port::create(&mut sockets, &plan, &bridge, &label, &call.attachment)?;
    undo.track("create veth pair", pair.removal(&label));
    let ifname = &call.attachment.ifname;
    pair.refuse_advertisements()?;
    port::configure(&mut sockets.host, &plan, &pair.host_name)?;
    let index = pair.index(&mut sockets, ifname)?;
    let detection = plan.container.detection;
    let target = Target { name: ifname, index, detection, on_link: OnLink::Subnets };
    check_spoofing(&mut sockets.host, &plan, call, &label, (&bridge, &pair), &mut undo)?;
    if plan.container.up {
        apply::apply(&mut sockets, &target, &result)?;
    }
    let gateway = match plan.gateway {
        Some(wish) => gateway::ensure(&mut sockets.host, &plan, wish, &bridge, &result.ips)?,
        None => None,
    };
    masquerade(&plan, &label, &result, &mut undo)?;
    let port = settle(&mut sockets, &plan, &pair, &target)?;
    result.interfaces = interfaces(call, &bridge, &port, &pair, gateway.as_ref());
    if !plan.dns.is_empty() {
        result.dns = plan.dns;
    }
    undo.commit();
    Ok(result)
}

/// Asks IPAM for addresses and completes what it left open. Without IPAM the result is empty: layer 2 only.
fn lease<'a>(plan: &Plan, call: &'a Add, undo: &mut Undo<'a>) -> Result<Success> {
    let Some(plugin) = &plan.ipam else {
        return Ok(Success::default());
    };
    let mut result = lease::for_add(plugin, call, undo)?;
    complete(&mut result, plan.gateway);
    Ok(result)
}

fn complete(result: &mut Success, wish: Option<GatewayWish>) {
    for ip in &mut result.ips {
        ip.interface = Some(CONTAINER);
    }
    let Some(wish) = wish else { return };
    steps::gateway::fill_missing(&mut result.ips);
    if wish.default_route {
        steps::gateway::add_default_routes(result);
    }
}

fn check_spoofing<'a>(
    host: &mut Rtnl,
    plan: &Plan,
    call: &'a Add,
    label: &Label,
    (bridge, pair): (&Link, &Pair),
    undo: &mut Undo<'a>,
) -> Result<()> {
    if !plan.port.spoof_check {
        return Ok(());
    }
    let mark = label.clone();
    undo.track("bind the port to its MAC", move || spoof::remove(&mark, &call.attachment).map(drop));
    spoof::ensure(label, &pair.host_name, pair.mac)?;
    anti_spoof::seal(host, bridge.index)
}

fn masquerade(plan: &Plan, label: &Label, result: &Success, undo: &mut Undo<'_>) -> Result<()> {
    let Some(backend) = plan.masquerade else {
        return Ok(());
    };
    let addresses: Vec<IpNet> = result.ips.iter().map(|ip| ip.address).collect();
    masquerade::for_add(backend, label, &addresses, undo)
}

/// The host's end as it is now; when the container's is up, the port is in use and the neighbours were told.
fn settle(sockets: &mut Sockets, plan: &Plan, pair: &Pair, target: &Target<'_>) -> Result<Link> {
    if !plan.container.up {
        return apply::host_end(&mut sockets.host, &pair.host_name);
    }
    let port = apply::settle(&mut sockets.host, &pair.host_name)?;
    if plan.ipam.is_some() {
        apply::announce(sockets, target, pair.mac)?;
    }
    Ok(port)
}

/// Bridge, host's end, container's end, and the gateway's own interface where a VLAN has one.
fn interfaces(call: &Add, bridge: &Link, port: &Link, pair: &Pair, gateway: Option<&Link>) -> Vec<Interface> {
    let container = pair.inside(call, port.mtu);
    let ends = [pair::on_the_host(bridge), pair::on_the_host(port), container];
    ends.into_iter().chain(gateway.map(pair::on_the_host)).collect()
}
