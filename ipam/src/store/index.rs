//! Which addresses are taken, as a bitmap in a file, so that a free one is found without reading the leases.
//!
//! The index lies beside the lease directory and can be wrong whenever somebody else changes that: the
//! reference plugin, a person, or one of us who was killed half-way. So it proves itself before it is used.
//!
//! **The proof.** Whoever changes a lease directory here changes the leases first, then the index, and last
//! sets the directory's modification time to a *stamp*: a time one second in the past, which the index holds
//! too. An index is believed when boot, inode and stamp are those of the directory. Every creation, removal
//! or renaming of an entry by anybody sets the modification time to the kernel's clock. So the two are equal
//! only if nothing was created or removed since the index was written whole:
//! - *A kill* before the last step leaves the kernel's time on the directory, or the stamp of before the
//!   change if nothing had been changed yet.
//! - *The clock* has passed the stamp when the stamp is made; a later change gets a later time. A clock that
//!   is set back would have to meet the stamp to the nanosecond.
//! - *Two changes in one tick* of the kernel's clock look alike, but neither looks like a stamp.
//! - *A directory restored* from a backup together with its times has another inode or an older stamp, as
//!   stamps never repeat; if the index came from the same backup, both agree, and rightly.
//! - *A coarse file system*, or one where the time cannot be set, keeps another time than the stamp: the
//!   index is never believed, and each call reads all leases, as the reference does.
//! - *Writing into* a lease file that exists does not touch the directory, but neither does it free or take
//!   an address. Whose a lease is, is read from the lease itself; only a DEL for a name that somebody wrote
//!   into an existing file does not find it before the next rescan (editors and `sed -i` make a new file,
//!   which is seen).
//!
//! Two things can slip in unseen: what somebody does without the lock within the fraction of a millisecond
//! between our change and our stamp; and owner files removed by hand. Even then no address is given twice, as
//! it is the exclusive creation of the lease file that gives it. What was forgotten is found by GC, and when
//! a set looks full: both read everything.
//!
//! Atomicity, not durability: nothing here is synced. After a power failure the boot is another, the index
//! counts for nothing, and no lease of the boot before is worth anything either.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::IpAddr;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::OFlags;

use super::bitmap::{BLOCK_BITS, BLOCK_LEN, PAGE_LEN, Page};
use super::files;
use super::header::{Block, Described, HEADER_LEN, Header, MOST_BLOCKS};
use crate::span::{Family, Span, address, number};

type BlockId = (Family, u128);

/// The index of one lease directory, held in memory as far as it was needed.
#[derive(Debug)]
pub(super) struct Index {
    header: Header,
    pages: BTreeMap<usize, Page>,
    /// The file that pages can be read from; `None` if all of them are in memory.
    file: Option<File>,
    /// Pages and bytes in them that the file has otherwise; `None` stands for the whole page.
    changes: Vec<(usize, Option<usize>)>,
    /// Something was found to be other than it says here.
    contradicted: bool,
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} taken", self.count(0..=BLOCK_LEN as usize - 1))
    }
}

impl Index {
    /// The index in this file, if it is one.
    pub(super) fn open(path: &Path) -> Option<Index> {
        let file = files::open(path, OFlags::RDWR).ok()?;
        let mut bytes = [0; HEADER_LEN];
        file.read_exact_at(&mut bytes, 0).ok()?;
        let header = Header::decode(&bytes)?;
        Some(Index { header, pages: BTreeMap::new(), file: Some(file), changes: vec![], contradicted: false })
    }

    /// The index of a directory in which these addresses are taken.
    pub(super) fn of(described: Described, taken: impl Iterator<Item = IpAddr>) -> Index {
        let mut pages: BTreeMap<BlockId, Page> = BTreeMap::new();
        for ip in taken {
            let (id, place) = block_of(ip);
            pages.entry(id).or_insert_with(Page::empty).put(place, true);
        }
        let full = 0..=BLOCK_LEN as usize - 1;
        let mut blocks: Vec<(Block, Page)> = pages
            .into_iter()
            .map(|((family, number), page)| (Block { family, number, taken: page.count(full.clone()) }, page))
            .collect();
        let overflow = blocks.len() > MOST_BLOCKS;
        if overflow {
            blocks.sort_by_key(|(block, _)| std::cmp::Reverse(block.taken));
            blocks.truncate(MOST_BLOCKS);
        }
        let (blocks, pages): (Vec<_>, Vec<_>) = blocks.into_iter().unzip();
        Index {
            header: Header { described, blocks, overflow },
            pages: pages.into_iter().enumerate().collect(),
            file: None,
            changes: vec![],
            contradicted: false,
        }
    }

    /// The state of the directory that this was written for.
    pub(super) fn described(&self) -> &Described {
        &self.header.described
    }

    /// Whether the file has to be written for it to say the same.
    pub(super) fn is_changed(&self) -> bool {
        self.file.is_none() || !self.changes.is_empty() || self.contradicted
    }

    /// Whether it can be believed next time.
    pub(super) fn is_sound(&self) -> bool {
        !self.contradicted
    }

    /// Whether leases may lie where it has no pages, so that finding one there contradicts nothing.
    pub(super) fn overflows(&self) -> bool {
        self.header.overflow
    }

