//! Scratch buffers: taken when there is something to do, given back before sleeping.
//!
//! One set per worker, last used first, so that a thousand idle connections hold none and a busy
//! worker keeps writing to memory that is in its cache.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
    rc::Rc,
};

/// Bytes of a read buffer: four TLS records.
pub const READ_SIZE: usize = 4 * (5 + (1 << 14) + 256);
/// Buffers of a kind that a worker keeps when they are not in use.
const KEPT: usize = 8;
/// A gathering buffer that grew larger than this is not kept.
const GATHER_MAX: usize = 1 << 20;

/// The buffers of one worker; clones share them.
#[derive(Clone, Default)]
pub struct Buffers(Rc<Shelves>);

#[derive(Default)]
struct Shelves {
    read: RefCell<Vec<Vec<u8>>>,
    gather: RefCell<Vec<Vec<u8>>>,
}

/// A buffer of [`READ_SIZE`] bytes to read into; its content is left over from earlier use.
pub struct ReadBuffer {
    bytes: Vec<u8>,
    home: Rc<Shelves>,
}

/// An empty vector to append to.
pub struct GatherBuffer {
    bytes: Vec<u8>,
    home: Rc<Shelves>,
}

impl Buffers {
    /// A buffer to read into.
    pub fn read(&self) -> ReadBuffer {
        let kept = self.0.read.borrow_mut().pop();
        ReadBuffer {
            bytes: kept.unwrap_or_else(|| vec![0; READ_SIZE]),
            home: self.0.clone(),
        }
    }

    /// An empty vector with room.
    pub fn gather(&self) -> GatherBuffer {
        let kept = self.0.gather.borrow_mut().pop();
        GatherBuffer {
            bytes: kept.unwrap_or_else(|| Vec::with_capacity(READ_SIZE)),
            home: self.0.clone(),
        }
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        keep(&self.home.read, std::mem::take(&mut self.bytes));
    }
}

impl Drop for GatherBuffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        if bytes.capacity() <= GATHER_MAX {
            keep(&self.home.gather, bytes);
        }
    }
}

fn keep(shelf: &RefCell<Vec<Vec<u8>>>, bytes: Vec<u8>) {
    let mut shelf = shelf.borrow_mut();
    if shelf.len() < KEPT {
        shelf.push(bytes);
    }
}

impl Deref for ReadBuffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for ReadBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Deref for GatherBuffer {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl AsRef<[u8]> for GatherBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for GatherBuffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_given_back_is_used_again() {
        let buffers = Buffers::default();
        let first = buffers.read().as_ptr();
        assert_eq!(buffers.read().as_ptr(), first);
    }

    #[test]
    fn a_gathering_buffer_comes_empty() {
        let buffers = Buffers::default();
        buffers.gather().extend_from_slice(b"left over");
        assert!(buffers.gather().is_empty());
    }
}
