//! CHECK: everything that was asked for is still so; nothing is changed.
//!
//! What was not asked for is not looked at. (The reference fails where an interface was promiscuous before.)

use crate::config::Plan;
use crate::link::LinkSettings;
use crate::sysctl::{Sysctl, same};
use crate::target::Target;
use spec::error::{Error, Result};
use spec::names::IfName;
use spec::request::Check;
use steps::sockets::open_netns;

pub(crate) fn check(call: &Check) -> Result<()> {
    let ifname = &call.attachment.ifname;
    let plan = Plan::new(&call.config, &call.caller, ifname)?;
    call.config.required_prev_result()?;
    open_netns(&call.netns)?.run(|| {
        plan.sysctls.iter().try_for_each(check_sysctl)?;
        check_link(&plan.link, ifname)
    })?
}

/// What can only be written cannot be compared.
fn check_sysctl(wanted: &Sysctl) -> Result<()> {
    match wanted.now() {
        Ok(Some(now)) if !same(&now, &wanted.value) => Err(Error::internal(format!(
            "sysctl {} is {now:?} in the container, configured is {:?}",
            wanted.key, wanted.value
        ))),
        Ok(_) => Ok(()),
        Err(refused) => Err(refused.cause.into()),
    }
}

fn check_link(wanted: &LinkSettings, ifname: &IfName) -> Result<()> {
    let Some(target) = Target::find(wanted, ifname)? else { return Ok(()) };
    let found = target.old.different_from(wanted);
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::internal(format!(
        "interface {ifname} of the container has {}, configured is {}",
        found.words().join(", "),
        wanted.different_from(&target.old).words().join(", ")
    )))
}
