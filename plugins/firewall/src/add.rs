//! ADD: rules for the attachment's addresses, then its port is bound.

use crate::config::Plan;
use crate::wanted::Wanted;
use kernel::rtnl::Rtnl;
use spec::error::Result;
use spec::request::Add;
use spec::result::Success;
use steps::label::Label;
use steps::undo::Undo;
use steps::{anti_spoof, chained, forward};

pub(crate) fn add(call: &Add) -> Result<Success> {
    let plan = Plan::new(&call.config)?;
    let result = chained::prev_result(&call.config)?;
    let wanted = Wanted::new(&plan, &call.config, &call.attachment, &call.netns, None)?;
    let label = Label::new(&call.config, &call.attachment);
    let mut undo = Undo::new();
    if !wanted.forward.addresses.is_empty() || wanted.forward.ingress.is_some() {
        undo.track("forwarding rules", || forward::remove(&label));
        forward::ensure(&label, &wanted.forward)?;
    }
    if let Some(guard) = &wanted.guard {
        undo.track("bind the port", || anti_spoof::remove(&label));
        anti_spoof::ensure(&label, guard)?;
        wanted.bridge.map_or(Ok(()), |bridge| anti_spoof::seal(&mut Rtnl::open()?, bridge))?;
    }
    undo.commit();
    Ok(result.clone())
}
