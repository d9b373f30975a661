//! Messages of D-Bus as bytes: calls made, answers read (D-Bus Specification 0.43, "Message Protocol").

const METHOD_CALL: u8 = 1;
pub(super) const METHOD_RETURN: u8 = 2;
pub(super) const ERROR: u8 = 3;
pub(super) const FIELD_PATH: u8 = 1;
pub(super) const FIELD_INTERFACE: u8 = 2;
pub(super) const FIELD_MEMBER: u8 = 3;
const FIELD_ERROR_NAME: u8 = 4;
const FIELD_REPLY_SERIAL: u8 = 5;
pub(super) const FIELD_DESTINATION: u8 = 6;
const FIELD_SIGNATURE: u8 = 8;

/// What matters of a message.
#[derive(Default)]
pub(super) struct Message {
    /// `METHOD_RETURN` and the like.
    pub(super) kind: u8,
    /// The serial of the call that it answers.
    pub(super) reply_to: Option<u32>,
    /// What kind of error it is.
    pub(super) error_name: String,
    /// Its arguments.
    pub(super) body: Vec<u8>,
}

impl Message {
    pub(super) fn read(kind: u8, fields: &[u8], body: Vec<u8>) -> Option<Message> {
        let mut message = Message { kind, reply_to: None, error_name: String::new(), body };
        let mut reader = Reader::new(fields);
        while !reader.at_end() {
            reader.align(8);
            let field = reader.byte()?;
            match (field, reader.signature()?.as_slice()) {
                (FIELD_REPLY_SERIAL, b"u") => message.reply_to = Some(reader.number()?),
                (FIELD_ERROR_NAME, b"s") => message.error_name = reader.text()?,
                (_, b"s" | b"o") => drop(reader.text()?),
                (_, b"g") => drop(reader.signature()?),
                (_, b"u") => drop(reader.number()?),
                _ => return None,
            }
        }
        Some(message)
    }
}

/// Reads values one behind the other.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    fn at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4);
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1).map(|_| text)
    }

    fn signature(&mut self) -> Option<Vec<u8>> {
        let length = usize::from(self.byte()?);
        let signature = self.take(length)?.to_vec();
        self.take(1).map(|_| signature)
    }
}

/// A method call.
pub(super) fn message(serial: u32, fields: &[(u8, u8, &str)], arguments: &[&str]) -> Vec<u8> {
    let mut body = Vec::new();
    arguments.iter().for_each(|argument| put_text(&mut body, argument));
    let mut head = Vec::new();
    for (field, kind, value) in fields {
        pad(&mut head, 8);
        head.extend([*field, 1, *kind, 0]);
        put_text(&mut head, value);
    }
    if !arguments.is_empty() {
        pad(&mut head, 8);
        head.extend([FIELD_SIGNATURE, 1, b'g', 0, u8::try_from(arguments.len()).unwrap_or(u8::MAX)]);
        head.extend(arguments.iter().map(|_| b's').chain([0]));
    }
    let mut bytes = vec![b'l', METHOD_CALL, 0, 1];
    for number in [length_of(&body), serial, length_of(&head)] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(head);
    pad(&mut bytes, 8);
    bytes.extend(body);
    bytes
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    pad(bytes, 4);
    bytes.extend(length_of(text.as_bytes()).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

fn length_of<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_call_is_laid_out_as_the_specification_says() {
        let fields = [(FIELD_PATH, b'o', "/a"), (FIELD_MEMBER, b's', "M")];
        let bytes = message(7, &fields, &["x"]);
        let expected = b"l\x01\0\x01\x06\0\0\0\x07\0\0\0\x27\0\0\0\
            \x01\x01o\0\x02\0\0\0/a\0\0\0\0\0\0\
            \x03\x01s\0\x01\0\0\0M\0\0\0\0\0\0\0\
            \x08\x01g\0\x01s\0\0\
            \x01\0\0\0x\0";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn an_answer_is_read_and_a_broken_one_is_not() {
        let fields = b"\x06\x01s\0\x04\0\0\0:1.2\0\0\0\0\x05\x01u\0\x07\0\0\0\x08\x01g\0\x01b\0";
        let read = Message::read(METHOD_RETURN, fields, 1u32.to_le_bytes().to_vec()).unwrap();
        assert_eq!(read.reply_to, Some(7));
        assert_eq!(read.body, 1u32.to_le_bytes());
        assert!(Message::read(METHOD_RETURN, &fields[..9], Vec::new()).is_none());
    }
}
