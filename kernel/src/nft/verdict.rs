//! Verdicts and map data, as rules and elements carry them.

use super::number::{DATA_VALUE, DATA_VERDICT, VERDICT_CHAIN, VERDICT_CODE};
use super::value::Key;
use crate::netlink::{Message, NESTED, attribute, text};

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// `accept`.
    Accept,
    /// `drop`.
    Drop,
    /// `continue` with the next rule.
    Continue,
    /// `return` to the calling chain.
    Return,
    /// `jump` to a chain of the same table, and come back.
    Jump(String),
    /// `goto` a chain of the same table; its end is the end of the caller too.
    Goto(String),
}

/// What a map has for a key, or an immediate puts into a register.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Data {
    /// Of a verdict map.
    Verdict(Verdict),
    /// Of any other map.
    Value(Key),
}

impl Verdict {
    /// `goto` this chain.
    pub fn goto(chain: impl Into<String>) -> Verdict {
        Verdict::Goto(chain.into())
    }

    /// `jump` to this chain.
    pub fn jump(chain: impl Into<String>) -> Verdict {
        Verdict::Jump(chain.into())
    }

    /// The chain that this verdict leads to.
    pub fn target(&self) -> Option<&str> {
        match self {
            Verdict::Jump(chain) | Verdict::Goto(chain) => Some(chain),
            _ => None,
        }
    }

    /// `NF_DROP`, `NF_ACCEPT` and `enum nft_verdicts`.
    fn code(&self) -> i32 {
        match self {
            Verdict::Drop => 0,
            Verdict::Accept => 1,
            Verdict::Continue => -1,
            Verdict::Jump(_) => -3,
            Verdict::Goto(_) => -4,
            Verdict::Return => -5,
        }
    }

    fn read(bytes: &[u8]) -> Option<Verdict> {
        let chain = || attribute(bytes, VERDICT_CHAIN).map(text);
        match i32::from_be_bytes(attribute(bytes, VERDICT_CODE)?.try_into().ok()?) {
            0 => Some(Verdict::Drop),
            1 => Some(Verdict::Accept),
            -1 => Some(Verdict::Continue),
            -3 => chain().map(Verdict::Jump),
            -4 => chain().map(Verdict::Goto),
            -5 => Some(Verdict::Return),
            _ => None,
        }
    }
}

impl Data {
    /// Writes the attribute of `kind` that holds this.
    pub(super) fn put(&self, message: Message, kind: u16) -> Message {
        match self {
            Data::Value(value) => put_value(message, kind, value.as_bytes()),
            Data::Verdict(verdict) => message.nest(kind | NESTED, |data| {
                data.nest(DATA_VERDICT | NESTED, |inside| {
                    let inside = inside.attr(VERDICT_CODE, &verdict.code().to_be_bytes());
                    match verdict.target() {
                        Some(chain) => inside.attr_str(VERDICT_CHAIN, chain),
                        None => inside,
                    }
                })
            }),
        }
    }

    /// Reads the inside of such an attribute.
    pub(super) fn read(bytes: &[u8]) -> Option<Data> {
        match attribute(bytes, DATA_VERDICT) {
            Some(verdict) => Verdict::read(verdict).map(Data::Verdict),
            None => attribute(bytes, DATA_VALUE).map(|value| Data::Value(Key::from_kernel(value))),
        }
    }
}

/// Writes the attribute of `kind` that holds plain bytes (`NFTA_DATA_VALUE`).
pub(super) fn put_value(message: Message, kind: u16, value: &[u8]) -> Message {
    message.nest(kind | NESTED, |data| data.attr(DATA_VALUE, value))
}

impl From<Verdict> for Data {
    fn from(verdict: Verdict) -> Data {
        Data::Verdict(verdict)
    }
}

impl<K: Into<Key>> From<K> for Data {
    fn from(key: K) -> Data {
        Data::Value(key.into())
    }
}
