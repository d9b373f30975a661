//! One block of 32768 neighbouring addresses as bits: set is taken.

use std::ops::RangeInclusive;

/// Addresses in a block, as a power of two.
pub(super) const BLOCK_BITS: u32 = 15;
/// Addresses in a block.
pub(super) const BLOCK_LEN: u32 = 1 << BLOCK_BITS;
/// Bytes of a block's page in the index file.
pub(super) const PAGE_LEN: usize = 4096;

/// The bits of one block. Places run from 0 to 32767.
#[derive(Clone)]
pub(super) struct Page(Box<[u8; PAGE_LEN]>);

impl Page {
    /// A page without a taken address.
    pub(super) fn empty() -> Page {
        Page(Box::new([0; PAGE_LEN]))
    }

    /// The page as it lies in the file.
    pub(super) fn bytes(&self) -> &[u8; PAGE_LEN] {
        &self.0
    }

    /// The page, to be read from the file.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8; PAGE_LEN] {
        &mut self.0
    }

    /// Whether the address at this place is taken.
    pub(super) fn is_taken(&self, place: usize) -> bool {
        self.0[place / 8] & bit(place) != 0
    }

    /// Takes the address, or gives it back; false if it was so already.
    pub(super) fn put(&mut self, place: usize, taken: bool) -> bool {
        let changes = self.is_taken(place) != taken;
        if changes {
            self.0[place / 8] ^= bit(place);
        }
        changes
    }

    /// The first place that is not taken.
    pub(super) fn first_free(&self, places: RangeInclusive<usize>) -> Option<usize> {
        let (mut place, last) = places.into_inner();
        while place <= last {
            match self.0[place / 8] {
                u8::MAX => place = (place / 8 + 1) * 8,
                _ if !self.is_taken(place) => return Some(place),
                _ => place += 1,
            }
        }
        None
    }

    /// How many places are taken.
    pub(super) fn count(&self, places: RangeInclusive<usize>) -> u32 {
        let (first, last) = places.into_inner();
        let whole = self.0[first / 8..=last / 8].iter().map(|byte| byte.count_ones()).sum::<u32>();
        let before = self.0[first / 8] & (bit(first) - 1);
        let after = self.0[last / 8] & !(bit(last) - 1) & !bit(last);
        whole - before.count_ones() - after.count_ones()
    }
}

fn bit(place: usize) -> u8 {
    1 << (place % 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_and_counts_as_a_set_does(
            taken in btree_set(0_usize..80, 0..70),
            a in 0_usize..80,
            b in 0_usize..80,
        ) {
            let places = a.min(b)..=a.max(b);
            let mut page = Page::empty();
            taken.iter().for_each(|&place| assert!(page.put(place, true)));
            prop_assert_eq!(page.count(places.clone()) as usize, taken.range(places.clone()).count());
            prop_assert_eq!(page.first_free(places.clone()), places.clone().find(|place| !taken.contains(place)));
            prop_assert!(taken.iter().all(|&place| !page.put(place, true) && page.put(place, false)));
            prop_assert_eq!(page.count(0..=32767), 0);
        }
    }
}
