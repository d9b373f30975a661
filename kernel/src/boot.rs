//! Which boot this is.

use crate::error::Result;
use crate::sysctl;

/// A UUID that the kernel draws anew at each boot.
///
/// # Errors
/// `/proc` is not there.
pub fn boot_id() -> Result<String> {
    sysctl::get("kernel/random/boot_id")
}
