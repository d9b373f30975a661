//! Expressions: the instructions that the kernel runs for a rule, one enum variant each.
//!
//! The words of a rule (`ip saddr 10.0.0.1`, `masquerade`) are put together from these in `matches.rs` and
//! `statement.rs`. `nft --debug=netlink list ruleset` prints a rule in this form.

use super::number::rule;
use super::verdict::put_value;
use super::{Data, Key, Value};
use crate::netlink::{Message, NESTED};

/// The verdict register (`NFT_REG_VERDICT`).
const VERDICT_REGISTER: u32 = 0;

/// One of the sixteen 32-bit registers. A value takes as many neighbouring ones as it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Register(u8);

impl Register {
    /// The first register.
    pub const FIRST: Register = Register(0);

    /// The register behind a value of so many bytes that begins in this one.
    pub fn after(self, bytes: usize) -> Register {
        Register(self.0.saturating_add(u8::try_from(bytes.div_ceil(4)).unwrap_or(u8::MAX)))
    }

    /// The number on the wire. Where a 128-bit register begins its old number is used, as `nft` does: 1 to 4
    /// (`NFT_REG_1`…); all others are counted from 8 (`NFT_REG32_00`…).
    fn number(self) -> u32 {
        match self.0 % 4 {
            0 => 1 + u32::from(self.0 / 4),
            _ => 8 + u32::from(self.0),
        }
    }
}

/// What `meta` knows of a packet (`NFT_META_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meta {
    /// `meta protocol`: the EtherType.
    Protocol,
    /// `meta mark`.
    Mark,
    /// `iif`: the index of the link it came in by.
    Iif,
    /// `oif`: the index of the link it goes out by.
    Oif,
    /// `iifname`.
    Iifname,
    /// `oifname`.
    Oifname,
    /// `iiftype`: the hardware type.
    Iiftype,
    /// `meta nfproto`.
    Nfproto,
    /// `meta l4proto`.
    L4proto,
}

/// Where in a packet `payload` counts from (`NFT_PAYLOAD_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The frame.
    Link,
    /// The IP packet.
    Network,
    /// TCP, UDP, SCTP, ….
    Transport,
}

/// What connection tracking knows of a packet (`NFT_CT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ct {
    /// `ct state`; the bits are in [`ct_state`](super::ct_state).
    State,
    /// `ct status`; the bits are in [`ct_status`](super::ct_status).
    Status,
    /// `ct mark`.
    Mark,
}

/// How a register and a value are compared (`NFT_CMP_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// Equal.
    Equal,
    /// Not equal.
    NotEqual,
    /// At most.
    AtMost,
    /// At least.
    AtLeast,
}

/// Which end of a connection is rewritten (`NFT_NAT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatKind {
    /// `snat`.
    Source,
    /// `dnat`.
    Destination,
}

/// How a packet is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// `reject with icmpx port-unreachable`, which is plain `reject` in an inet or bridge table.
    PortUnreachable,
    /// `reject with icmpx admin-prohibited`.
    AdminProhibited,
    /// `reject with tcp reset`; the rule has to ask for TCP before.
    TcpReset,
}

/// The unit of a limit, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// `/second`.
    Second,
    /// `/minute`.
    Minute,
    /// `/hour`.
    Hour,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named after the attribute that it becomes")]
