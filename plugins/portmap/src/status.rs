//! STATUS: would an ADD work now?

use crate::config::Keys;
use spec::error::Result;
use spec::request::Status;
use steps::ports;

pub(crate) fn status(call: &Status) -> Result<()> {
    ports::available(call.config.own::<Keys>()?.backend()?)
}
