//! What the reference plugins' nftables backend left for a container.

use crate::label::Label;
use kernel::nft::{Family, Nft, Request, Table};
use spec::error::Result;

const TABLES: [Table<'static>; 2] =
    [Table::new(Family::Ip, "cni_hostport"), Table::new(Family::Ip6, "cni_hostport")];

/// The deletions of the container's rules in the reference plugins' tables.
///
/// Their comment is the container id, without network or interface. So the first DEL of a container on several
/// networks removes its mappings of all of them, as the reference plugins' own DEL does; and GC, which speaks for one
/// network, cannot tell which of these rules are of its network, and leaves them.
pub(super) fn deletions(nft: &mut Nft, label: &Label) -> Result<Vec<Request>> {
    let (_, container, _) = label.names();
    let mut deletions = Vec::new();
    for table in TABLES {
        deletions.extend(nft.rules_by_comment(table, |comment| comment == container)?);
    }
    Ok(deletions)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::ports::lab::{host, run};

    #[test]
    #[ignore = "needs root"]
    fn rules_with_the_container_for_a_comment_go_and_others_stay() {
        host(|| {
            for (table, address) in [("ip", "10.1.0.5:80"), ("ip6", "[fd00::5]:80")] {
                run(&format!("nft add table {table} cni_hostport"));
                run(&format!("nft add chain {table} cni_hostport hostports"));
                for container in ["abc123", "abc1234"] {
                    run(&format!(
                        "nft add rule {table} cni_hostport hostports tcp dport 8080 dnat to {address} comment {container}"
                    ));
                }
            }
            let label = Label::of(&"mynet".parse().unwrap(), "abc123", "eth0");
            let mut nft = Nft::open().unwrap();
            let deletions = deletions(&mut nft, &label).unwrap();
            assert_eq!(nft.remove(deletions), Ok(2));
            for table in ["ip", "ip6"] {
                let left = run(&format!("nft list table {table} cni_hostport"));
                assert!(left.contains("\"abc1234\"") && !left.contains("\"abc123\""), "{left}");
            }
        });
    }
}
