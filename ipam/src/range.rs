//! Which addresses a network may hand out. Pure: no files, no clock.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::span::{Family, Span};

/// What is wrong with a range or a set of them, in the words of the reference where it has some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeError(String);

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RangeError {}

/// The addresses of one subnet from `start` to `end`, both included, without the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    subnet: IpNet,
    start: IpAddr,
    end: IpAddr,
    gateway: IpAddr,
}

/// What a configuration says about a range; all but the subnet has a default.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The subnet, by its network address.
    pub subnet: IpNet,
    /// First address; by default the network address + 1.
    pub start: Option<IpAddr>,
    /// Last address; by default the last of an IPv6 subnet, the last before the broadcast address of an IPv4
    /// one.
    pub end: Option<IpAddr>,
    /// The gateway, which may lie outside; by default the network address + 1.
    pub gateway: Option<IpAddr>,
}

impl Range {
    /// The range that the configuration means, if it can be one.
    pub fn new(limits: Limits) -> Result<Range, RangeError> {
        let subnet = allocatable(limits.subnet)?;
        let first = next_to(subnet.network());
        let range = Range {
            subnet,
            start: limits.start.map_or(first, |ip| ip.to_canonical()),
            end: limits.end.map_or(last_of(subnet), |ip| ip.to_canonical()),
            gateway: limits.gateway.map_or(first, |ip| ip.to_canonical()),
        };
        range.inside("RangeStart", range.start)?;
        range.inside("RangeEnd", range.end)?;
        if range.start > range.end {
            return Err(RangeError(format!("RangeStart {} is after RangeEnd {}", range.start, range.end)));
        }
        Ok(range)
    }

    /// The prefix length that goes with each address of this range.
    pub fn prefix_len(&self) -> u8 {
        self.subnet.prefix_len()
    }

    /// The address of the router; never handed out.
    pub fn gateway(&self) -> IpAddr {
        self.gateway
    }

    /// Whether the address lies between start and end; the gateway may be one of them.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.span().contains(ip)
    }

    /// All addresses from start to end.
    pub fn span(&self) -> Span {
        Span::between(self.start, self.end)
    }

    fn overlaps(&self, other: &Range) -> bool {
        self.span().overlaps(other.span())
    }

    fn inside(&self, what: &str, ip: IpAddr) -> Result<(), RangeError> {
        if self.subnet.contains(&ip) {
            return Ok(());
        }
        Err(RangeError(format!("{what} {ip} not in network {}", self.subnet)))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

/// Pools that together give one address to each attachment; not empty, of one family, without overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSet(Vec<Range>);

impl RangeSet {
    /// The set of these ranges, if they go together.
    pub fn new(ranges: Vec<Range>) -> Result<RangeSet, RangeError> {
        let Some(first) = ranges.first() else { return Err(RangeError("empty range set".into())) };
        if ranges.iter().any(|range| range.span().family != first.span().family) {
            return Err(RangeError("mixed address families".into()));
        }
        for (i, range) in ranges.iter().enumerate() {
            if let Some(other) = ranges[i + 1..].iter().find(|other| range.overlaps(other)) {
                return Err(RangeError(format!("subnets {range} and {other} overlap")));
            }
        }
        Ok(RangeSet(ranges))
    }

    /// The family of all its addresses.
    pub fn family(&self) -> Family {
        self.0[0].span().family
    }

    /// The range that an address lies in.
    pub fn range_of(&self, ip: IpAddr) -> Option<&Range> {
        self.0.iter().find(|range| range.contains(ip))
    }

    /// Whether an address is the gateway of one of the ranges.
    pub fn is_gateway(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|range| range.gateway == ip)
    }

    /// Whether an address could belong to either set.
    pub fn overlaps(&self, other: &RangeSet) -> bool {
        self.0.iter().any(|range| other.0.iter().any(|theirs| range.overlaps(theirs)))
    }

    /// Every address that can be handed out, in the order in which they are tried: round robin, from the one
    /// after `last` (if that is of this set) through all ranges until `last` itself comes again; no gateways.
    pub fn order(&self, last: Option<IpAddr>) -> Vec<Span> {
        let at = last.and_then(|ip| Some((ip, self.0.iter().position(|range| range.contains(ip))?)));
        let spans = match at {
            None => self.0.iter().map(Range::span).collect(),
            Some((ip, at)) => self.circle(ip, at),
        };
        self.0.iter().fold(spans, |spans, range| {
            spans.into_iter().flat_map(|span| span.without(range.gateway)).collect()
        })
    }

    /// All ranges once around, from the address after `last`, which lies in range `at`.
    fn circle(&self, last: IpAddr, at: usize) -> Vec<Span> {
        let (until, after) = self.0[at].span().split_after(last);
        let others = self.0[at + 1..].iter().chain(&self.0[..at]).map(Range::span);
        after.into_iter().chain(others).chain([until]).collect()
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(Range::to_string).collect();
        f.write_str(&texts.join(","))
    }
}

