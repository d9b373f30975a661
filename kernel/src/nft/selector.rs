//! Selectors: what a rule looks at, by the words of `nft` (`ip saddr`, `iifname`, `th dport`).

use super::expr::{Compare, Ct, Expr, Header, Meta, Register};
use super::expr_number::fib;
use super::{Family, Type, Value};

const ETHERTYPE_IP: u16 = 0x0800;
const ETHERTYPE_IP6: u16 = 0x86dd;
/// The IPv6 fragment header (`IPPROTO_FRAGMENT`).
const FRAGMENT: u8 = 44;
/// `ARPHRD_ETHER`.
const ETHERNET: u16 = 1;

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector {
    /// `ip saddr`.
    IpSaddr,
    /// `ip daddr`.
    IpDaddr,
    /// `ip6 saddr`.
    Ip6Saddr,
    /// `ip6 daddr`.
    Ip6Daddr,
    /// `ether saddr`.
    EtherSaddr,
    /// `ether daddr`.
    EtherDaddr,
    /// `th sport`: the source port of TCP, UDP, SCTP, ….
    ThSport,
    /// `th dport`; after `meta l4proto tcp` it reads `tcp dport`.
    ThDport,
    /// `meta l4proto`.
    L4proto,
    /// `meta nfproto`.
    Nfproto,
    /// `meta protocol`: the EtherType.
    Protocol,
    /// `meta mark`.
    Mark,
    /// `iifname`.
    Iifname,
    /// `oifname`.
    Oifname,
    /// `iif`.
    Iif,
    /// `oif`.
    Oif,
    /// `ct state`.
    CtState,
    /// `ct status`.
    CtStatus,
    /// `ct mark`.
    CtMark,
    /// `fib daddr type`.
    FibDaddrType,
    /// `fib saddr type`.
    FibSaddrType,
    /// `frag frag-off`, of an IPv6 packet that has a fragment header; the lowest three bits are not of it.
    FragOff,
    /// `@nh,64,48`: so many bytes of the packet from an offset on, whatever they mean there.
    Raw {
        /// Where it is counted from.
        header: Header,
        /// The first byte.
        offset: u32,
        /// How many, at most 16.
        length: usize,
    },
}

/// What has to be sure before the bytes at some place of a packet mean anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Premise {
    /// It is IPv4.
    Ip,
    /// It is IPv6.
    Ip6,
    /// It came as an Ethernet frame.
    Ether,
}

impl Selector {
    /// So many bytes of the packet from an offset on.
    pub const fn raw(header: Header, offset: u32, length: usize) -> Selector {
        Selector::Raw { header, offset, length }
    }

    /// Bytes of the value.
    pub fn length(self) -> usize {
        match self {
            Selector::L4proto | Selector::Nfproto => 1,
            Selector::ThSport | Selector::ThDport | Selector::Protocol | Selector::FragOff => 2,
            Selector::Raw { length, .. } => length,
            Selector::EtherSaddr | Selector::EtherDaddr => Type::EtherAddr.length(),
            Selector::Ip6Saddr | Selector::Ip6Daddr | Selector::Iifname | Selector::Oifname => 16,
            _ => 4,
        }
    }

    /// The instruction that loads the value.
    pub(super) fn load<'a>(self, to: Register) -> Expr<'a> {
        self.load_first(to, self.length())
    }

    /// The same for only the first bytes, of what lies in the packet.
    pub(super) fn load_first<'a>(self, to: Register, length: usize) -> Expr<'a> {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let payload = |header, offset| Expr::Payload { header, offset, length, to };
        let meta = |key| Expr::Meta { key, to };
        let fib = |flags| Expr::Fib { flags, result: fib::TYPE, to };
        match self {
            Selector::IpSaddr => payload(Header::Network, 12),
            Selector::IpDaddr => payload(Header::Network, 16),
            Selector::Ip6Saddr => payload(Header::Network, 8),
            Selector::Ip6Daddr => payload(Header::Network, 24),
            Selector::EtherDaddr => payload(Header::Link, 0),
            Selector::EtherSaddr => payload(Header::Link, 6),
            Selector::ThSport => payload(Header::Transport, 0),
            Selector::ThDport => payload(Header::Transport, 2),
            Selector::L4proto => meta(Meta::L4proto),
            Selector::Nfproto => meta(Meta::Nfproto),
            Selector::Protocol => meta(Meta::Protocol),
            Selector::Mark => meta(Meta::Mark),
            Selector::Iifname => meta(Meta::Iifname),
            Selector::Oifname => meta(Meta::Oifname),
            Selector::Iif => meta(Meta::Iif),
            Selector::Oif => meta(Meta::Oif),
            Selector::CtState => Expr::Ct { key: Ct::State, to },
            Selector::CtStatus => Expr::Ct { key: Ct::Status, to },
            Selector::CtMark => Expr::Ct { key: Ct::Mark, to },
            Selector::FragOff => Expr::Exthdr { kind: FRAGMENT, offset: 2, length, to },
            Selector::Raw { header, offset, .. } => payload(header, offset),
            Selector::FibDaddrType => fib(fib::DADDR),
            Selector::FibSaddrType => fib(fib::SADDR),
        }
    }

    /// What a rule in a table of this family has to make sure first.
    pub(super) fn premise(self, family: Family) -> Option<Premise> {
        match (self, family) {
            (Selector::IpSaddr | Selector::IpDaddr, Family::Inet | Family::Bridge) => Some(Premise::Ip),
            (Selector::Ip6Saddr | Selector::Ip6Daddr | Selector::FragOff, Family::Inet | Family::Bridge) => {
                Some(Premise::Ip6)
            }
            (Selector::EtherSaddr | Selector::EtherDaddr, Family::Inet | Family::Ip | Family::Ip6) => {
                Some(Premise::Ether)
            }
            _ => None,
        }
    }
}

impl Premise {
    /// The instructions that end the rule where it does not hold; `nft` shows none of them.
    pub(super) fn check<'a>(self, family: Family) -> [Expr<'a>; 2] {
        let (selector, value) = match (self, family) {
            (Premise::Ip, Family::Bridge) => (Meta::Protocol, Value::port(ETHERTYPE_IP)),
            (Premise::Ip6, Family::Bridge) => (Meta::Protocol, Value::port(ETHERTYPE_IP6)),
            (Premise::Ip, _) => (Meta::Nfproto, Value::protocol(Family::IPV4)),
            (Premise::Ip6, _) => (Meta::Nfproto, Value::protocol(Family::IPV6)),
            (Premise::Ether, _) => (Meta::Iiftype, Value::bytes(&ETHERNET.to_ne_bytes())),
        };
        let register = Register::FIRST;
        [Expr::Meta { key: selector, to: register }, Expr::Cmp { register, compare: Compare::Equal, value }]
    }
}
