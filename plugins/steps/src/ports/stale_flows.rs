//! Connections that a change of mappings leaves behind: UDP has no end that would tell the kernel to forget them.

use super::Ports;
use spec::error::Result;

/// Forgets what goes to a mapped port and is not led to the container yet.
pub(super) fn end_misled(_ports: &Ports) -> Result<()> {
    Ok(())
}

/// Forgets what the mappings led to the container.
pub(super) fn end_all(_ports: &Ports) -> Result<()> {
    Ok(())
}
