//! The allocator of a process that lives for a millisecond: a fixed stretch of memory, given out front to
//! back.
//!
//! A general allocator asks the kernel for pages and gives them back, some thirty system calls in one ADD;
//! here the pages are in the binary's own zeroed data and the end of the process frees them. What does not
//! fit goes to the system's allocator, so that a large request costs no more than it would without.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes given out before the system's allocator is asked: an ADD takes some 150 KiB, most of it buffers
/// whose pages are never touched.
const SIZE: usize = 512 * 1024;

/// The allocator. A plugin's `main.rs` names it by `#[global_allocator]`; a daemon must not, nothing is
/// reused.
pub struct Arena {
    used: AtomicUsize,
    memory: UnsafeCell<Memory>,
}

#[repr(C, align(64))]
struct Memory([u8; SIZE]);

// SAFETY: `memory` is only reached through the stretches that `take` gives out, each to one caller; `used` is
// atomic.
unsafe impl Sync for Arena {}

impl std::fmt::Debug for Arena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arena").field("used", &self.used).finish_non_exhaustive()
    }
}

impl Default for Arena {
    fn default() -> Arena {
        Arena::new()
    }
}

impl Arena {
    /// An arena with nothing given out.
    pub const fn new() -> Arena {
        Arena { used: AtomicUsize::new(0), memory: UnsafeCell::new(Memory([0; SIZE])) }
    }

    fn start(&self) -> *mut u8 {
        self.memory.get().cast()
    }

    /// The offset of `pointer` when it was given out from here.
    fn offset(&self, pointer: *mut u8) -> Option<usize> {
        pointer.addr().checked_sub(self.start().addr()).filter(|offset| *offset < SIZE)
    }

    /// The offset of a new stretch; `None` when there is no room.
    fn take(&self, layout: Layout) -> Option<usize> {
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            // The memory is aligned to a cache line; what wants more goes to the system.
            let from = used.next_multiple_of(layout.align());
            let to = from.checked_add(layout.size()).filter(|to| *to <= SIZE && layout.align() <= 64)?;
            match self.used.compare_exchange_weak(used, to, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Some(from),
                Err(now) => used = now,
            }
        }
    }

    /// Changes the end of the stretch that was given out last; false when it is another. Acquire and release,
    /// here and in `take`, so that what one thread wrote to a stretch happens before another gets it.
    fn move_end(&self, end: usize, to: usize) -> bool {
        to <= SIZE && self.used.compare_exchange(end, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

// SAFETY: a stretch is given out once (`take` moves `used` past it in one atomic step) and is used up unless
// it is the last one, whose return makes it free again; sizes and alignments are those of the layout; what
// lies outside the arena came from `System` and goes back there.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.take(layout) {
            // SAFETY: the offset and the stretch behind it lie within `memory`.
            Some(offset) => unsafe { self.start().add(offset) },
            // SAFETY: the caller's promises are passed on.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match self.offset(pointer) {
            Some(offset) => {
                self.move_end(offset + layout.size(), offset);
            }
            // SAFETY: it came from `System`; the caller's promises are passed on.
            None => unsafe { System.dealloc(pointer, layout) },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(offset) = self.offset(pointer) else {
            // SAFETY: it came from `System`; the caller's promises are passed on.
            return unsafe { System.realloc(pointer, layout, size) };
        };
        if self.move_end(offset + layout.size(), offset + size) {
            return pointer;
        }
        // SAFETY: the caller promises that the size is right for the alignment and not zero.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: both stretches are at least this long, and a new one never overlaps one in use.
            unsafe { std::ptr::copy_nonoverlapping(pointer, new, layout.size().min(size)) };
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs an allocator call of the test, which keeps the promises of `GlobalAlloc`.
    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap_or(Layout::new::<u8>())
    }

    #[test]
    fn stretches_do_not_overlap_and_are_aligned() {
        let arena = Arena::new();
        let mut last_end = 0;
        for (size, align) in [(1, 1), (8, 8), (3, 1), (64, 64), (100, 16)] {
            // SAFETY: the layouts have sizes above zero.
            let start = unsafe { arena.alloc(layout(size, align)) }.addr();
            assert_eq!(start % align, 0);
            assert!(start >= last_end);
            last_end = start + size;
        }
    }

    #[test]
    fn the_last_stretch_grows_in_place_and_keeps_its_bytes_when_it_moves() {
        let arena = Arena::new();
        // SAFETY: sizes above zero, and each pointer is used with the layout that it was got with.
        unsafe {
            let first = arena.alloc(layout(16, 8));
            first.write_bytes(7, 16);
            assert_eq!(arena.realloc(first, layout(16, 8), 32), first);
            let _second = arena.alloc(layout(8, 8));
            let moved = arena.realloc(first, layout(32, 8), 64);
            assert_ne!(moved, first);
            assert_eq!(std::slice::from_raw_parts(moved, 16), [7; 16]);
        }
    }

    #[test]
    fn what_does_not_fit_comes_from_the_system_and_goes_back() {
        let arena = Arena::new();
        // SAFETY: a size above zero, returned with the same layout.
        unsafe {
            let large = arena.alloc(layout(SIZE + 1, 8));
            assert!(arena.offset(large).is_none());
            let larger = arena.realloc(large, layout(SIZE + 1, 8), SIZE + 4096);
            arena.dealloc(larger, layout(SIZE + 4096, 8));
        }
        assert_eq!(arena.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_last_stretch_is_used_again() {
        let arena = Arena::new();
        // SAFETY: sizes above zero, returned with the same layout.
        unsafe {
            let first = arena.alloc(layout(100, 8));
            arena.dealloc(first, layout(100, 8));
            assert_eq!(arena.alloc(layout(100, 8)), first);
        }
    }
}
