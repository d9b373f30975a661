//! Port mappings through iptables, in the very form of the reference plugins.

use super::Ports;
use crate::label::Label;
use crate::stale::Stale;
use kernel::nft::{Nft, Request};
use spec::error::{Error, Result};

pub(super) fn ensure(_label: &Label, _ports: &Ports) -> Result<()> {
    Err(Error::internal("not there yet"))
}

pub(super) fn check(_label: &Label, _ports: &Ports) -> Result<()> {
    Err(Error::internal("not there yet"))
}

pub(super) fn deletions(_nft: &mut Nft, _label: &Label) -> Result<Vec<Request>> {
    Ok(Vec::new())
}

pub(super) fn stale_deletions(_nft: &mut Nft, _stale: &Stale<'_>) -> Result<Vec<Request>> {
    Ok(Vec::new())
}

pub(super) fn remove_legacy(_label: &Label) -> Result<()> {
    Ok(())
}

pub(super) fn remove_stale_legacy(_stale: &Stale<'_>) -> Result<()> {
    Ok(())
}

pub(super) fn available() -> Result<()> {
    Err(Error::internal("not there yet"))
}
