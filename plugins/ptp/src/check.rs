//! CHECK: everything that ADD made is there and as `prevResult` says, on both sides; nothing is changed.

use crate::config::Plan;
use crate::routes::{self, Leg};
use kernel::addr;
use kernel::link::Link;
use kernel::route::{self, Route, RouteFound};
use kernel::rtnl::Rtnl;
use spec::error::{Error, Result};
use spec::request::Check;
use steps::label::Label;
use steps::lease::Ipam;
use steps::sockets::Sockets;
use steps::{masquerade, pair, verify};

pub(crate) fn check(call: &Check) -> Result<()> {
    let plan = Plan::new(&call.config)?;
    let result = call.config.required_prev_result()?;
    Ipam::find(&plan.ipam, &call.caller)?.check(call)?;
    let legs = routes::legs(result)?;
    let mut sockets = Sockets::open(&call.netns)?;
    let (position, recorded) = verify::container_interface(call, result)?;
    let inside = verify::container_link(&mut sockets, recorded, "veth")?;
    let outside = pair::other_end(&mut sockets.host, &inside)?;
    for end in [&inside, &outside] {
        is_up(end)?;
    }
    verify::addresses(&mut sockets, &inside, position, &result.ips)?;
    verify::routes(&mut sockets, result)?;
    let wanted = legs.iter().flat_map(|leg| leg.inside(inside.index));
    has_routes(&mut sockets.container, &wanted.collect::<Vec<_>>(), "container")?;
    check_host(&mut sockets.host, &outside, &legs)?;
    let Some(backend) = plan.masquerade else { return Ok(()) };
    let addresses: Vec<_> = legs.iter().map(|leg| leg.address).collect();
    masquerade::check(backend, &Label::new(&call.config, &call.attachment), &addresses)
}

fn is_up(end: &Link) -> Result<()> {
    if end.up { Ok(()) } else { Err(Error::internal(format!("interface {} is down", end.name))) }
}

fn check_host(host: &mut Rtnl, outside: &Link, legs: &[Leg]) -> Result<()> {
    let found = addr::list(host, outside.index)?;
    let missing = legs.iter().find(|leg| !found.iter().any(|have| have.net == routes::alone(leg.gateway)));
    if let Some(leg) = missing {
        let Link { name, .. } = outside;
        return Err(Error::internal(format!("gateway address {} is not on {name}", leg.gateway)));
    }
    let wanted: Vec<_> = legs.iter().map(|leg| leg.outside(outside.index)).collect();
    has_routes(host, &wanted, "host")
}

fn has_routes(side: &mut Rtnl, wanted: &[Route], name: &str) -> Result<()> {
    let mut found = Vec::new();
    for v6 in [false, true] {
        if wanted.iter().any(|route| route.dst.addr().is_ipv6() == v6) {
            found.extend(route::list(side, v6)?);
        }
    }
    let is_there = |route: &Route| found.iter().any(|have| is(have, route));
    match wanted.iter().find(|route| !is_there(route)) {
        None => Ok(()),
        Some(missing) => Err(Error::internal(format!("route to {} not found on the {name}", missing.dst))),
    }
}

fn is(have: &RouteFound, wanted: &Route) -> bool {
    have.dst == wanted.dst && have.index == Some(wanted.index) && have.gw == wanted.gw
}
