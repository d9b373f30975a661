//! JSON as Go's encoding/json writes it: compact, sorted keys, and `<`, `>`, `&` escaped.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// The bytes that Go's `json.Marshal` makes of the same value.
///
/// Objects inside come sorted because `serde_json::Map` is, as Go's maps are when written.
pub(crate) fn to_vec<T: Serialize>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, GoEscapes))?;
    Ok(bytes)
}

/// Go escapes what could end a `<script>` element or a line of JavaScript.
struct GoEscapes;

impl Formatter for GoEscapes {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        let mut plain = 0;
        for (at, found) in text.match_indices(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            out.write_all(&text.as_bytes()[plain..at])?;
            for letter in found.chars() {
                write!(out, "\\u{:04x}", u32::from(letter))?;
            }
            plain = at + found.len();
        }
        out.write_all(&text.as_bytes()[plain..])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::to_vec;

    fn text(value: &serde_json::Value) -> String {
        String::from_utf8(to_vec(value).unwrap()).unwrap()
    }

    #[test]
    fn markup_and_line_separators_are_escaped_as_go_does() {
        assert_eq!(
            text(&json!({"a": "x<y>&\u{2028}ä\u{2029}"})),
            r#"{"a":"x\u003cy\u003e\u0026\u2028ä\u2029"}"#
        );
    }

    #[test]
    fn keys_are_escaped_too() {
        assert_eq!(text(&json!({"<k>": 1})), r#"{"\u003ck\u003e":1}"#);
    }

    #[test]
    fn objects_are_sorted_and_compact() {
        assert_eq!(
            text(&json!({"b": [1, {"z": null, "a": true}], "a": {}})),
            r#"{"a":{},"b":[1,{"a":true,"z":null}]}"#
        );
    }
}
