//! STATUS: would an ADD work now?

use crate::config::Plan;
use spec::error::{Error, Result};
use spec::request::Status;
use steps::lease::Ipam;
use steps::masquerade;

pub(crate) fn status(call: &Status) -> Result<()> {
    let plan = Plan::new(&call.config)?;
    let ipam =
        Ipam::find(&plan.ipam, &call.caller).map_err(|error| Error::not_available(error.to_string()))?;
    ipam.status(call)?;
    plan.masquerade.map_or(Ok(()), masquerade::available)
}
