//! Lets go of a netfilter socket after a deletion without sitting out the kernel's grace period.

use kernel::detach::close_later;
use kernel::nft::Nft;

/// Closes the socket. The last close of one after a deletion waits 4 to 30 ms for RCU: a helper process does that.
pub fn without_waiting(nft: Nft) {
    close_later(nft);
}
