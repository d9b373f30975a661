//! DEL: all that netlink removes by one transaction, then what is elsewhere, the records last.
//!
//! Neither namespace nor `prevResult` is needed: the records tell what was made, the marks whose it is. What the
//! reference plugin had left for the addresses of `prevResult` goes too.

use crate::config::Removal;
use crate::wanted;
use spec::error::Result;
use spec::request::Del;
use steps::best_effort::BestEffort;
use steps::label::Label;
use steps::{anti_spoof, forward, ruleset};

pub(crate) fn del(call: &Del) -> Result<()> {
    let label = Label::new(&call.config, &call.attachment);
    let mut effort = BestEffort::new();
    let keys = Removal::of(&call.config);
    let reported = call.config.prev_result.as_ref().map(wanted::addresses);
    let removal = forward::Removal::new(&label, reported.as_deref())?;
    effort.note(remove_rules(&label, &removal, &keys));
    let may_be_theirs = !removal.is_recorded() && reported.is_some();
    let zone = may_be_theirs.then(|| keys.zone()).flatten();
    effort.note(removal.elsewhere(zone.as_deref()));
    effort.finish()?;
    removal.forget()?;
    anti_spoof::forget(&label)
}

fn remove_rules(label: &Label, removal: &forward::Removal<'_>, keys: &Removal) -> Result<()> {
    let Some(mut nft) = ruleset::open_if_supported()? else { return Ok(()) };
    let mut deletions = removal.deletions(&mut nft)?;
    deletions.extend(anti_spoof::deletions(&mut nft, label, keys.anti_spoof)?);
    ruleset::remove(nft, deletions)
}
