//! Comments: nf_tables keeps opaque user data for whoever made an object; this is how `nft` lays text into
//! it.
//!
//! User data is a row of (type, length, value). The value of a comment ends in NUL; `nft` refuses to read
//! back a comment longer than [`MAX_COMMENT`].

use crate::netlink::text;

/// The longest comment that `nft` accepts when it reads its own listing; longer ones are cut.
pub const MAX_COMMENT: usize = 128;

/// The type of the comment of a table, chain, rule or element (`NFTNL_UDATA_*_COMMENT`).
pub(super) const PLAIN: u8 = 0;
/// The type of the comment of a set (`NFTNL_UDATA_SET_COMMENT`).
pub(super) const OF_SET: u8 = 7;

/// One comment as user data.
pub(super) fn userdata(kind: u8, comment: &str) -> Vec<u8> {
    let shown = shown(comment).as_bytes();
    let mut bytes = Vec::with_capacity(shown.len() + 3);
    bytes.push(kind);
    bytes.push(u8::try_from(shown.len() + 1).unwrap_or(u8::MAX));
    bytes.extend_from_slice(shown);
    bytes.push(0);
    bytes
}

/// The comment in user data, if one is there.
pub(super) fn read(mut userdata: &[u8], kind: u8) -> Option<String> {
    loop {
        let (found, length) = (*userdata.first()?, usize::from(*userdata.get(1)?));
        let value = userdata.get(2..2 + length)?;
        if found == kind {
            return Some(text(value));
        }
        userdata = &userdata[2 + length..];
    }
}

/// What is kept of a comment: the longest beginning that fits, never half a character, and nothing behind a
/// NUL.
pub(super) fn shown(comment: &str) -> &str {
    let comment = comment.split('\0').next().unwrap_or_default();
    let end = (0..=comment.len().min(MAX_COMMENT)).rev().find(|end| comment.is_char_boundary(*end));
    &comment[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_read_back() {
        assert_eq!(userdata(PLAIN, "x"), [0, 2, b'x', 0]);
        assert_eq!(read(&userdata(PLAIN, "net a, id b"), PLAIN).as_deref(), Some("net a, id b"));
    }

    #[test]
    fn a_long_comment_is_cut_between_characters() {
        let long = "é".repeat(100);
        assert_eq!(read(&userdata(PLAIN, &long), PLAIN), Some("é".repeat(64)));
        let odd = format!("x{long}");
        assert_eq!(read(&userdata(PLAIN, &odd), PLAIN), Some(format!("x{}", "é".repeat(63))));
    }

    #[test]
    fn other_user_data_is_stepped_over_and_broken_data_is_no_comment() {
        let mut bytes = vec![0, 4, 2, 0, 0, 0];
        bytes.extend(userdata(OF_SET, "six"));
        assert_eq!(read(&bytes, OF_SET).as_deref(), Some("six"));
        assert_eq!(read(&bytes[..bytes.len() - 1], OF_SET), None);
        assert_eq!(read(&[], PLAIN), None);
    }
}
