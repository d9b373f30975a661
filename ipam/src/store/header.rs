//! The first 4096 bytes of the index file: what it describes, and which blocks of addresses it has pages for.
//!
//! Little-endian. 0: magic with the format's number; 8: length of the boot id and the boot id (40 bytes); 48:
//! inode of the lease directory; 56: stamp, seconds; 64: stamp, nanoseconds; 68: number of blocks; 72: 1 if
//! there are leases outside of all blocks; from 128 for each block 32 bytes: family (4 or 6), 4: taken
//! addresses, 16: number.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kernel::file::FileId;

use super::bitmap::BLOCK_LEN;
use crate::span::Family;

/// Bytes of the header; its pages follow.
pub(super) const HEADER_LEN: usize = 4096;
/// As many blocks as fit in: 4 million addresses of a network can be in use at once before any goes
/// uncovered.
pub(super) const MOST_BLOCKS: usize = (HEADER_LEN - BLOCKS_AT) / BLOCK_ENTRY_LEN;

const MAGIC: &[u8; 8] = b"TWLEASE1";
const BOOT_AT: usize = 8;
const LONGEST_BOOT: usize = 39;
const BLOCKS_AT: usize = 128;
const BLOCK_ENTRY_LEN: usize = 32;

/// A modification time that no later change of the directory can get from the clock: a second ago.
pub(super) fn stamp() -> (i64, u32) {
    let ago = SystemTime::now() - Duration::from_secs(1);
    let since = ago.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs().cast_signed(), since.subsec_nanos())
}

/// The state of a lease directory that an index describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) boot: String,
    /// The directory, its modification time being the stamp.
    pub(super) dir: FileId,
}

/// One block of addresses that has a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) family: Family,
    /// The addresses' common upper bits.
    pub(super) number: u128,
    /// How many of its addresses are taken.
    pub(super) taken: u32,
}

impl Block {
    pub(super) fn is_full(&self) -> bool {
        self.taken == BLOCK_LEN
    }
}

/// The header as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) described: Described,
    pub(super) blocks: Vec<Block>,
    /// Some leases lie in no block, as there were too many blocks.
    pub(super) overflow: bool,
}

impl Header {
    /// The used part of the header.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Described { boot, dir } = &self.described;
        let mut bytes = MAGIC.to_vec();
        bytes.push(u8::try_from(boot.len()).unwrap_or(u8::MAX));
        bytes.extend(boot.bytes().take(LONGEST_BOOT));
        bytes.resize(BOOT_AT + 1 + LONGEST_BOOT, 0);
        bytes.extend(dir.ino.to_le_bytes());
        bytes.extend(dir.mtime_s.to_le_bytes());
        bytes.extend(dir.mtime_ns.to_le_bytes());
        bytes.extend(u32::try_from(self.blocks.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(u32::from(self.overflow).to_le_bytes());
        bytes.resize(BLOCKS_AT, 0);
        bytes.extend(self.blocks.iter().flat_map(encode_block));
        bytes
    }

    /// `None` for anything that `encode` has not written.
    pub(super) fn decode(bytes: &[u8; HEADER_LEN]) -> Option<Header> {
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        let boot_len = usize::from(bytes[BOOT_AT]);
        let boot = bytes[BOOT_AT + 1..].get(..boot_len).filter(|boot| boot.len() <= LONGEST_BOOT)?;
        let count = u32::from_le_bytes(*array_at(bytes, 68)?) as usize;
        let entries = bytes[BLOCKS_AT..].chunks_exact(BLOCK_ENTRY_LEN).take(count);
        Some(Header {
            described: Described {
                boot: String::from_utf8(boot.to_vec()).ok()?,
                dir: FileId {
                    ino: u64::from_le_bytes(*array_at(bytes, 48)?),
                    mtime_s: i64::from_le_bytes(*array_at(bytes, 56)?),
                    mtime_ns: u32::from_le_bytes(*array_at(bytes, 64)?),
                },
            },
            blocks: entries
                .map(decode_block)
                .collect::<Option<_>>()
                .filter(|blocks: &Vec<_>| blocks.len() == count)?,
            overflow: u32::from_le_bytes(*array_at(bytes, 72)?) != 0,
        })
    }
}

fn encode_block(block: &Block) -> [u8; BLOCK_ENTRY_LEN] {
    let mut bytes = [0; BLOCK_ENTRY_LEN];
    bytes[0] = if block.family == Family::V4 { 4 } else { 6 };
    bytes[4..8].copy_from_slice(&block.taken.to_le_bytes());
    bytes[16..].copy_from_slice(&block.number.to_le_bytes());
    bytes
}

fn decode_block(bytes: &[u8]) -> Option<Block> {
    let family = match bytes.first()? {
        4 => Family::V4,
        6 => Family::V6,
        _ => return None,
    };
    let taken = u32::from_le_bytes(*array_at(bytes, 4)?);
    Some(Block { family, number: u128::from_le_bytes(*array_at(bytes, 16)?), taken })
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<&[u8; N]> {
    bytes.get(at..)?.first_chunk()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let header = header();
        let bytes = padded(&header);
        assert_eq!(Header::decode(&bytes), Some(header));
    }

    #[test]
    fn what_is_no_header_is_not_taken_for_one() {
        assert_eq!(Header::decode(&[0; HEADER_LEN]), None);
        for (at, byte) in [(0, b'X'), (BOOT_AT, 40), (68, 125), (BLOCKS_AT, 5)] {
            let mut bytes = padded(&header());
            bytes[at] = byte;
            assert_eq!(Header::decode(&bytes), None, "byte {at}");
        }
    }

    #[test]
    fn a_stamp_is_in_the_past() {
        let (seconds, nanoseconds) = stamp();
        let time = UNIX_EPOCH + Duration::new(seconds.try_into().unwrap(), nanoseconds);
        let age = SystemTime::now().duration_since(time).unwrap();
        assert!(age >= Duration::from_secs(1) && age < Duration::from_secs(60));
    }

    fn padded(header: &Header) -> [u8; HEADER_LEN] {
        let mut bytes = header.encode();
        bytes.resize(HEADER_LEN, 0);
        bytes.try_into().unwrap()
    }

    fn header() -> Header {
        let block = |family, number, taken| Block { family, number, taken };
        Header {
            described: Described {
                boot: "5b1f7e0e-0c4b-4d40-a4de-2d4a7bd1b6d5".into(),
                dir: FileId { ino: 7, mtime_s: 1_700_000_000, mtime_ns: 999_999_999 },
            },
            blocks: vec![
                block(Family::V4, 0x0a01_0000 >> 15, 3),
                block(Family::V6, u128::MAX >> 15, BLOCK_LEN),
            ],
            overflow: true,
        }
    }
}
