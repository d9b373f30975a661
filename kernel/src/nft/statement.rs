//! The words of a rule that do something: `counter`, `masquerade`, `dnat ip to … map @published`, verdicts.

use super::expr::{Ct, Expr, Meta, NatKind, Per, Register, Reject};
use super::expr_number::nat_flags;
use super::{Key, Rule, Selector, Value, Verdict};
use std::net::IpAddr;

/// Where to a connection's end is rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatTo<'a> {
    /// This address, and this port where one is given. `nft` reads a port back only where the rule asks for a
    /// transport protocol before.
    Address(IpAddr, Option<u16>),
    /// What a map of addresses has for the key.
    Map {
        /// The map, of type `… : ipv4_addr`, or `ipv6_addr` with `ip6`.
        map: &'a str,
        /// What its key is made of.
        key: &'a [Selector],
        /// Whether the addresses are IPv6.
        ip6: bool,
        /// Whether the data is `address . port`.
        port: bool,
    },
}

impl<'a> Rule<'a> {
    /// `accept`, `drop`, `return`, `jump …`, `goto …`.
    pub fn verdict(self, verdict: Verdict) -> Rule<'a> {
        self.with(Expr::Verdict(verdict))
    }

    /// `counter`.
    pub fn counter(self) -> Rule<'a> {
        self.with(Expr::Counter)
    }

    /// `masquerade`.
    pub fn masquerade(self) -> Rule<'a> {
        self.masquerade_with(0)
    }

    /// `masquerade random`, with flags of [`nat_flags`](super::nat_flags).
    pub fn masquerade_with(self, flags: u32) -> Rule<'a> {
        self.with(Expr::Masquerade { flags })
    }

    /// `dnat ip to …`.
    pub fn dnat(self, to: NatTo<'a>) -> Rule<'a> {
        self.nat(NatKind::Destination, to)
    }

    /// `snat ip to …`.
    pub fn snat(self, to: NatTo<'a>) -> Rule<'a> {
        self.nat(NatKind::Source, to)
    }

    /// `redirect`, or `redirect to :8080`.
    pub fn redirect(self, port: Option<u16>) -> Rule<'a> {
        let Some(port) = port else { return self.with(Expr::Redirect { port: None, flags: 0 }) };
        self.with(Expr::Immediate { value: Key::from(Value::port(port)), to: Register::FIRST })
            .with(Expr::Redirect { port: Some(Register::FIRST), flags: nat_flags::PORT })
    }

    /// `reject`.
    pub fn reject(self, how: Reject) -> Rule<'a> {
        self.with(Expr::Reject(how))
    }

    /// `limit rate 10/second burst 5 packets`.
    pub fn limit(self, packets: u64, per: Per, burst: u32) -> Rule<'a> {
        self.with(Expr::Limit { packets, per, burst })
    }

    /// `meta mark set 0x2000`.
    pub fn set_mark(self, mark: u32) -> Rule<'a> {
        self.with(Expr::Immediate { value: Key::from(Value::host(mark)), to: Register::FIRST })
            .with(Expr::MetaSet { key: Meta::Mark, from: Register::FIRST })
    }

    /// `meta mark set meta mark | 0x2000`: the other bits stay.
    pub fn set_mark_bits(self, bits: u32) -> Rule<'a> {
        let register = Register::FIRST;
        self.with(Selector::Mark.load(register))
            .with(Expr::Bitwise { register, mask: Value::host(!bits), xor: Value::host(bits) })
            .with(Expr::MetaSet { key: Meta::Mark, from: register })
    }

    /// `meta mark set meta mark & 0xffffdfff`: the other bits stay.
    pub fn clear_mark_bits(self, bits: u32) -> Rule<'a> {
        let register = Register::FIRST;
        self.with(Selector::Mark.load(register))
            .with(Expr::Bitwise { register, mask: Value::host(!bits), xor: Value::host(0) })
            .with(Expr::MetaSet { key: Meta::Mark, from: register })
    }

    /// `ct mark set 0x10`.
    pub fn set_ct_mark(self, mark: u32) -> Rule<'a> {
        self.with(Expr::Immediate { value: Key::from(Value::host(mark)), to: Register::FIRST })
            .with(Expr::CtSet { key: Ct::Mark, from: Register::FIRST })
    }

    fn nat(self, kind: NatKind, to: NatTo<'a>) -> Rule<'a> {
        match to {
            NatTo::Address(address, port) => self.nat_to_address(kind, address, port),
            NatTo::Map { map, key, ip6, port } => {
                let register = Register::FIRST;
                let behind = register.after(if ip6 { 16 } else { 4 });
                self.load_all(key).with(Expr::Map { set: map, register, to: register }).with(nat(
                    kind,
                    ip6,
                    register,
                    port.then_some(behind),
                    0,
                ))
            }
        }
    }

    /// Address and port each take a 128-bit register of their own, as `nft` lays them.
    fn nat_to_address(self, kind: NatKind, address: IpAddr, port: Option<u16>) -> Rule<'a> {
        let (first, second) = (Register::FIRST, Register::FIRST.after(16));
        let rule = self.with(Expr::Immediate { value: Key::from(Value::from(address)), to: first });
        let rule = match port {
            Some(port) => rule.with(Expr::Immediate { value: Key::from(Value::port(port)), to: second }),
            None => rule,
        };
        let flags = if port.is_some() { nat_flags::PORT } else { 0 };
        rule.with(nat(kind, address.is_ipv6(), first, port.map(|_| second), flags))
    }
}

fn nat<'a>(kind: NatKind, ip6: bool, address: Register, port: Option<Register>, flags: u32) -> Expr<'a> {
    Expr::Nat { kind, ip6, address: Some(address), port, flags }
}
