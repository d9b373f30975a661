//! The two tables of ours in nf_tables. Several steps share them; nobody deletes them.

use kernel::nft::{Family, Table};

/// Everything of ours for IP packets.
pub(crate) const INET: Table<'static> = Table::new(Family::Inet, "tidewater");
/// Everything of ours for frames that cross a bridge.
pub(crate) const BRIDGE: Table<'static> = Table::new(Family::Bridge, "tidewater");
