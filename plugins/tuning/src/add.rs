//! ADD: keep the old values, set the sysctls, set the link; the result is that of the plugin before.

use crate::config::Plan;
use crate::link::LinkSettings;
use crate::place::Place;
use crate::refused::Refused;
use crate::saved::{OldSysctl, Record, Saved};
use crate::sysctl::{Sysctl, same};
use crate::target::Target;
use kernel::link::Mac;
use kernel::netns::NetNs;
use spec::error::{Error, Result};
use spec::request::Add;
use spec::result::Success;
use steps::label::Label;
use steps::sockets::open_netns;
use steps::undo::Undo;
use steps::{anti_spoof, spoof};

pub(crate) fn add(call: &Add) -> Result<Success> {
    let plan = Plan::new(&call.config, &call.caller, &call.attachment.ifname)?;
    let mut result = call.config.required_prev_result()?.clone();
    plan.link.mac.map_or(Ok(()), |mac| refuse_bound(call, mac))?;
    let netns = open_netns(&call.netns)?;
    if !plan.is_empty() {
        netns.run(|| tune(&plan, call, &netns))?.map_err(Failure::told_on_the_host)?;
    }
    reflect(&plan.link, call, &mut result);
    Ok(result)
}

/// A port that is bound to another MAC would let nothing of the container in any more.
fn refuse_bound(call: &Add, mac: Mac) -> Result<()> {
    let label = Label::new(&call.config, &call.attachment);
    let bound = [
        (
            anti_spoof::bound_mac(&label)?,
            "antiSpoof of the plugin firewall: put tuning before firewall in the list",
        ),
        (
            spoof::bound_mac(&label)?,
            "macspoofchk of the plugin bridge: give the MAC to bridge (args.cni.mac, capability mac)",
        ),
    ];
    for (bound, by) in bound {
        if let Some(bound) = bound.filter(|bound| *bound != mac) {
            return Err(Error::invalid_config(format!(
                "set MAC of {} to {mac}: its port is bound to {bound} by {by}",
                call.attachment.ifname
            )));
        }
    }
    Ok(())
}

/// Runs inside the container's namespace, and so does what takes it back.
fn tune(plan: &Plan, call: &Add, netns: &NetNs) -> std::result::Result<(), Failure> {
    let mut target = Target::find(&plan.link, &call.attachment.ifname)?;
    let changes = changes(&plan.sysctls)?;
    let saved = saved(call, netns, target.as_ref(), &changes)?;
    let mut undo = Undo::new();
    let place = Place::of(plan.data_dir.clone(), &call.attachment);
    let earlier = place.keep(saved, &call.attachment)?;
    undo.track("keep old values", move || place.put_back(earlier.as_ref()));
    for Change { sysctl, old } in changes {
        undo.track("set sysctl", move || old.map_or(Ok(()), |old| old.put_back()));
        sysctl.set()?;
    }
    if let Some(target) = &mut target {
        let different = plan.link.different_from(&target.old);
        undo.track("set link", target.taking_back(&different)?);
        target.set(&different)?;
    }
    undo.commit();
    Ok(())
}

/// A sysctl to be written; without an old value where it cannot be read.
struct Change<'a> {
    sysctl: &'a Sysctl,
    old: Option<OldSysctl>,
}

/// The sysctls that do not have their value yet.
fn changes(sysctls: &[Sysctl]) -> std::result::Result<Vec<Change<'_>>, Box<Refused>> {
    let mut changes = Vec::new();
    for sysctl in sysctls {
        let now = sysctl.now()?;
        if now.as_ref().is_some_and(|now| same(now, &sysctl.value)) {
            continue;
        }
        let old = now.map(|old| OldSysctl { path: sysctl.path.clone(), old, new: sysctl.value.clone() });
        changes.push(Change { sysctl, old });
    }
    Ok(changes)
}

fn saved(call: &Add, netns: &NetNs, target: Option<&Target>, changes: &[Change<'_>]) -> Result<Saved> {
    let index = target.map(|target| target.index());
    let mut record = Record::new(&call.config, &call.attachment, netns.identity()?.ino, index);
    record.sysctls = changes.iter().filter_map(|change| change.old.clone()).collect();
    Ok(Saved { link: target.map(|target| target.old).unwrap_or_default(), record: Some(record) })
}

/// The result tells the interface as it is now. The reference changes the MAC of every interface of the name,
/// the host's too, and leaves the MTU.
fn reflect(set: &LinkSettings, call: &Add, result: &mut Success) {
    let sandbox = call.netns.display().to_string();
    let is_it = |name: &str, inside: Option<&str>| {
        name == call.attachment.ifname.as_str() && inside == Some(sandbox.as_str())
    };
    for interface in &mut result.interfaces {
        if is_it(&interface.name, interface.sandbox.as_deref()) {
            interface.mac = set.mac.map(|mac| mac.to_string()).or(interface.mac.take());
            interface.mtu = set.mtu.or(interface.mtu);
        }
    }
}

/// What went wrong inside. Why a sysctl was refused can only be told on the host.
enum Failure {
    Sysctl(Box<Refused>),
    Other(Error),
}

impl Failure {
    fn told_on_the_host(self) -> Error {
        match self {
            Failure::Sysctl(refused) => refused.explain(),
            Failure::Other(error) => error,
        }
    }
}

impl From<Box<Refused>> for Failure {
    fn from(refused: Box<Refused>) -> Failure {
        Failure::Sysctl(refused)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Other(error)
    }
}
