//! CHECK: everything that ADD made is there, for what `prevResult` says; nothing is changed.

use crate::config::Plan;
use crate::wanted::Wanted;
use spec::error::{Error, Result};
use spec::request::Check;
use steps::label::Label;
use steps::{anti_spoof, chained, forward};

pub(crate) fn check(call: &Check) -> Result<()> {
    let plan = Plan::new(&call.config)?;
    let label = Label::new(&call.config, &call.attachment);
    let written = forward::recorded(&label)?.map(|record| record.backend);
    let wanted = Wanted::new(&plan, &call.config, &call.attachment, &call.netns, written)?;
    forward::check(&label, &wanted.forward)?;
    let Some(now) = &wanted.guard else { return Ok(()) };
    let guard = anti_spoof::recorded(&label)?
        .ok_or_else(|| Error::internal("antiSpoof: the attachment's port was never bound; DEL and ADD it"))?;
    let result = chained::prev_result(&call.config)?;
    let own = chained::hosts(&chained::addresses(&call.attachment, result));
    guard.covers(now, &own)?;
    anti_spoof::check(&label, &guard)
}
