//! CHECK: every mapping stands as it was made; nothing is changed.

use crate::config::Plan;
use spec::error::Result;
use spec::request::Check;
use steps::label::Label;
use steps::ports;

pub(crate) fn check(call: &Check) -> Result<()> {
    call.config.required_prev_result()?;
    match Plan::new(&call.config, &call.attachment)?.ports {
        Some(wanted) => ports::check(&Label::new(&call.config, &call.attachment), &wanted),
        None => Ok(()),
    }
}
