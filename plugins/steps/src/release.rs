//! Lets go of a netfilter socket after a deletion without sitting out the kernel's grace period.

use kernel::detach::detached;
use kernel::nft::Nft;
use std::os::fd::AsFd;

/// Closes the socket. The last close of one after a deletion waits 4 to 30 ms for RCU: a helper process holds it
/// open and waits instead. Where no helper can be had, the wait is sat out here.
pub fn without_waiting(nft: Nft) {
    // Its failure has no consequence but the wait.
    let _ = detached(&[nft.as_fd()], || {});
    drop(nft);
}
