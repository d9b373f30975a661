//! ADD: find the host's end, make the IFB, limit both directions; the IFB joins the result.

use crate::config::Plan;
use crate::ifb::{self, Names};
use crate::limit::Limit;
use crate::shape;
use kernel::link::{self, Link};
use kernel::rtnl::Rtnl;
use spec::error::Result;
use spec::request::Add;
use spec::result::{Interface, Success};
use steps::chained;
use steps::host_end;
use steps::label::Label;
use steps::sockets::Sockets;
use steps::undo::Undo;

pub(crate) fn add(call: &Add) -> Result<Success> {
    let plan = Plan::new(&call.config)?;
    let mut result = chained::prev_result(&call.config)?.clone();
    if plan.is_empty() {
        return Ok(result);
    }
    let mut sockets = Sockets::open(&call.netns)?;
    let port = host_end::find(&mut sockets, &call.attachment, &result)?;
    let host = &mut sockets.host;
    let mut undo = Undo::new();
    let ifb = plan.egress.map(|limit| make_ifb(host, call, &port, limit, &mut undo)).transpose()?;
    let (end, to) = (port.clone(), ifb.as_ref().map(|ifb| ifb.index));
    undo.track("limit rates", move || shape::clear(&mut Rtnl::open()?, &end, to));
    shape::prepare(host, &port, plan.ingress, ifb.is_some())?;
    if let Some(ifb) = &ifb {
        shape::redirect(host, &port, ifb)?;
        result.interfaces.push(interface(ifb));
    }
    undo.commit();
    Ok(result)
}

/// The IFB limits before anything is sent through it.
fn make_ifb(host: &mut Rtnl, call: &Add, port: &Link, limit: Limit, undo: &mut Undo<'_>) -> Result<Link> {
    let label = Label::new(&call.config, &call.attachment);
    let names = Names::new(&call.config, &call.attachment, &label);
    let ifb = ifb::create(host, &names, &label, port.mtu)?;
    let index = ifb.index;
    undo.track("create ifb", move || Ok(link::remove_early(&mut Rtnl::open()?, index, &[]).map(drop)?));
    shape::limit(host, &ifb, limit)?;
    Ok(ifb)
}

fn interface(ifb: &Link) -> Interface {
    Interface {
        name: ifb.name.clone(),
        mac: ifb.mac.map(|mac| mac.to_string()),
        mtu: Some(ifb.mtu),
        ..Interface::default()
    }
}
