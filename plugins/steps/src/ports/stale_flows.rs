//! Connections that a change of mappings leaves behind: UDP has no end that would tell the kernel to forget them.
//!
//! A client that keeps sending from one port keeps its entry in the kernel's table of connections, and is led where
//! the rules said when the entry was made. Failures are told on stderr and are no error: the mappings stand.

use super::{Mapping, Ports, Protocol, Side};
use kernel::addr;
use kernel::conntrack::{Conntrack, Filter, Flow, Tuple};
use kernel::rtnl::Rtnl;
use spec::error::Result;
use std::net::IpAddr;

/// Forgets what goes to a mapped port of this host and is not led to the container yet. What containers send to
/// the same port of other hosts stays.
pub(super) fn end_misled(ports: &Ports) {
    tell(try_end_misled(ports));
}

/// Forgets what the mappings led to the container.
pub(super) fn end_all(ports: &Ports) {
    tell(try_end_all(ports));
}

fn tell(outcome: Result<()>) {
    if let Err(error) = outcome {
        eprintln!("port mappings: UDP connections may go where they went before: {error}");
    }
}

fn try_end_misled(ports: &Ports) -> Result<()> {
    for (side, mut conntrack) in sides_with_udp(ports)? {
        let mut flows = conntrack.list(filter(side))?;
        flows.retain(|flow| {
            goes_to_mapped_port(side, &flow.original) && !is_led(side, &flow.original, &flow.reply)
        });
        if !flows.is_empty() {
            let own = own_addresses()?;
            flows.retain(|flow| goes_to_mapping(side, &flow.original, &own));
        }
        forget(&mut conntrack, &flows)?;
    }
    Ok(())
}

fn try_end_all(ports: &Ports) -> Result<()> {
    for (side, mut conntrack) in sides_with_udp(ports)? {
        let mut flows = conntrack.list(filter(side))?;
        flows.retain(|flow| is_led(side, &flow.original, &flow.reply));
        forget(&mut conntrack, &flows)?;
    }
    Ok(())
}

fn forget(conntrack: &mut Conntrack, flows: &[Flow]) -> Result<()> {
    for flow in flows {
        conntrack.remove(flow)?;
    }
    Ok(())
}

/// Each with a socket. Nothing is opened where there are none.
fn sides_with_udp(ports: &Ports) -> Result<Vec<(&Side, Conntrack)>> {
    let mut sides = Vec::new();
    for side in ports.sides.iter().filter(|side| udp(side).next().is_some()) {
        sides.extend(Conntrack::open()?.map(|conntrack| (side, conntrack)));
    }
    Ok(sides)
}

fn udp(side: &Side) -> impl Iterator<Item = &Mapping> {
    side.mappings.iter().filter(|mapping| mapping.protocol == Protocol::Udp)
}

/// One list for all mappings: of their port where they have but one.
fn filter(side: &Side) -> Filter {
    let mut ports = udp(side).flat_map(|mapping| mapping.host.each());
    let (first, second) = (ports.next(), ports.next());
    let v6 = side.container.addr().is_ipv6();
    Filter { v6, protocol: Protocol::Udp.number(), dport: first.filter(|_| second.is_none()) }
}

fn goes_to_mapped_port(side: &Side, original: &Tuple) -> bool {
    udp(side).any(|mapping| has_port(mapping, original.dport))
}

fn has_port(mapping: &Mapping, port: u16) -> bool {
    (mapping.host.first..=mapping.host.last()).contains(&port)
}

/// Whether the answers come from where a mapping of this port leads.
fn is_led(side: &Side, original: &Tuple, reply: &Tuple) -> bool {
    reply.src == side.container.addr()
        && udp(side).flat_map(Mapping::pairs).any(|pair| pair == (original.dport, reply.sport))
}

fn goes_to_mapping(side: &Side, original: &Tuple, own: &[IpAddr]) -> bool {
    udp(side).filter(|mapping| has_port(mapping, original.dport)).any(|mapping| match mapping.address {
        Some(address) => original.dst == address,
        None => is_loopback(original.dst) || own.contains(&original.dst),
    })
}

/// All of 127.0.0.0/8 is this host, though lo has but one address of it.
fn is_loopback(address: IpAddr) -> bool {
    address.is_loopback()
}

