//! The packet filter's ruleset: opened where the kernel has one, rid of what carries a mark, let go without a wait.

use crate::label::Label;
use kernel::detach::close_later;
use kernel::error::Errno;
use kernel::nft::{Element, ElementFound, Nft, Request, Set};
use spec::error::Result;

/// `None` where this kernel has no nf_tables: then there is nothing to remove either.
///
/// # Errors
/// The process has no descriptor left.
pub fn open_if_supported() -> Result<Option<Nft>> {
    match Nft::open() {
        Ok(nft) => Ok(Some(nft)),
        Err(error) if error.errno() == Errno::PROTONOSUPPORT => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Removes all of it by one transaction, and closes the socket.
///
/// # Errors
/// The kernel refused; what is gone already is no error.
pub fn remove(mut nft: Nft, deletions: Vec<Request>) -> Result<()> {
    if !deletions.is_empty() {
        nft.remove(deletions)?;
        without_waiting(nft);
    }
    Ok(())
}

/// Closes the socket. The last close of one after a deletion waits 4 to 30 ms for RCU: a helper process does that.
pub(crate) fn without_waiting(nft: Nft) {
    close_later(nft);
}

/// Whether an element that was looked up is there and carries the attachment's mark.
pub(crate) fn is_marked(found: Option<&ElementFound>, label: &Label) -> bool {
    label.is_on(found.and_then(|found| found.comment.as_deref()))
}

/// The deletions of those elements of the set that were found and whose mark is chosen.
pub(crate) fn deletions(
    set: Set<'_>,
    found: impl IntoIterator<Item = ElementFound>,
    chosen: impl Fn(&str) -> bool,
) -> Vec<Request> {
    let chosen = found.into_iter().filter(|found| found.comment.as_deref().is_some_and(&chosen));
    let elements: Vec<Element<'_>> = chosen.map(|found| Element::new(found.key)).collect();
    set.delete_elements(&elements)
}
