//! What other programs left in nf_tables is found and removed: chains of iptables-nft, rules by their comments.

use crate::lab;
use kernel::nft::{Family, Nft, Table};
use rustix::io::Errno;

const CHAIN: &str = "CNI-70a29d9dc18bc4d652ea5d59";

#[test]
#[ignore = "needs root"]
fn a_chain_of_iptables_goes_with_the_rules_that_jump_to_it() {
    lab::alone("interop::a_chain_of_iptables_goes_with_the_rules_that_jump_to_it", || {
        for (command, family, all, one, many) in [
            ("iptables", Family::Ip, "10.9.0.0/16", "10.9.0.2/32", "224.0.0.0/4"),
            ("ip6tables", Family::Ip6, "fd00:9::/64", "fd00:9::2/128", "ff00::/8"),
        ] {
            let table = |line: &str| lab::run(&format!("{command} -w -t nat {line}"));
            table("-A POSTROUTING -s 192.0.2.1 -j RETURN".replace("192.0.2.1", one).as_str());
            let before = table("-S");
            for chain in [CHAIN, "CNI-other"] {
                table(&format!("-N {chain}"));
                table(&format!("-A {chain} -d {all} -j ACCEPT -m comment --comment name:{chain}"));
                table(&format!("-A {chain} ! -d {many} -j MASQUERADE"));
                table(&format!("-A POSTROUTING -s {one} -j {chain} -m comment --comment x"));
            }
            table(&format!("-A POSTROUTING -s {all} -j {CHAIN}"));
            let postrouting = Table::new(family, "nat").chain("POSTROUTING");
            let mut nft = Nft::open().unwrap();
            assert!(nft.remove_chain_and_jumps(postrouting, CHAIN).unwrap());
            assert!(!nft.remove_chain_and_jumps(postrouting, CHAIN).unwrap());
            assert!(!table("-S").contains(CHAIN));
            assert!(nft.remove_chain_and_jumps(postrouting, "CNI-other").unwrap());
            assert_eq!(table("-S"), before);
        }
    });
}

#[test]
#[ignore = "needs root"]
fn a_chain_that_somebody_else_jumps_to_is_left_and_said_to_be_busy() {
    lab::alone("interop::a_chain_that_somebody_else_jumps_to_is_left_and_said_to_be_busy", || {
        lab::nft(
            "table ip nat { chain POSTROUTING { type nat hook postrouting priority 100; }; chain a { }; chain b { jump a; }; }",
        );
        let mut nft = Nft::open().unwrap();
        let outcome = nft.remove_chain_and_jumps(Table::new(Family::Ip, "nat").chain("POSTROUTING"), "a");
        assert_eq!(outcome.unwrap_err().errno(), Errno::BUSY);
        assert!(lab::run("nft list ruleset").contains("jump a"));
    });
}

#[test]
#[ignore = "needs root"]
fn rules_go_by_the_beginning_of_their_comment() {
    lab::alone("interop::rules_go_by_the_beginning_of_their_comment", || {
        lab::nft(
            "table inet cni_plugins_masquerade {
                chain masq_checks {
                    ip saddr 10.9.0.2 ip daddr != 10.9.0.0/16 masquerade comment \"d2-eb, net: mynet, if: eth0, id: abc123\"
                    ip6 saddr fd00::2 ip6 daddr != fd00::/64 masquerade comment \"d2-eb, net: mynet, if: eth0, id: abc123\"
                    ip saddr 10.9.0.3 ip daddr != 10.9.0.0/16 masquerade comment \"d2-ff, net: mynet, if: eth0, id: other\"
                    counter
                }
                chain postrouting { type nat hook postrouting priority srcnat; goto masq_checks; }
            }",
        );
        let mut nft = Nft::open().unwrap();
        let table = Table::new(Family::Inet, "cni_plugins_masquerade");
        let mine = |comment: &str| comment.starts_with("d2-eb");
        assert_eq!(nft.remove_rules_by_comment(table, mine).unwrap(), 2);
        assert_eq!(nft.remove_rules_by_comment(table, mine).unwrap(), 0);
        let left = lab::run("nft list chain inet cni_plugins_masquerade masq_checks");
        assert!(left.contains("id: other") && left.contains("counter") && !left.contains("abc123"), "{left}");
    });
}

#[test]
#[ignore = "needs root"]
fn rules_by_comment_and_their_chains_go_in_one_transaction() {
    lab::alone("interop::rules_by_comment_and_their_chains_go_in_one_transaction", || {
        let name = "cni-br-iface-abc123-eth0";
        lab::nft(&format!(
            "table bridge nat {{
                chain {name}-mac {{ ether saddr 02:00:00:00:00:01 return comment \"macspoofchk-abc123-eth0\"; drop comment \"macspoofchk-abc123-eth0\"; }}
                chain {name} {{ jump {name}-mac comment \"macspoofchk-abc123-eth0\"; }}
                chain PREROUTING {{ type filter hook prerouting priority -300; iifname \"vethx\" jump {name} comment \"macspoofchk-abc123-eth0\"; }}
            }}"
        ));
        let mut nft = Nft::open().unwrap();
        let table = Table::new(Family::Bridge, "nat");
        let mac = format!("{name}-mac");
        let mut deletions =
            nft.rules_by_comment(table, |comment| comment == "macspoofchk-abc123-eth0").unwrap();
        deletions.extend([table.chain(name).delete(), table.chain(&mac).delete()]);
        assert_eq!(nft.remove(deletions.clone()).unwrap(), 6);
        assert_eq!(nft.remove(deletions).unwrap(), 0);
        let left = lab::run("nft list table bridge nat");
        assert_eq!(
            left.split_whitespace().collect::<Vec<_>>().join(" "),
            "table bridge nat { chain PREROUTING { type filter hook prerouting priority dstnat; policy accept; } }"
        );
    });
}
