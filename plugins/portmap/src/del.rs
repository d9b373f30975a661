//! DEL: what maps ports to the container goes. What it had is on record; the configuration counts where there is no
//! record, and where that says nothing either, its marks are looked for.

use crate::config::{Plan, asks_for_ports};
use spec::error::Result;
use spec::request::Del;
use steps::label::Label;
use steps::ports::{self, Unrecorded};

pub(crate) fn del(call: &Del) -> Result<()> {
    let label = Label::new(&call.config, &call.attachment);
    // A configuration that was made worse after the ADD must not keep a container from being deleted.
    let plan = Plan::new(&call.config, &call.attachment).ok().and_then(|plan| plan.ports);
    let unrecorded = match &plan {
        Some(ports) => Unrecorded::Known(ports),
        None if asks_for_ports(&call.config) => Unrecorded::Search,
        None => Unrecorded::Nothing,
    };
    ports::remove(&label, unrecorded)
}