/// A subnet given by its network address, with room for a gateway and one address at least.
fn allocatable(subnet: IpNet) -> Result<IpNet, RangeError> {
    if subnet.prefix_len() > subnet.max_prefix_len() - 2 {
        return Err(RangeError(format!("Network {subnet} too small to allocate from")));
    }
    if subnet.addr().to_canonical().is_ipv4() != subnet.addr().is_ipv4() {
        return Err(RangeError("IPNet IP and Mask version mismatch".into()));
    }
    if subnet.addr() != subnet.network() {
        let (length, network) = (subnet.prefix_len(), subnet.network());
        return Err(RangeError(format!(
            "Network has host bits set. For a subnet mask of length {length} the network address is {network}"
        )));
    }
    Ok(subnet)
}

fn next_to(network: IpAddr) -> IpAddr {
    match network {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() | 1).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() | 1).into(),
    }
}

fn last_of(subnet: IpNet) -> IpAddr {
    match subnet.broadcast() {
        IpAddr::V4(broadcast) => Ipv4Addr::from_bits(broadcast.to_bits() & !1).into(),
        IpAddr::V6(last) => last.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;
    use crate::span::address;

    #[test]
    fn defaults_leave_out_network_and_broadcast() {
        assert_eq!(range("10.1.0.0/24", "", "", "").to_string(), "10.1.0.1-10.1.0.254");
        assert_eq!(range("10.1.0.0/24", "", "", "").gateway(), ip("10.1.0.1"));
        assert_eq!(range("fd00::/126", "", "", "").to_string(), "fd00::1-fd00::3");
        assert_eq!(range("255.255.255.252/30", "", "", "").to_string(), "255.255.255.253-255.255.255.254");
    }

    #[test]
    fn ranges_that_make_no_sense_are_refused_in_the_words_of_the_reference() {
        let cases = [
            ("10.1.0.0/31", "", "", "Network 10.1.0.0/31 too small to allocate from"),
            ("fd00::/127", "", "", "Network fd00::/127 too small to allocate from"),
            (
                "10.1.2.3/24",
                "",
                "",
                "Network has host bits set. For a subnet mask of length 24 the network address is 10.1.2.0",
            ),
            ("10.1.0.0/24", "10.2.0.5", "", "RangeStart 10.2.0.5 not in network 10.1.0.0/24"),
            ("10.1.0.0/24", "", "fd00::5", "RangeEnd fd00::5 not in network 10.1.0.0/24"),
            ("10.1.0.0/24", "10.1.0.9", "10.1.0.8", "RangeStart 10.1.0.9 is after RangeEnd 10.1.0.8"),
            ("::ffff:10.1.0.0/120", "", "", "IPNet IP and Mask version mismatch"),
        ];
        for (subnet, start, end, text) in cases {
            assert_eq!(try_range(subnet, start, end, "").unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn sets_that_make_no_sense_are_refused_in_the_words_of_the_reference() {
        let v4 = || range("10.1.0.0/24", "", "", "");
        let cases = [
            (vec![], "empty range set"),
            (vec![v4(), range("fd00::/64", "", "", "")], "mixed address families"),
            (
                vec![v4(), range("10.1.0.0/16", "", "", "")],
                "subnets 10.1.0.1-10.1.0.254 and 10.1.0.1-10.1.255.254 overlap",
            ),
        ];
        for (ranges, text) in cases {
            assert_eq!(RangeSet::new(ranges).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn the_order_is_once_around_from_the_one_after_the_last() {
        let set = RangeSet::new(vec![
            range("10.1.0.0/29", "", "", ""),
            range("10.2.0.0/29", "10.2.0.2", "10.2.0.4", "10.2.0.3"),
        ])
        .unwrap();
        assert_eq!(walk(&set, None), "1.2 1.3 1.4 1.5 1.6 2.2 2.4");
        assert_eq!(walk(&set, Some("10.1.0.4")), "1.5 1.6 2.2 2.4 1.2 1.3 1.4");
        assert_eq!(walk(&set, Some("10.2.0.4")), "1.2 1.3 1.4 1.5 1.6 2.2 2.4");
        assert_eq!(walk(&set, Some("10.2.0.2")), "2.4 1.2 1.3 1.4 1.5 1.6 2.2");
        assert_eq!(walk(&set, Some("10.3.0.1")), walk(&set, None));
    }

    #[test]
    fn the_whole_of_ipv6_can_be_walked() {
        let set = RangeSet::new(vec![range("::/0", "", "", "::1")]).unwrap();
        let order = set.order(Some(address(Family::V6, u128::MAX)));
        assert_eq!(order.iter().map(|span| span.size()).fold(0, u128::saturating_add), u128::MAX - 1);
    }

    fn walk(set: &RangeSet, last: Option<&str>) -> String {
        let ips = set.order(last.map(ip)).into_iter().flat_map(|span| {
            (span.first..=span.last).map(move |number| address(span.family, number).to_string())
        });
        ips.map(|ip| ip.replace("10.", "").replacen(".0", "", 1)).collect::<Vec<_>>().join(" ")
    }

    fn range(subnet: &str, start: &str, end: &str, gateway: &str) -> Range {
        try_range(subnet, start, end, gateway).unwrap()
    }

    fn try_range(subnet: &str, start: &str, end: &str, gateway: &str) -> Result<Range, RangeError> {
        Range::new(Limits {
            subnet: subnet.parse().unwrap(),
            start: start.parse().ok(),
            end: end.parse().ok(),
            gateway: gateway.parse().ok(),
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
