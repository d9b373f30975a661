//! The netlink wire: a message is built front to back, attributes nest by closures, replies are read by
//! iterators.
//!
//! Nothing here opens a socket. Layout: RFC 3549 §2.3 and `include/uapi/linux/netlink.h`.

use rustix::io::Errno;

/// Bytes of the netlink message header (`struct nlmsghdr`).
pub const HEADER: usize = 16;
/// `NLM_F_REQUEST`.
pub const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`: answer success too.
pub const ACK: u16 = 0x4;
/// `NLM_F_ECHO`: send the notification of the change to who asked for it.
pub const ECHO: u16 = 0x8;
/// `NLM_F_DUMP`: everything that matches.
pub const DUMP: u16 = 0x300;
/// `NLM_F_REPLACE`.
pub const REPLACE: u16 = 0x100;
/// `NLM_F_EXCL`: fail where it exists.
pub const EXCL: u16 = 0x200;
/// `NLM_F_CREATE`.
pub const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`.
pub const APPEND: u16 = 0x800;
/// `NLMSG_ERROR`: an acknowledgement, of success or failure.
pub const ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
pub const DONE: u16 = 3;
/// `NLM_F_DUMP_INTR`: the list changed while it was dumped.
pub const DUMP_INTERRUPTED: u16 = 0x10;
/// `NLM_F_CAPPED`: the acknowledgement repeats only the header of the request.
const CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`: attributes follow.
const ACK_ATTRIBUTES: u16 = 0x200;
/// `NLMSGERR_ATTR_MSG`.
const ACK_TEXT: u16 = 1;
/// Marks an attribute that holds attributes.
pub const NESTED: u16 = 0x8000;
/// Leaves the type of an attribute when its flag bits are masked out.
const TYPE_MASK: u16 = 0x3fff;

/// A netlink message in the making. Length fields are right after every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// Starts a message of `kind` (`RTM_*`, or subsystem and number for netfilter) with its flags
    /// (`NLM_F_*`). Sequence number and port are filled in by the socket.
    pub fn new(kind: u16, flags: u16) -> Message {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        let mut message = Message { bytes };
        message.fix_length(0);
        message
    }

    /// Appends the fixed part that follows the header (`ifinfomsg`, `nfgenmsg`, …).
    pub fn body(mut self, body: &[u8]) -> Message {
        self.bytes.extend_from_slice(body);
        self.align();
        self
    }

    /// Appends one attribute.
    pub fn attr(mut self, kind: u16, value: &[u8]) -> Message {
        self.put(kind, value);
        self
    }

    /// Appends one attribute that holds a number in the machine's byte order, as the route family wants it.
    pub fn attr_u32(self, kind: u16, value: u32) -> Message {
        self.attr(kind, &value.to_ne_bytes())
    }

    /// Appends one attribute that holds a number in network byte order, as netfilter wants it.
    pub fn attr_be32(self, kind: u16, value: u32) -> Message {
        self.attr(kind, &value.to_be_bytes())
    }

    /// Appends one attribute that holds text with its closing NUL.
    pub fn attr_str(mut self, kind: u16, value: &str) -> Message {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        self.close(start);
        self
    }

    /// Appends an attribute whose inside is built by `inside`; the caller adds [`NESTED`] where the kernel
    /// wants it.
    pub fn nest(mut self, kind: u16, inside: impl FnOnce(Message) -> Message) -> Message {
        let start = self.open(kind);
        let mut message = inside(self);
        message.close(start);
        message
    }

    /// Appends what `put` makes of the value, where there is one.
    pub fn maybe<T>(self, value: Option<T>, put: impl FnOnce(Message, T) -> Message) -> Message {
        match value {
            Some(value) => put(self, value),
            None => self,
        }
    }

    /// Gives the message its sequence number, by which its acknowledgement is known.
    pub fn stamp(&mut self, sequence: u32) {
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
    }

    /// Adds flags (`NLM_F_*`) to those that the message was made with.
    pub fn or_flags(mut self, flags: u16) -> Message {
        let flags = u16_at(&self.bytes, 6).unwrap_or(0) | flags;
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        self
    }

    /// The finished bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn put(&mut self, kind: u16, value: &[u8]) {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value);
        self.close(start);
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    /// Writes the length of the attribute that began at `start`, then pads to the next multiple of four.
    fn close(&mut self, start: usize) {
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.fix_length(0);
    }

    fn fix_length(&mut self, start: usize) {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

/// One message of a reply.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// `nlmsg_seq`.
    pub sequence: u32,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// What the kernel says at the end of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `None` is success.
    pub errno: Option<Errno>,
    /// The kernel's own words, if any.
    pub note: Option<String>,
}

impl Reply<'_> {
    /// The outcome in an acknowledgement or at the end of a dump; `None` for any other message.
    pub fn outcome(&self) -> Option<Outcome> {
        let attributes_at = match self.kind {
            ERROR if self.flags & CAPPED != 0 => 4 + HEADER,
            ERROR => 4 + (u32_at(self.payload, 4)? as usize).next_multiple_of(4),
            DONE => 4,
            _ => return None,
        };
        let code = u32_at(self.payload, 0).unwrap_or(0).cast_signed();
        let errno = (code != 0).then(|| Errno::from_raw_os_error(code.saturating_neg()));
        let attributes = self.payload.get(attributes_at..).filter(|_| self.flags & ACK_ATTRIBUTES != 0);
        let note = attributes.and_then(|bytes| attribute(bytes, ACK_TEXT)).map(text);
        Some(Outcome { errno, note })
    }
}

/// The messages of one datagram; a truncated tail ends the iteration.
pub fn replies(mut datagram: &[u8]) -> impl Iterator<Item = Reply<'_>> {
    std::iter::from_fn(move || {
        let length = u32_at(datagram, 0)? as usize;
        let message = datagram.get(..length).filter(|message| message.len() >= HEADER)?;
        let reply = Reply {
            kind: u16_at(message, 4)?,
            flags: u16_at(message, 6)?,
            sequence: u32_at(message, 8)?,
            payload: &message[HEADER..],
        };
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(reply)
    })
}

/// The attributes of `bytes` as (type without flag bits, value); a truncated tail ends the iteration.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of this type.
pub fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// A number in the machine's byte order at `offset`.
pub fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..offset.checked_add(4)?)?.try_into().ok().map(u32::from_ne_bytes)
}

/// A number in the machine's byte order at `offset`.
pub fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..offset.checked_add(2)?)?.try_into().ok().map(u16::from_ne_bytes)
}

/// Text up to its NUL, or to the end where there is none; what is not UTF-8 is replaced.
pub fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// The bytes in hexadecimal, four to a group: how byte tests show a message.
#[cfg(test)]
pub(crate) fn hex(bytes: &[u8]) -> String {
    let group = |chunk: &[u8]| chunk.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    bytes.chunks(4).map(group).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