pub enum Expr<'a> {
    /// Loads what the kernel knows of the packet.
    Meta { key: Meta, to: Register },
    /// Sets it (`meta mark set`).
    MetaSet { key: Meta, from: Register },
    /// Loads bytes of the packet.
    Payload { header: Header, offset: u32, length: u32, to: Register },
    /// Loads bytes of an IPv6 extension header; goes on only if the packet has one of this kind.
    Exthdr { kind: u8, offset: u32, length: u32, to: Register },
    /// Goes on with the rule only if the comparison holds.
    Cmp { register: Register, compare: Compare, value: Value },
    /// Goes on only if the value lies in the range, or outside (`inverted`).
    Range { register: Register, inverted: bool, first: Value, last: Value },
    /// `register = (register & mask) ^ xor`.
    Bitwise { register: Register, mask: Value, xor: Value },
    /// Goes on only if the set has the key, or has it not (`inverted`).
    Lookup { set: &'a str, register: Register, inverted: bool },
    /// Loads what the map has for the key; goes on only if it has the key.
    Map { set: &'a str, register: Register, to: Register },
    /// Does what the verdict map has for the key; goes on if it has none.
    Vmap { set: &'a str, register: Register },
    /// Loads a constant.
    Immediate { value: Key, to: Register },
    /// Gives a verdict.
    Verdict(super::Verdict),
    /// Counts packets and bytes.
    Counter,
    /// Rewrites an address, a port, or both. `ip6` says which family the address is of.
    Nat { kind: NatKind, ip6: bool, address: Option<Register>, port: Option<Register>, flags: u32 },
    /// Rewrites the source to an address of the link that the packet leaves by.
    Masquerade { flags: u32 },
    /// Rewrites the destination to this host.
    Redirect { port: Option<Register>, flags: u32 },
    /// Asks the routing table; `flags` are those of [`fib`](super::fib).
    Fib { flags: u32, result: u32, to: Register },
    /// Loads from the connection.
    Ct { key: Ct, to: Register },
    /// Sets the connection's mark.
    CtSet { key: Ct, from: Register },
    /// Refuses with an answer.
    Reject(Reject),
    /// Goes on only below the rate.
    Limit { packets: u64, per: Per, burst: u32 },
}

impl Expr<'_> {
    /// The name by which the kernel finds the expression's code.
    fn name(&self) -> &'static str {
        match self {
            Expr::Meta { .. } | Expr::MetaSet { .. } => "meta",
            Expr::Payload { .. } => "payload",
            Expr::Exthdr { .. } => "exthdr",
            Expr::Cmp { .. } => "cmp",
            Expr::Range { .. } => "range",
            Expr::Bitwise { .. } => "bitwise",
            Expr::Lookup { .. } | Expr::Map { .. } | Expr::Vmap { .. } => "lookup",
            Expr::Immediate { .. } | Expr::Verdict(_) => "immediate",
            Expr::Counter => "counter",
            Expr::Nat { .. } => "nat",
            Expr::Masquerade { .. } => "masq",
            Expr::Redirect { .. } => "redir",
            Expr::Fib { .. } => "fib",
            Expr::Ct { .. } | Expr::CtSet { .. } => "ct",
            Expr::Reject(_) => "reject",
            Expr::Limit { .. } => "limit",
        }
    }

    /// Writes the expression as an element of a rule's list.
    pub(super) fn put(&self, list: Message) -> Message {
        list.nest(super::number::LIST_ELEM | NESTED, |item| {
            item.attr_str(rule::EXPR_NAME, self.name()).nest(rule::EXPR_DATA | NESTED, |data| {
                self.put_load(data).unwrap_or_else(|data| self.put_act(data))
            })
        })
    }

    /// The expressions that load, compare and look up; gives the message back for any other. Attribute
    /// numbers are those of `NFTA_META_*`, `NFTA_PAYLOAD_*`, ….
    fn put_load(&self, data: Message) -> Result<Message, Message> {
        Ok(match self {
            Expr::Meta { key, to } => data.attr_be32(2, key.number()).attr_be32(1, to.number()),
            Expr::MetaSet { key, from } => data.attr_be32(2, key.number()).attr_be32(3, from.number()),
            Expr::Payload { header, offset, length, to } => data
                .attr_be32(1, to.number())
                .attr_be32(2, header.number())
                .attr_be32(3, *offset)
                .attr_be32(4, *length),
            Expr::Exthdr { kind, offset, length, to } => data
                .attr_be32(1, to.number())
                .attr(2, &[*kind])
                .attr_be32(3, *offset)
                .attr_be32(4, *length)
                .attr_be32(6, 0)
                .attr_be32(5, 0),
            Expr::Cmp { register, compare, value } => {
                let data = data.attr_be32(1, register.number()).attr_be32(2, compare.number());
                put_value(data, 3, value.as_bytes())
            }
            Expr::Range { register, inverted, first, last } => {
                let data = data.attr_be32(1, register.number()).attr_be32(2, (*inverted).into());
                put_value(put_value(data, 3, first.as_bytes()), 4, last.as_bytes())
            }
            Expr::Bitwise { register, mask, xor } => {
                let length = u32::try_from(mask.as_bytes().len()).unwrap_or(u32::MAX);
                let data = data.attr_be32(1, register.number()).attr_be32(2, register.number());
                put_value(put_value(data.attr_be32(3, length), 4, mask.as_bytes()), 5, xor.as_bytes())
            }
            Expr::Lookup { set, register, inverted } => {
                let data = data.attr_be32(2, register.number()).attr_str(rule::LOOKUP_SET, set);
                if *inverted { data.attr_be32(5, 1) } else { data }
            }
            Expr::Map { set, register, to } => put_map(data, set, *register, to.number()),
            Expr::Vmap { set, register } => put_map(data, set, *register, VERDICT_REGISTER),
            Expr::Fib { flags, result, to } => {
                data.attr_be32(3, *flags).attr_be32(2, *result).attr_be32(1, to.number())
            }
            Expr::Ct { key, to } => data.attr_be32(2, key.number()).attr_be32(1, to.number()),
            Expr::CtSet { key, from } => data.attr_be32(2, key.number()).attr_be32(4, from.number()),
            _ => return Err(data),
        })
    }

    /// The expressions that do something.
    fn put_act(&self, data: Message) -> Message {
        match self {
            Expr::Immediate { value, to } => put_immediate(data, to.number(), &Data::Value(value.clone())),
            Expr::Verdict(verdict) => put_immediate(data, VERDICT_REGISTER, &Data::Verdict(verdict.clone())),
            Expr::Nat { kind, ip6, address, port, flags } => {
                let data = data.attr_be32(1, kind.number()).attr_be32(2, if *ip6 { 10 } else { 2 });
                let data = put_register(data, 3, *address);
                put_flags(put_register(data, 5, *port), 7, *flags)
            }
            Expr::Masquerade { flags } => put_flags(data, 1, *flags),
            Expr::Redirect { port, flags } => put_flags(put_register(data, 1, *port), 3, *flags),
            Expr::Reject(how) => {
                let (kind, code) = how.numbers();
                data.attr_be32(1, kind).attr(2, &[code])
            }
            Expr::Limit { packets, per, burst } => data
                .attr(1, &packets.to_be_bytes())
                .attr(2, &per.seconds().to_be_bytes())
                .attr_be32(3, *burst)
                .attr_be32(4, 0)
                .attr_be32(5, 0),
            _ => data,
        }
    }
}

fn put_map(data: Message, set: &str, register: Register, to: u32) -> Message {
    data.attr_be32(2, register.number()).attr_be32(3, to).attr_str(rule::LOOKUP_SET, set)
}

fn put_immediate(data: Message, to: u32, value: &Data) -> Message {
    value.put(data.attr_be32(1, to), rule::IMMEDIATE_DATA)
}

fn put_register(data: Message, kind: u16, register: Option<Register>) -> Message {
    match register {
        Some(register) => data.attr_be32(kind, register.number()),
        None => data,
    }
}

fn put_flags(data: Message, kind: u16, flags: u32) -> Message {
    if flags == 0 { data } else { data.attr_be32(kind, flags) }
}