    /// Something is not as it says here: it is not to be believed any more.
    pub(super) fn contradict(&mut self) {
        self.contradicted = true;
    }

    /// The first address of a span that is not known to be taken.
    pub(super) fn first_free(&mut self, span: Span) -> Option<IpAddr> {
        for number in span.first >> BLOCK_BITS..=span.last >> BLOCK_BITS {
            let part = span.intersection(span_of(span.family, number))?;
            let Some(slot) = self.slot((span.family, number)) else {
                return Some(address(span.family, part.first));
            };
            if self.header.blocks[slot].is_full() {
                continue;
            }
            if let Some(place) = self.page(slot).first_free(place(part.first)..=place(part.last)) {
                return Some(address(span.family, number << BLOCK_BITS | place as u128));
            }
        }
        None
    }

    /// How many addresses of a span are taken.
    pub(super) fn count(&mut self, span: Span) -> u128 {
        let mut count = 0;
        for slot in 0..self.header.blocks.len() {
            let block = self.header.blocks[slot];
            let whole = span_of(block.family, block.number);
            match span.intersection(whole) {
                None => {}
                Some(part) if part == whole => count += u128::from(block.taken),
                Some(part) => {
                    count += u128::from(self.page(slot).count(place(part.first)..=place(part.last)));
                }
            }
        }
        count
    }

    /// Whether an address is taken.
    pub(super) fn is_taken(&mut self, ip: IpAddr) -> bool {
        let (id, place) = block_of(ip);
        self.slot(id).is_some_and(|slot| self.page(slot).is_taken(place))
    }

    /// The address is taken now, or free now.
    pub(super) fn put(&mut self, ip: IpAddr, taken: bool) {
        let (id, place) = block_of(ip);
        let Some(slot) = self.slot(id).or_else(|| self.add_block(id, taken)) else { return };
        if !self.page(slot).put(place, taken) {
            return;
        }
        let count = &mut self.header.blocks[slot].taken;
        *count = if taken { *count + 1 } else { count.saturating_sub(1) };
        self.changes.push((slot, Some(place / 8)));
    }

    /// Writes what has changed, and what it describes from now on.
    pub(super) fn write(&mut self, path: &Path, described: Described) -> std::io::Result<()> {
        self.header.described = described;
        match &self.file {
            Some(file) => self.write_changes(file)?,
            None => self.file = Some(self.write_whole(path)?),
        }
        self.changes.clear();
        Ok(())
    }

    fn write_changes(&self, file: &File) -> std::io::Result<()> {
        for &(slot, byte) in &self.changes {
            let Some(page) = self.pages.get(&slot) else { continue };
            match byte {
                Some(byte) => file.write_all_at(&page.bytes()[byte..=byte], page_at(slot) + byte as u64)?,
                None => file.write_all_at(page.bytes(), page_at(slot))?,
            }
        }
        file.write_all_at(&self.header.encode(), 0)
    }

    fn write_whole(&self, path: &Path) -> std::io::Result<File> {
        let file = files::open(path, OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC)?;
        let mut bytes = self.header.encode();
        bytes.resize(HEADER_LEN, 0);
        self.pages.values().for_each(|page| bytes.extend(page.bytes()));
        file.write_all_at(&bytes, 0)?;
        Ok(file)
    }

    fn slot(&self, (family, number): BlockId) -> Option<usize> {
        self.header.blocks.iter().position(|block| block.family == family && block.number == number)
    }

    /// A page for a block that has none: a new one or that of a block without leases.
    fn add_block(&mut self, (family, number): BlockId, taken: bool) -> Option<usize> {
        if !taken {
            return None;
        }
        let block = Block { family, number, taken: 0 };
        let slot = if self.header.blocks.len() < MOST_BLOCKS {
            self.header.blocks.push(block);
            self.header.blocks.len() - 1
        } else if let Some(unused) = self.header.blocks.iter().position(|block| block.taken == 0) {
            self.header.blocks[unused] = block;
            unused
        } else {
            self.header.overflow = true;
            return None;
        };
        self.pages.insert(slot, Page::empty());
        self.changes.push((slot, None));
        Some(slot)
    }

    /// The page of a block. One that cannot be read counts as empty, and the whole index as contradicted.
    fn page(&mut self, slot: usize) -> &mut Page {
        let Index { pages, file, contradicted, .. } = self;
        pages.entry(slot).or_insert_with(|| {
            let mut page = Page::empty();
            let read = file.as_ref().map(|file| file.read_exact_at(page.bytes_mut(), page_at(slot)));
            if !matches!(read, Some(Ok(()))) {
                *contradicted = true;
                return Page::empty();
            }
            page
        })
    }
}

fn block_of(ip: IpAddr) -> (BlockId, usize) {
    let (family, number) = number(ip);
    ((family, number >> BLOCK_BITS), place(number))
}

fn span_of(family: Family, block: u128) -> Span {
    let first = block << BLOCK_BITS;
    Span { family, first, last: first | u128::from(BLOCK_LEN - 1) }
}

/// The place of an address in its block.
fn place(number: u128) -> usize {
    usize::try_from(number % u128::from(BLOCK_LEN)).unwrap_or_default()
}

fn page_at(slot: usize) -> u64 {
    (HEADER_LEN + slot * PAGE_LEN) as u64
}
