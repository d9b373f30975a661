//! STATUS: can the kernel limit rates?

use crate::config::Plan;
use kernel::link::ifb;
use kernel::rtnl::Rtnl;
use kernel::tc::tbf;
use spec::error::{Error, Result};
use spec::request::Status;

pub(crate) fn status(call: &Status) -> Result<()> {
    Plan::new(&call.config)?;
    let mut host = Rtnl::open()?;
    let missing = |what: &str| {
        Err(Error::not_available(format!("the kernel has no {what}: no container can be limited")))
    };
    let unknown = |error: kernel::Error| Error::not_available(error.to_string());
    if !tbf::is_supported(&mut host).map_err(unknown)? {
        return missing("token bucket filter (sch_tbf)");
    }
    if !ifb::is_supported(&mut host).map_err(unknown)? {
        return missing("intermediate functional block (ifb)");
    }
    Ok(())
}
