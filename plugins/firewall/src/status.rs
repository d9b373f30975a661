//! STATUS: would an ADD work now?

use crate::config::Plan;
use spec::error::{Error, Result};
use spec::request::Status;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use steps::{anti_spoof, forward};

pub(crate) fn status(call: &Status) -> Result<()> {
    let plan = Plan::new(&call.config)?;
    let any = [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
    let backend =
        forward::choose(&plan.backend, &any).map_err(|error| Error::not_available(error.to_string()))?;
    forward::available(backend)?;
    if plan.anti_spoof { anti_spoof::available() } else { Ok(()) }
}
