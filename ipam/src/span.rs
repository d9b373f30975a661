//! Addresses as numbers: runs of them can be counted and cut without walking through each one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which kind of address a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4: numbers below 2^32.
    V4,
    /// IPv6.
    V6,
}

/// The family and number of an address.
pub fn number(ip: IpAddr) -> (Family, u128) {
    match ip {
        IpAddr::V4(ip) => (Family::V4, u128::from(ip.to_bits())),
        IpAddr::V6(ip) => (Family::V6, ip.to_bits()),
    }
}

/// The address of a number; bits that the family has no room for are dropped.
pub fn address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::V4 => {
            let [.., a, b, c, d] = number.to_be_bytes();
            Ipv4Addr::new(a, b, c, d).into()
        }
        Family::V6 => Ipv6Addr::from_bits(number).into(),
    }
}

/// Neighbouring addresses, first and last included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The family of all of them.
    pub family: Family,
    /// The lowest.
    pub first: u128,
    /// The highest; not below `first`.
    pub last: u128,
}

impl Span {
    /// From one address to another of the same family that is not lower.
    pub fn between(first: IpAddr, last: IpAddr) -> Span {
        let (family, first) = number(first);
        Span { family, first, last: number(last).1 }
    }

    /// How many addresses; for the whole of IPv6 one less, as 2^128 does not fit.
    pub fn size(&self) -> u128 {
        (self.last - self.first).saturating_add(1)
    }

    /// Whether the address is one of them.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (family, number) = number(ip);
        family == self.family && (self.first..=self.last).contains(&number)
    }

    /// Whether some address is in both.
    pub fn overlaps(&self, other: Span) -> bool {
        self.family == other.family && self.first <= other.last && other.first <= self.last
    }

    /// What lies in both.
    pub fn intersection(&self, other: Span) -> Option<Span> {
        self.overlaps(other).then(|| Span {
            family: self.family,
            first: self.first.max(other.first),
            last: self.last.min(other.last),
        })
    }

    /// The part up to an address of the span, and the part after it if there is one.
    pub fn split_after(&self, ip: IpAddr) -> (Span, Option<Span>) {
        let (_, at) = number(ip);
        let until = Span { last: at, ..*self };
        let after = (at < self.last).then(|| Span { first: at + 1, ..*self });
        (until, after)
    }

    /// What is left of the span without one address: up to two spans.
    pub fn without(self, ip: IpAddr) -> Vec<Span> {
        if !self.contains(ip) {
            return vec![self];
        }
        let (until, after) = self.split_after(ip);
        let before = (until.last > until.first).then(|| Span { last: until.last - 1, ..until });
        before.into_iter().chain(after).collect()
    }
}

/// What is left of the spans behind an address of one of them.
pub fn after(spans: &[Span], ip: IpAddr) -> Vec<Span> {
    let mut rest = spans.iter().skip_while(|span| !span.contains(ip));
    let behind = rest.next().and_then(|span| span.split_after(ip).1);
    behind.into_iter().chain(rest.copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_an_address_is_all_that_comes_later() {
        let span = |first, last| Span { family: Family::V4, first, last };
        let spans = [span(10, 20), span(1, 5), span(30, 30)];
        assert_eq!(after(&spans, address(Family::V4, 12)), [span(13, 20), span(1, 5), span(30, 30)]);
        assert_eq!(after(&spans, address(Family::V4, 5)), [span(30, 30)]);
        assert_eq!(after(&spans, address(Family::V4, 30)), []);
    }
}
