//! STATUS: would an ADD work now?

use crate::config::Plan;
use kernel::error::Errno;
use kernel::file;
use spec::error::{Error, Result};
use spec::request::Status;

pub(crate) fn status(call: &Status) -> Result<()> {
    let plan = Plan::of_network(call)?;
    match file::open_directory(&plan.data_dir) {
        Err(error) if error.errno() != Errno::NOENT => {
            Err(Error::not_available(format!("keep old values (dataDir): {error}")))
        }
        // An ADD makes it.
        _ => Ok(()),
    }
}
