//! Memory that processes forked from one another share, as a row of 64-bit cells.
//!
//! Cells are atomic, so there is nothing in it that a reader could see half-written, also when the
//! writer is killed between two stores.

use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

/// `N` cells, all zero at first. The mapping lasts as long as the process, and is handed on by `fork`.
#[derive(Debug, Clone, Copy)]
pub struct Cells<const N: usize> {
    at: NonNull<[AtomicU64; N]>,
}

// SAFETY: nothing but atomics is reached through the pointer, and the mapping is never removed.
unsafe impl<const N: usize> Send for Cells<N> {}
// SAFETY: as above.
unsafe impl<const N: usize> Sync for Cells<N> {}

impl<const N: usize> Cells<N> {
    /// Maps the memory.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new() -> io::Result<Self> {
        let size = NonZeroUsize::new(size_of::<[AtomicU64; N]>())
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let flags = MapFlags::MAP_SHARED;
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let at = unsafe { mmap_anonymous(None, size, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags)? };
        Ok(Self { at: at.cast() })
    }

    /// The cells.
    #[must_use]
    pub fn get(&self) -> &[AtomicU64; N] {
        // SAFETY: the mapping is as large as the array, aligned to a page, zeroed (a valid AtomicU64) and never
        // removed.
        unsafe { self.at.as_ref() }
    }
}
