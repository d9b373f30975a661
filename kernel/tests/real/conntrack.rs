//! Connections, listed and forgotten.

use super::lab::{fresh, run};
use kernel::conntrack::{Conntrack, Filter, Flow};
use std::net::UdpSocket;

const UDP: Filter = Filter { v6: false, protocol: 17, dport: None };

/// Runs `f` in a namespace that tracks connections, after these ports of its loopback each sent to each other.
fn after_datagrams<T>(from: &[&str], to: &[&str], f: impl FnOnce(&mut Conntrack) -> T) -> T {
    let track = |mut conntrack| {
        run("ip link set lo up");
        run("nft add table inet t");
        run("nft add chain inet t output { type nat hook output priority -100 ; }");
        run("nft add rule inet t output ct state new counter");
        run("nft add rule inet t output ip daddr 127.0.0.1 udp dport 5353 dnat ip to 127.0.0.1:9000");
        for source in from {
            let socket = UdpSocket::bind(source).unwrap();
            // Nobody listens: the ICMP error of the one before may come back.
            to.iter().for_each(|to| drop(socket.send_to(b"x", to)));
        }
        f(&mut conntrack)
    };
    fresh().run(|| track(Conntrack::open().unwrap().unwrap())).unwrap()
}

fn ends(flows: &[Flow]) -> Vec<(u16, u16, u16)> {
    let mut ends: Vec<_> =
        flows.iter().map(|flow| (flow.original.sport, flow.original.dport, flow.reply.sport)).collect();
    ends.sort_unstable();
    ends
}

#[test]
#[ignore = "needs root"]
fn what_is_listed_says_where_a_connection_was_led() {
    let from = ["127.0.0.1:40001", "127.0.0.1:40002"];
    after_datagrams(&from, &["127.0.0.1:5353", "127.0.0.1:5354"], |conntrack| {
        let all = conntrack.list(UDP).unwrap();
        let expected = [(40001, 5353, 9000), (40001, 5354, 5354), (40002, 5353, 9000), (40002, 5354, 5354)];
        assert_eq!(ends(&all), expected);
        let some = conntrack.list(Filter { dport: Some(5353), ..UDP }).unwrap();
        assert_eq!(ends(&some), [(40001, 5353, 9000), (40002, 5353, 9000)]);
        assert_eq!(conntrack.list(Filter { v6: true, ..UDP }).unwrap(), []);
        assert_eq!(conntrack.list(Filter { protocol: 6, ..UDP }).unwrap(), []);
    });
}

#[test]
#[ignore = "needs root"]
fn exactly_one_is_forgotten_and_only_once() {
    let from = ["127.0.0.1:40001", "127.0.0.1:40002"];
    after_datagrams(&from, &["127.0.0.1:5353", "127.0.0.1:5354"], |conntrack| {
        let all = conntrack.list(UDP).unwrap();
        let wanted = |flow: &&Flow| (flow.original.sport, flow.original.dport) == (40001, 5353);
        let flow = all.iter().find(wanted).unwrap();
        assert_eq!(conntrack.remove(flow), Ok(true));
        assert_eq!(conntrack.remove(flow), Ok(false));
        let left = conntrack.list(UDP).unwrap();
        assert_eq!(ends(&left), [(40001, 5354, 5354), (40002, 5353, 9000), (40002, 5354, 5354)]);
    });
}

#[test]
#[ignore = "needs root"]
fn ipv6_connections_are_forgotten_too() {
    after_datagrams(&["[::1]:40003"], &["[::1]:5354"], |conntrack| {
        let v6 = Filter { v6: true, ..UDP };
        let flows = conntrack.list(v6).unwrap();
        assert_eq!(ends(&flows), [(40003, 5354, 5354)]);
        assert_eq!(flows[0].original.dst.to_string(), "::1");
        assert_eq!(conntrack.remove(&flows[0]), Ok(true));
        assert_eq!(conntrack.list(v6).unwrap(), []);
    });
}

#[test]
#[ignore = "needs root"]
fn a_connection_in_a_zone_is_forgotten() {
    let in_a_zone = |conntrack: &mut Conntrack| {
        run("nft add chain inet t raw { type filter hook output priority -300 ; }");
        run("nft add rule inet t raw udp dport 5355 ct zone set 7");
        let socket = UdpSocket::bind("127.0.0.1:40004").unwrap();
        socket.send_to(b"x", "127.0.0.1:5355").unwrap();
        let flows = conntrack.list(UDP).unwrap();
        assert_eq!(ends(&flows), [(40004, 5355, 5355)]);
        assert_eq!(conntrack.remove(&flows[0]), Ok(true));
        assert_eq!(conntrack.list(UDP).unwrap(), []);
    };
    after_datagrams(&[], &[], in_a_zone);
}
