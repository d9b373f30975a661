//! JSON as the reference prints it: 4 spaces of indent, no newline at the end.

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use crate::error::Result;

/// The document as the reference would print it on stdout.
pub(crate) fn pretty(document: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = Vec::with_capacity(1024);
    document.serialize(&mut Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    ")))?;
    Ok(text)
}
