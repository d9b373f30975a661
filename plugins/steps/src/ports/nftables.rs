//! Port mappings through nftables.
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

pub(super) fn deletions(_nft: &mut Nft, _label: &Label, _known: Option<&Ports>) -> Result<Vec<Request>> {
    Ok(Vec::new())
}

pub(super) fn stale_deletions(_nft: &mut Nft, _stale: &Stale<'_>) -> Result<Vec<Request>> {
    Ok(Vec::new())
}

pub(super) fn available() -> Result<()> {
    Nft::open()?.tables()?;
    Ok(())
}
