//! Buffers that begin on a cache line.
//!
//! An ordinary vector begins 16 bytes into a line, so that every 64-byte load and store of a
//! kernel touches two lines.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

/// A fixed-length buffer whose first entry begins a cache line.
///
/// ```
/// use hmm_core::{Aligned, Real};
/// let w = Aligned::copied_from(&[3.0_f32, 4.0]);
/// assert_eq!(w.as_ptr().align_offset(64), 0);
/// assert_eq!(f32::dot(&w, &w), 25.0);
/// ```
#[derive(Debug, Default)]
pub struct Aligned<T> {
    storage: Vec<T>,
    offset: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// An empty buffer.
    pub const fn empty() -> Self {
        Self {
            storage: Vec::new(),
            offset: 0,
            len: 0,
        }
    }

    /// `len` default values (zeros).
    pub fn zeros(len: usize) -> Self {
        let mut storage = vec![T::default(); len + LINE / size_of::<T>().max(1)];
        let offset = storage
            .as_mut_ptr()
            .align_offset(LINE)
            .min(storage.len() - len);
        Self {
            storage,
            offset,
            len,
        }
    }

    /// A copy of `values`.
    pub fn copied_from(values: &[T]) -> Self {
        let mut copy = Self::zeros(values.len());
        copy.copy_from_slice(values);
        copy
    }

    /// Make the length `len`; what the buffer held is lost if that changes it.
    pub fn reset_len(&mut self, len: usize) {
        if len != self.len {
            *self = Self::zeros(len);
        }
    }
}

impl<T: Copy + Default> Clone for Aligned<T> {
    fn clone(&self) -> Self {
        Self::copied_from(self)
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.storage
            .get(self.offset..self.offset + self.len)
            .unwrap_or_default()
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.storage
            .get_mut(self.offset..self.offset + self.len)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_a_cache_line_and_survives_moves_and_clones() {
        for len in [0, 1, 7, 1000] {
            let values: Vec<f64> = (0..len).map(f64::from).collect();
            let buffer = Aligned::copied_from(&values);
            let clone = buffer.clone();
            let moved = Box::new(buffer);
            assert_eq!(&moved[..], &values[..]);
            assert_eq!(&clone[..], &values[..]);
            assert!(len == 0 || moved.as_ptr().align_offset(LINE) == 0);
            assert!(len == 0 || clone.as_ptr().align_offset(LINE) == 0);
        }
    }
}
