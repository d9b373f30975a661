//! ADD: the ports that the runtime asks for lead to the container; the result is passed on.

use crate::config::Plan;
use spec::error::Result;
use spec::request::Add;
use spec::result::Success;
use steps::label::Label;
use steps::ports::{self, Unrecorded};
use steps::undo::Undo;

pub(crate) fn add(call: &Add) -> Result<Success> {
    let plan = Plan::new(&call.config, &call.attachment)?;
    if let Some(wanted) = &plan.ports {
        let label = Label::new(&call.config, &call.attachment);
        let mut undo = Undo::new();
        let mark = label.clone();
        undo.track("map ports", move || ports::remove(&mark, Unrecorded::Known(wanted)));
        ports::ensure(&label, wanted)?;
        undo.commit();
    }
    Ok(plan.result.clone())
}
