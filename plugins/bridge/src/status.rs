//! STATUS: would an ADD work now?

use crate::bridge::{self, PORTS_MAX};
use crate::config::Plan;
use kernel::link;
use kernel::rtnl::Rtnl;
use spec::error::{Error, Result};
use spec::request::Status;
use steps::lease::Ipam;
use steps::masquerade;

pub(crate) fn status(call: &Status) -> Result<()> {
    let plan = Plan::of_network(&call.config)?;
    if let Some(plugin) = &plan.ipam {
        let ipam =
            Ipam::find(plugin, &call.caller).map_err(|error| Error::not_available(error.to_string()))?;
        ipam.status(call)?;
    }
    room_on_bridge(&plan)?;
    plan.masquerade.map_or(Ok(()), masquerade::available)
}

fn room_on_bridge(plan: &Plan) -> Result<()> {
    let mut host = Rtnl::open()?;
    let name = plan.bridge.name.as_str();
    let found = bridge::find(&mut host, name).map_err(|error| Error::not_available(error.to_string()))?;
    let Some(bridge) = found else { return Ok(()) };
    let ports = link::ports_of(&mut host, bridge.index)?.len();
    if ports < PORTS_MAX {
        return Ok(());
    }
    Err(Error::not_available(format!(
        "bridge {name} has {ports} ports, the most that the kernel allows: no container can be added"
    )))
}
