//! ADD: lease, forwarding, pair, the container's routes, the host's routes, masquerade.

use crate::config::Plan;
use crate::routes::{self, Leg};
use ipnet::IpNet;
use kernel::link::Link;
use spec::error::{Error, Result};
use spec::request::Add;
use spec::result::Success;
use steps::apply::{self, DuplicateDetection, OnLink, Target};
use steps::label::Label;
use steps::pair::{self, Pair, Wish};
use steps::sockets::Sockets;
use steps::undo::Undo;
use steps::{forwarding, lease, masquerade};

/// Position of the container's interface in the result.
const CONTAINER: usize = 1;

pub(crate) fn add(call: &Add) -> Result<Success> {
    let plan = Plan::new(&call.config)?;
    let label = Label::new(&call.config, &call.attachment);
    let mut sockets = Sockets::open(&call.netns)?;
    if apply::has_interface(&mut sockets, &call.attachment.ifname)? {
        return Err(pair::taken(&call.attachment));
    }
    let mut undo = Undo::new();
    let mut result = lease::for_add(&plan.ipam, call, &mut undo)?;
    let legs = routes::legs(&result)?;
    forwarding::enable(legs.iter().map(|leg| leg.gateway))?;
    let wish = Wish { mtu: plan.mtu, ..Wish::default() };
    let pair = Pair::create(&mut sockets, &wish, &label, &call.attachment, Error::from)?;
    undo.track("create veth pair", pair.removal(&label));
    connect_container(&mut sockets, call, &pair, &legs, &result)?;
    let outside = connect_host(&mut sockets, &pair, &legs)?;
    if let Some(backend) = plan.masquerade {
        let addresses: Vec<IpNet> = legs.iter().map(|leg| leg.address).collect();
        masquerade::for_add(backend, &label, &addresses, &mut undo)?;
    }
    result.interfaces = vec![pair::on_the_host(&outside), pair.inside(call, outside.mtu)];
    result.ips.iter_mut().for_each(|ip| ip.interface = Some(CONTAINER));
    if !plan.dns.is_empty() {
        result.dns = plan.dns;
    }
    undo.commit();
    Ok(result)
}

/// Up, addresses, and routes that all go by the gateways.
fn connect_container(
    sockets: &mut Sockets,
    call: &Add,
    pair: &Pair,
    legs: &[Leg],
    result: &Success,
) -> Result<()> {
    let name = &call.attachment.ifname;
    let index = pair.index(sockets, name)?;
    let by_gateways: Vec<_> = legs.iter().flat_map(|leg| leg.inside(index)).collect();
    let on_link = OnLink::Only(&by_gateways);
    apply::apply(sockets, &Target { name, index, detection: DuplicateDetection::Off, on_link }, result)
}

/// The gateways' addresses, and a route to each address of the container. Gives the host's end.
fn connect_host(sockets: &mut Sockets, pair: &Pair, legs: &[Leg]) -> Result<Link> {
    pair.refuse_advertisements()?;
    let outside = apply::settle(&mut sockets.host, &pair.host_name)?;
    let sent = sockets.host.batch(routes::on_the_host(legs, outside.index));
    sent.map_err(|error| Error::from(error).context(format!("set up {} on the host", outside.name)))?;
    Ok(outside)
}