fn own_addresses() -> Result<Vec<IpAddr>> {
    let found = addr::list_all(&mut Rtnl::open()?)?;
    Ok(found.iter().map(|found| found.net.addr()).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::ports::lab::{container, host, mapping, ports, run};
    use std::net::UdpSocket;

    fn side(mappings: &[&str]) -> Side {
        ports(&[("10.1.0.5/24", mappings)]).sides.remove(0)
    }

    fn tuple(src: &str, dst: &str) -> Tuple {
        let ends = |text: &str| text.parse::<std::net::SocketAddr>().unwrap();
        let (src, dst) = (ends(src), ends(dst));
        Tuple { src: src.ip(), sport: src.port(), dst: dst.ip(), dport: dst.port() }
    }

    #[test]
    fn one_port_is_asked_for_by_itself_and_many_by_one_question() {
        let port = |mappings: &[&str]| filter(&side(mappings)).dport;
        assert_eq!(port(&["udp 53 1053", "tcp 80 8080"]), Some(53));
        assert_eq!(port(&["udp 53 1053", "udp 54 1054"]), None);
        assert_eq!(port(&["udp 53-54 1053"]), None);
    }

    #[test]
    fn a_connection_is_led_when_its_answers_come_from_the_mapped_port() {
        let side = side(&["udp 53-54 1053"]);
        let to = |dst| tuple("192.0.2.9:4000", dst);
        let from = |src| tuple(src, "192.0.2.9:4000");
        assert!(is_led(&side, &to("192.0.2.1:54"), &from("10.1.0.5:1054")));
        assert!(!is_led(&side, &to("192.0.2.1:54"), &from("10.1.0.5:1053")));
        assert!(!is_led(&side, &to("192.0.2.1:54"), &from("10.1.0.4:1054")));
    }

    #[test]
    fn only_what_goes_to_this_host_goes_to_a_mapping() {
        let side = side(&["udp 53 1053", "udp@192.0.2.7 54 1054"]);
        let own = ["192.0.2.1".parse().unwrap()];
        let goes = |dst| goes_to_mapping(&side, &tuple("10.1.0.9:4000", dst), &own);
        assert!(goes("192.0.2.1:53") && goes("127.3.2.1:53") && goes("192.0.2.7:54"));
        assert!(!goes("8.8.8.8:53"), "of another host");
        assert!(!goes("192.0.2.1:54") && !goes("127.0.0.1:54"), "at another address");
        assert!(!goes("192.0.2.1:55"), "of another port");
    }

    #[test]
    fn without_udp_nothing_is_opened() {
        assert!(sides_with_udp(&ports(&[("10.1.0.5/24", &["tcp 80 8080"])])).unwrap().is_empty());
    }

    /// Ports that connections were made to, by where they lead: `5300 -> 10.1.0.5:53`.
    fn tracked() -> Vec<String> {
        let filter = Filter { v6: false, protocol: 17, dport: None };
        let flows = Conntrack::open().unwrap().unwrap().list(filter).unwrap();
        let words = |flow: &Flow| {
            let Tuple { dst, dport, .. } = flow.original;
            format!("{dst}:{dport} -> {}:{}", flow.reply.src, flow.reply.sport)
        };
        let mut tracked: Vec<String> = flows.iter().map(words).collect();
        tracked.sort();
        tracked
    }

    /// Connections are tracked only where a rule asks for that.
    fn track() {
        run("nft add table ip t");
        run("nft add chain ip t output { type nat hook output priority -100 ; }");
        run("nft add rule ip t output ct state new counter");
    }

    fn send(destinations: &[&str]) {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        for destination in destinations {
            socket.send_to(b"x", destination).unwrap();
        }
    }

    #[test]
    #[ignore = "needs root"]
    fn after_add_a_client_is_led_to_the_container_and_after_del_not_any_more() {
        host(|| {
            container("10.1.0.1/24");
            let ports = ports(&[("10.1.0.5/24", &["udp 5300 53"])]);
            track();
            send(&["10.1.0.1:5300", "127.0.0.1:5300", "10.1.0.9:5300", "10.1.0.1:5301"]);
            end_misled(&ports);
            let others = ["10.1.0.1:5301 -> 10.1.0.1:5301", "10.1.0.9:5300 -> 10.1.0.9:5300"];
            assert_eq!(tracked(), others, "what goes to the mapping is forgotten, nothing else");

            run("nft add rule ip t output ip daddr 10.1.0.1 udp dport 5300 dnat to 10.1.0.5:53");
            send(&["10.1.0.1:5300"]);
            end_misled(&ports);
            assert!(tracked().contains(&"10.1.0.1:5300 -> 10.1.0.5:53".to_owned()), "led there is led right");

            end_all(&ports);
            assert_eq!(tracked(), others);
        });
    }

    #[test]
    #[ignore = "needs root"]
    fn a_mapping_at_one_address_leaves_connections_to_others_alone() {
        host(|| {
            container("10.1.0.1/24");
            track();
            send(&["10.1.0.1:5300", "127.0.0.1:5300"]);
            end_misled(&ports(&[("10.1.0.5/24", &["udp@10.1.0.1 5300 53"])]));
            assert_eq!(tracked(), ["127.0.0.1:5300 -> 127.0.0.1:5300"]);
            assert_eq!(mapping("udp@10.1.0.1 5300 53").address, "10.1.0.1".parse().ok());
        });
    }
}
