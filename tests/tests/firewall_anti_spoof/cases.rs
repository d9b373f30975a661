//! What a hostile container sends, and what an honest one does.

use super::frames::{self, Frame};
use super::{FOREIGN, OWN, VICTIM};
use std::net::Ipv6Addr;

/// The name of each frame that a hostile container sends and that must not get out, and the frame.
pub(crate) fn hostile(ips: &[Vec<String>; 2]) -> Vec<(&'static str, Frame)> {
    let v4 = |at: usize| ips[at][0].parse().unwrap();
    let v6 = |at: usize| ips[at][1].parse::<Ipv6Addr>().unwrap();
    let (own4, own6, foreign4, foreign6) =
        (v4(0), v6(0), [10, 77, 0, 200].into(), "fd77::200".parse().unwrap());
    let ll: Ipv6Addr = "fe80::ff:fe00:5".parse().unwrap();
    let foreign_ll: Ipv6Addr = "fe80::ff:fe00:42".parse().unwrap();
    let to = frames::Way { source: OWN, destination: VICTIM };
    let all = "ff02::1".parse().unwrap();
    let mut frames = vec![
        ("foreign MAC", frames::Way { source: FOREIGN, ..to }.ip(own4, v4(1), 17, &frames::udp(9, 9))),
        ("foreign IPv4 source", to.ip(foreign4, v4(1), 17, &frames::udp(9, 9))),
        ("the host's IPv4 source", to.ip([10, 77, 0, 1].into(), v4(1), 17, &frames::udp(9, 9))),
        ("no IPv4 source", to.ip([0; 4].into(), v4(1), 17, &frames::udp(9, 9))),
        ("answer of a DHCP server", to.ip(own4, v4(1), 17, &frames::udp(67, 68))),
        ("a later fragment of a foreign source", to.ip_fragment(foreign4, v4(1), 185, false)),
        ("ARP reply for the gateway", to.arp(2, OWN, [10, 77, 0, 1].into(), v4(1))),
        ("ARP request of a foreign address", to.arp(1, OWN, foreign4, v4(1))),
        ("ARP of a foreign MAC", to.arp(2, FOREIGN, own4, v4(1))),
        ("ARP probe for a foreign address", to.arp(1, OWN, [0; 4].into(), v4(1))),
        ("ARP reply of nobody", to.arp(2, OWN, [0; 4].into(), v4(1))),
        ("ARP with a short form", to.arp(2, OWN, own4, v4(1)).patched(18, &[6, 0])),
        ("foreign IPv6 source", to.ip6(foreign6, v6(1), 17, &frames::udp(9, 9))),
        ("foreign link-local source", to.ip6(foreign_ll, v6(1), 17, &frames::udp(9, 9))),
        ("no IPv6 source", to.ip6(Ipv6Addr::UNSPECIFIED, v6(1), 17, &frames::udp(9, 9))),
        ("answer of a DHCPv6 server", to.ip6(ll, v6(1), 17, &frames::udp(547, 546))),
        ("advertisement of a foreign address", to.icmp6(own6, v6(1), &frames::advert(foreign6, Some(OWN)))),
        ("advertisement with a foreign MAC", to.icmp6(own6, v6(1), &frames::advert(own6, Some(FOREIGN)))),
        (
            "solicitation with a foreign MAC",
            to.icmp6(own6, v6(1), &frames::solicit(v6(1), Some((1, FOREIGN)))),
        ),
        (
            "solicitation of nobody for a foreign address",
            to.icmp6(Ipv6Addr::UNSPECIFIED, all, &frames::solicit(v6(1), None)),
        ),
        ("router advertisement", to.icmp6(ll, all, &frames::plain(134, 12))),
        ("redirect", to.icmp6(ll, v6(1), &frames::plain(137, 36))),
        ("query of a multicast router", to.icmp6(ll, all, &frames::plain(130, 20))),
        ("tagged frame", to.ip(own4, v4(1), 17, &frames::udp(9, 9)).tagged(1)),
        ("twice tagged frame", to.ip(own4, v4(1), 17, &frames::udp(9, 9)).tagged(1).tagged(2)),
        ("LLC frame", to.other(0x0026, &[0x42; 46])),
        ("LLDP", frames::Way { destination: [1, 0x80, 0xc2, 0, 0, 3], ..to }.other(0x88cc, &[0; 46])),
        ("unknown protocol", to.other(0x88b5, &[0; 46])),
    ];
    let advert = frames::checked(own6, v6(1), &frames::advert(foreign6, Some(OWN)));
    let router = frames::checked(ll, all, &frames::plain(134, 12));
    for (name, next, options) in [
        ("behind destination options", 60, &[58, 0, 1, 4, 0, 0, 0, 0][..]),
        ("behind hop-by-hop options", 0, &[58, 0, 1, 4, 0, 0, 0, 0][..]),
        ("in an atomic fragment", 44, &[58, 0, 0, 0, 0, 0, 0, 9][..]),
        ("in a first fragment", 44, &[58, 0, 0, 1, 0, 0, 0, 9][..]),
    ] {
        let behind = |payload: &[u8]| [options, payload].concat();
        frames.push((
            Box::leak(format!("advertisement {name}").into_boxed_str()),
            to.ip6(own6, v6(1), next, &behind(&advert)),
        ));
        frames.push((
            Box::leak(format!("router advertisement {name}").into_boxed_str()),
            to.ip6(ll, all, next, &behind(&router)),
        ));
    }
    let cut = [60, 0, 0, 1, 0, 0, 0, 9, 58, 3, 1, 4, 0, 0, 0, 0];
    frames.push(("a first fragment without the ICMPv6 header", to.ip6(own6, v6(1), 44, &cut)));
    frames.push((
        "a first fragment of UDP without its ports",
        to.ip6(own6, v6(1), 44, &[60, 0, 0, 1, 0, 0, 0, 9, 17, 3, 1, 4, 0, 0, 0, 0]),
    ));
    frames
}

