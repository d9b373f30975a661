//! Sets and maps: `nft add map inet tidewater masquerade4 '{ type ipv4_addr : verdict; }'`.

use super::number::{LIST_ELEM, NLM_F_CREATE, NLM_F_EXCL, elem, msg, set as nfta};
use super::request::{Request, message};
use super::{Table, Type, comment};
use crate::netlink::{Message, NESTED};
use std::fmt;
use std::time::Duration;

/// The type number of a verdict (`NFT_DATA_VERDICT`).
const VERDICT_TYPE: u32 = 0xffff_ff00;
/// Bits of a field's type number within that of a concatenation (`TYPE_BITS` of nft).
const BITS_PER_FIELD: u32 = 6;
/// Sets are told apart within one batch by this number only where they have no name yet; these have.
const SET_ID: u32 = 1;

/// Names a set or map; whether it exists is another question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Set<'a> {
    /// The table that it is in.
    pub table: Table<'a>,
    /// Its name, at most 127 bytes.
    pub name: &'a str,
}

/// What a set or map holds, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetSpec<'a> {
    key: &'a [Type],
    data: Option<MapData<'a>>,
    interval: bool,
    constant: bool,
    timeout: Option<Duration>,
    expires: bool,
    size: Option<u32>,
    comment: Option<&'a str>,
}

/// What a map leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MapData<'a> {
    Verdict,
    Values(&'a [Type]),
}

impl<'a> SetSpec<'a> {
    /// `type ifname . ether_addr`: a set.
    pub fn set(key: &'a [Type]) -> SetSpec<'a> {
        SetSpec {
            key,
            data: None,
            interval: false,
            constant: false,
            timeout: None,
            expires: false,
            size: None,
            comment: None,
        }
    }

    /// `type ipv4_addr : verdict`: a map of verdicts.
    pub fn verdict_map(key: &'a [Type]) -> SetSpec<'a> {
        SetSpec { data: Some(MapData::Verdict), ..SetSpec::set(key) }
    }

    /// `type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service`: a map of values.
    pub fn map(key: &'a [Type], data: &'a [Type]) -> SetSpec<'a> {
        SetSpec { data: Some(MapData::Values(data)), ..SetSpec::set(key) }
    }

    /// `flags interval`: elements may be ranges and prefixes.
    pub fn interval(self) -> SetSpec<'a> {
        SetSpec { interval: true, ..self }
    }

    /// `flags constant`: no element may be added once a rule uses it. Not together with a time-out
    /// (EOPNOTSUPP).
    pub fn constant(self) -> SetSpec<'a> {
        SetSpec { constant: true, ..self }
    }

    /// `flags timeout`: an element may carry a time-out.
    pub fn expiring(self) -> SetSpec<'a> {
        SetSpec { expires: true, ..self }
    }

    /// `timeout 10s`: every element without one of its own goes after that time.
    pub fn timeout(self, after: Duration) -> SetSpec<'a> {
        SetSpec { expires: true, timeout: Some(after), ..self }
    }

    /// `size 4096`: the kernel refuses further elements with ENFILE.
    pub fn size(self, elements: u32) -> SetSpec<'a> {
        SetSpec { size: Some(elements), ..self }
    }

    /// `comment "…"`.
    pub fn comment(self, comment: &'a str) -> SetSpec<'a> {
        SetSpec { comment: Some(comment), ..self }
    }

    fn concatenated_intervals(&self) -> bool {
        self.interval && self.key.len() > 1
    }

    fn flags(&self) -> u32 {
        let flags = [
            (self.constant, nfta::F_CONSTANT),
            (self.interval, nfta::F_INTERVAL),
            (self.data.is_some(), nfta::F_MAP),
            (self.expires, nfta::F_TIMEOUT),
            (self.concatenated_intervals(), nfta::F_CONCAT),
        ];
        flags.into_iter().filter(|(on, _)| *on).fold(0, |all, (_, flag)| all | flag)
    }

    fn put(&self, message: Message) -> Message {
        let message = message
            .attr_be32(nfta::FLAGS, self.flags())
            .attr_be32(nfta::KEY_TYPE, type_number(self.key))
            .attr_be32(nfta::KEY_LEN, length(self.key));
        let message = match self.data {
            None => message,
            Some(MapData::Verdict) => {
                message.attr_be32(nfta::DATA_TYPE, VERDICT_TYPE).attr_be32(nfta::DATA_LEN, 0)
            }
            Some(MapData::Values(types)) => message
                .attr_be32(nfta::DATA_TYPE, type_number(types))
                .attr_be32(nfta::DATA_LEN, length(types)),
        };
        let message = self.put_description(message.attr_be32(nfta::ID, SET_ID));
        let message = match self.timeout {
            Some(after) => {
                let milliseconds = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                message.attr(nfta::TIMEOUT, &milliseconds.to_be_bytes())
            }
            None => message,
        };
        message.attr(nfta::USERDATA, &self.userdata())
    }

    /// The size, and the lengths of the fields where each of them is an interval of its own.
    fn put_description(&self, message: Message) -> Message {
        if self.size.is_none() && !self.concatenated_intervals() {
            return message;
        }
        message.nest(nfta::DESC | NESTED, |mut description| {
            if let Some(size) = self.size {
                description = description.attr_be32(nfta::DESC_SIZE, size);
            }
            if self.concatenated_intervals() {
                description = description.nest(nfta::DESC_CONCAT | NESTED, |fields| {
                    self.key.iter().fold(fields, |fields, kind| put_field(fields, *kind))
                });
            }
            description
        })
    }

    /// What `nft` wants to find when it shows the set: byte orders of key and data, and the comment.
    fn userdata(&self) -> Vec<u8> {
        const KEY_ORDER: u8 = 0;
        const DATA_ORDER: u8 = 1;
        const DATA_INTERVAL: u8 = 6;
        let mut bytes = number(KEY_ORDER, byte_order(self.key));
        if let Some(data) = self.data {
            let order = match data {
                MapData::Verdict => 0,
                MapData::Values(types) => byte_order(types),
            };
            bytes.extend(number(DATA_ORDER, order));
            bytes.extend(number(DATA_INTERVAL, 0));
        }
        if let Some(comment) = self.comment {
            bytes.extend(comment::userdata(comment::OF_SET, comment));
        }
        bytes
    }
}

