//! A request as text, in the form of `golden.txt`.

use kernel::netlink::{attributes, replies, text};

/// The flags that a request to make something may carry.
const FLAGS: [(u16, &str); 3] = [(0x400, "create"), (0x200, "excl"), (0x800, "append")];

/// Message, family and flags on the first line, then the attributes.
pub(crate) fn tree(message: &[u8]) -> String {
    let reply = replies(message).next().unwrap();
    let kind = reply.kind & 0xff;
    assert_eq!(reply.kind >> 8, 10, "not of nf_tables");
    let mut words = vec![message_name(kind), family_name(reply.payload[0])];
    // Of each kind of object the message numbers are new, get, delete.
    if kind.is_multiple_of(3) {
        words.extend(FLAGS.iter().filter(|(bit, _)| reply.flags & bit != 0).map(|(_, word)| *word));
    }
    let mut lines = vec![words.join(" ")];
    put(&mut lines, &reply.payload[4..], 1);
    lines.join("\n")
}

fn put(lines: &mut Vec<String>, bytes: &[u8], depth: usize) {
    let indent = "  ".repeat(depth);
    let mut rest = bytes;
    for (kind, value) in attributes(bytes) {
        // The codec masks the flag bits out; whether an attribute is nested is in the raw type.
        let nested = rest[3] & 0x80 != 0;
        rest = &rest[(value.len() + 4).next_multiple_of(4).min(rest.len())..];
        if nested {
            lines.push(format!("{indent}{kind}:"));
            put(lines, value, depth + 1);
        } else {
            lines.push(format!("{indent}{kind} {}", shown(value)));
        }
    }
}

fn shown(value: &[u8]) -> String {
    let printable = |byte: &u8| (32..127).contains(byte);
    match value {
        [name @ .., 0] if !name.is_empty() && name.iter().all(printable) => format!("\"{}\"", text(value)),
        _ => value.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn message_name(kind: u16) -> &'static str {
    match kind {
        0 => "newtable",
        2 => "deltable",
        3 => "newchain",
        5 => "delchain",
        6 => "newrule",
        8 => "delrule",
        9 => "newset",
        11 => "delset",
        12 => "newsetelem",
        14 => "delsetelem",
        _ => panic!("message {kind}"),
    }
}

fn family_name(number: u8) -> &'static str {
    match number {
        1 => "inet",
        2 => "ip",
        7 => "bridge",
        10 => "ip6",
        _ => panic!("family {number}"),
    }
}