/// The same for what may leave.
pub(crate) fn harmless(ips: &[Vec<String>; 2]) -> Vec<(&'static str, Frame)> {
    let v4 = |at: usize| ips[at][0].parse().unwrap();
    let v6 = |at: usize| ips[at][1].parse::<Ipv6Addr>().unwrap();
    let to = frames::Way { source: OWN, destination: VICTIM };
    let everybody = frames::Way { destination: [255; 6], ..to };
    let (own4, own6, nobody) = (v4(0), v6(0), Ipv6Addr::UNSPECIFIED);
    let ll: Ipv6Addr = "fe80::ff:fe00:5".parse().unwrap();
    vec![
        ("UDP", to.ip(own4, v4(1), 17, &frames::udp(9, 9))),
        ("a later fragment", to.ip_fragment(own4, v4(1), 185, false)),
        ("a DHCP client's question", everybody.ip([0; 4].into(), [255; 4].into(), 17, &frames::udp(68, 67))),
        ("ARP request", to.arp(1, OWN, own4, v4(1))),
        ("ARP probe", to.arp(1, OWN, [0; 4].into(), own4)),
        ("UDP over IPv6", to.ip6(own6, v6(1), 17, &frames::udp(9, 9))),
        ("TCP from the link-local address", to.ip6(ll, v6(1), 6, &[0; 20])),
        ("advertisement", to.icmp6(own6, v6(1), &frames::advert(own6, Some(OWN)))),
        ("advertisement without a MAC", to.icmp6(own6, v6(1), &frames::advert(own6, None))),
        ("solicitation", to.icmp6(own6, v6(1), &frames::solicit(v6(1), Some((1, OWN))))),
        ("duplicate address detection", to.icmp6(nobody, v6(1), &frames::solicit(own6, None))),
        (
            "duplicate address detection with a nonce",
            to.icmp6(nobody, v6(1), &frames::solicit(own6, Some((14, FOREIGN)))),
        ),
        ("report of a group", to.icmp6(nobody, v6(1), &frames::plain(143, 4))),
        ("router solicitation", to.icmp6(ll, v6(1), &frames::plain(133, 4))),
        (
            "a later IPv6 fragment",
            to.ip6(own6, v6(1), 44, &[58, 0, 5, 185, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8]),
        ),
    ]
}
