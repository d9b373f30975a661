//! The tables of ours in nf_tables. Several steps share them; nobody deletes them.

use kernel::error::Errno;
use kernel::nft::{Family, Table};
use spec::error::Error;

/// Everything of ours for IP packets.
pub(crate) const INET: Table<'static> = Table::new(Family::Inet, "tidewater");
/// Everything of ours for ARP that the host takes itself.
pub(crate) const ARP: Table<'static> = Table::new(Family::Arp, "tidewater");
/// Everything of ours for frames that cross a bridge.
pub(crate) const BRIDGE: Table<'static> = Table::new(Family::Bridge, "tidewater");

/// The error with what it means: of a table for bridges the kernel only says "not supported".
pub(crate) fn no_bridges(error: kernel::error::Error) -> Error {
    let unknown = [Errno::OPNOTSUPP, Errno::AFNOSUPPORT].contains(&error.errno());
    let error = Error::from(error);
    if !unknown {
        return error;
    }
    error.with_details("this kernel has no nf_tables for bridges (CONFIG_NF_TABLES_BRIDGE)")
}
