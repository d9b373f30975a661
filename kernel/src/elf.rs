//! Recognises binaries of this very build by a note in their ELF file, with one small read.

use crate::netlink::{u16_at, u32_at};
use crate::sys;
use rustix::fs::{Mode, OFlags};
use std::path::Path;

/// What is read of the file: linkers put notes right behind the program headers.
const HEAD: usize = 4096;
/// `\x7fELF`, 64 bits, this machine's byte order, ELF version 1.
const IDENTITY: [u8; 7] = [0x7f, b'E', b'L', b'F', 2, if cfg!(target_endian = "little") { 1 } else { 2 }, 1];
/// Type of a program header that leads to notes.
const PT_NOTE: u32 = 4;

/// The version in the note of the binary at this path; `None` when it has none, or is no such file at all.
pub fn build_note_of(path: &Path) -> Option<String> {
    // NONBLOCK: a FIFO at this path must not hang the caller.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let mut head = Vec::with_capacity(HEAD);
    rustix::io::pread(&fd, rustix::buffer::spare_capacity(&mut head), 0).ok()?;
    note_in(&head)
}

/// The version in the note of the running binary.
pub fn own_build_note() -> &'static str {
    sys::own_note()
}

/// Walks the program headers of an `Elf64_Ehdr` (elf(5)).
fn note_in(head: &[u8]) -> Option<String> {
    if !head.starts_with(&IDENTITY) {
        return None;
    }
    let table = offset_at(head, 32)?;
    let size = usize::from(u16_at(head, 54)?);
    let count = usize::from(u16_at(head, 56)?);
    (0..count).find_map(|index| note_of_header(head, table.checked_add(index * size)?))
}

/// Looks at one `Elf64_Phdr`.
fn note_of_header(head: &[u8], at: usize) -> Option<String> {
    if u32_at(head, at)? != PT_NOTE {
        return None;
    }
    let start = offset_at(head, at.checked_add(8)?)?;
    let length = offset_at(head, at.checked_add(32)?)?;
    our_note(head.get(start..start.checked_add(length)?)?)
}

/// Looks for ours among the notes of one segment: `Elf64_Nhdr`, owner, description, each padded to four.
fn our_note(mut notes: &[u8]) -> Option<String> {
    loop {
        let owner_length = u32_at(notes, 0)?;
        let description_length = u32_at(notes, 4)? as usize;
        let kind = u32_at(notes, 8)?;
        let description_at = 12_usize.checked_add((owner_length as usize).checked_next_multiple_of(4)?)?;
        let end = description_at.checked_add(description_length)?;
        let description = notes.get(description_at..end)?;
        let ours = owner_length == sys::NOTE_OWNER_LENGTH && notes[12..description_at] == *sys::NOTE_OWNER;
        if ours && kind == sys::NOTE_TYPE {
            return String::from_utf8(description.to_vec()).ok();
        }
        notes = notes.get(end.checked_next_multiple_of(4)?..)?;
    }
}

fn offset_at(bytes: &[u8], at: usize) -> Option<usize> {
    let value: [u8; 8] = bytes.get(at..at.checked_add(8)?)?.try_into().ok()?;
    usize::try_from(u64::from_ne_bytes(value)).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_binary_of_this_build_is_recognised() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(build_note_of(&own).as_deref(), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(own_build_note(), env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn anything_else_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("script");
        std::fs::write(&script, "#!/bin/sh\necho hello\n").unwrap();
        let empty = dir.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        let others = [script.as_path(), &empty, dir.path(), Path::new("/bin/sh"), Path::new("/nonexistent")];
        for path in others {
            assert_eq!(build_note_of(path), None, "{}", path.display());
        }
    }

    #[test]
    fn every_cut_of_a_real_head_is_read_without_harm() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for cut in 0..HEAD {
            let found = note_in(&own[..cut]);
            assert!(found.is_none() || found.as_deref() == Some(env!("CARGO_PKG_VERSION")));
        }
    }

    proptest! {
        #[test]
        fn garbage_is_never_ours(bytes in proptest::collection::vec(any::<u8>(), 0..HEAD)) {
            prop_assert_eq!(note_in(&bytes), None);
        }

        #[test]
        fn a_damaged_head_is_read_without_harm(damage in proptest::collection::vec((0..HEAD, any::<u8>()), 1..40)) {
            let mut head = std::fs::read(std::env::current_exe().unwrap()).unwrap()[..HEAD].to_vec();
            for (at, byte) in damage {
                head[at] = byte;
            }
            let _ = note_in(&head);
        }

        #[test]
        fn random_notes_behind_a_good_head_are_read_without_harm(notes in proptest::collection::vec(any::<u32>(), 0..64)) {
            let bytes: Vec<u8> = notes.iter().flat_map(|word| (word % 64).to_ne_bytes()).collect();
            prop_assert_eq!(our_note(&bytes), None);
        }
    }
}
