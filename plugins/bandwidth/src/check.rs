//! CHECK: both directions are limited as planned, and what the container sends goes through its IFB.

use crate::config::Plan;
use crate::ifb::{self, Names};
use crate::limit::Limit;
use crate::shape;
use kernel::link::Link;
use kernel::rtnl::Rtnl;
use spec::error::{Error, Result};
use spec::request::Check;
use steps::chained;
use steps::host_end;
use steps::label::Label;
use steps::sockets::Sockets;

pub(crate) fn check(call: &Check) -> Result<()> {
    let plan = Plan::new(&call.config)?;
    let result = chained::prev_result(&call.config)?;
    if plan.is_empty() {
        return Ok(());
    }
    let mut sockets = Sockets::open(&call.netns)?;
    let port = host_end::find(&mut sockets, &call.attachment, result)?;
    if let Some(limit) = plan.ingress {
        shape::check(&mut sockets.host, &port, limit)?;
    }
    plan.egress.map_or(Ok(()), |limit| check_egress(&mut sockets.host, call, &port, limit))
}

fn check_egress(host: &mut Rtnl, call: &Check, port: &Link, limit: Limit) -> Result<()> {
    let label = Label::new(&call.config, &call.attachment);
    let names = Names::new(&call.config, &call.attachment, &label);
    let ifb = ifb::find(host, &names, &label)?.ok_or_else(|| {
        Error::internal(format!("ifb of container {} not found", call.attachment.container))
    })?;
    if !ifb.up {
        return Err(Error::internal(format!("ifb {} is down", ifb.name)));
    }
    shape::check(host, &ifb, limit)?;
    if !shape::leads_to(host, port, &ifb)? {
        return Err(Error::internal(format!(
            "what arrives at interface {} is not redirected to ifb {}: the filter is missing",
            port.name, ifb.name
        )));
    }
    Ok(())
}
