//! One step of a transaction: a message, and the words that an error about it begins with.

use super::number::{NLM_F_REQUEST, SUBSYSTEM};
use super::table::Family;
use crate::netlink::Message;

/// One step of a [`Transaction`](super::Transaction), made by the builders of this room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub(super) message: Message,
    pub(super) op: &'static str,
    pub(super) object: String,
}

impl Request {
    pub(super) fn new(op: &'static str, object: impl Into<String>, message: Message) -> Request {
        Request { message, op, object: object.into() }
    }

    /// The bytes as they are sent, without sequence number.
    pub fn as_bytes(&self) -> &[u8] {
        self.message.as_bytes()
    }
}

/// Starts a message of nf_tables: header and `struct nfgenmsg` (family, version 0, resource 0).
pub(super) fn message(kind: u8, flags: u16, family: Family) -> Message {
    Message::new(u16::from_be_bytes([SUBSYSTEM, kind]), NLM_F_REQUEST | flags).body(&[
        family.number(),
        0,
        0,
        0,
    ])
}

/// Starts the message that opens or closes a batch; its resource is the subsystem whose messages are inside.
pub(super) fn batch_mark(kind: u16) -> Message {
    Message::new(kind, NLM_F_REQUEST).body(&[0, 0, 0, SUBSYSTEM])
}