impl Set<'_> {
    /// `nft add set` or `add map`: fine where the same is there already; EEXIST where another kind is.
    #[allow(clippy::should_implement_trait, reason = "the word of nft; no sum is meant")]
    pub fn add(self, spec: &SetSpec<'_>) -> Request {
        Request::new("add set", self.to_string(), spec.put(self.named(msg::NEWSET, NLM_F_CREATE)))
    }

    /// `nft create set` or `create map`: EEXIST where it is there already.
    pub fn create(self, spec: &SetSpec<'_>) -> Request {
        Request::new(
            "create set",
            self.to_string(),
            spec.put(self.named(msg::NEWSET, NLM_F_CREATE | NLM_F_EXCL)),
        )
    }

    /// `nft flush set`: all its elements go.
    pub fn flush(self) -> Request {
        let body = message(msg::DELSETELEM, 0, self.table.family)
            .attr_str(elem::LIST_SET, self.name)
            .attr_str(elem::LIST_TABLE, self.table.name);
        Request::new("flush set", self.to_string(), body)
    }

    /// `nft delete set`: ENOENT where there is none, EBUSY while a rule uses it.
    pub fn delete(self) -> Request {
        Request::new("delete set", self.to_string(), self.named(msg::DELSET, 0))
    }

    fn named(self, kind: u8, flags: u16) -> Message {
        message(kind, flags, self.table.family)
            .attr_str(nfta::TABLE, self.table.name)
            .attr_str(nfta::NAME, self.name)
    }
}

impl fmt::Display for Set<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table, self.name)
    }
}

fn put_field(fields: Message, kind: Type) -> Message {
    fields.nest(LIST_ELEM | NESTED, |field| field.attr_be32(nfta::FIELD_LEN, kind.length_u32()))
}

/// Field by field, six bits each, the last field lowest.
fn type_number(types: &[Type]) -> u32 {
    types.iter().fold(0, |number, kind| number << BITS_PER_FIELD | kind.number())
}

/// Bytes of the key: fields of a concatenation are padded to 32 bits, a single one is not.
fn length(types: &[Type]) -> u32 {
    match types {
        [only] => only.length_u32(),
        several => several.iter().map(|kind| kind.length_u32().next_multiple_of(4)).sum(),
    }
}

/// `BYTEORDER_*` of nft: of a concatenation, none.
fn byte_order(types: &[Type]) -> u32 {
    match types {
        [only] if only.host_order() => 1,
        [_] => 2,
        _ => 0,
    }
}

fn number(kind: u8, value: u32) -> Vec<u8> {
    let mut bytes = vec![kind, 4];
    bytes.extend_from_slice(&value.to_ne_bytes());
    bytes
}
