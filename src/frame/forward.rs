//! Bytes on their way on: as they lie in the input, as long as nothing else comes between.

use std::ops::Deref;

/// What goes on to a peer: nearly always a run of the input, which is then not copied.
///
/// A second run that does not follow at once, or bytes that are not the input's, make it a copy
/// of its own.
#[derive(Debug, Default)]
pub struct Forward<'input> {
    run: &'input [u8],
    /// Everything, once there is more than a run.
    copied: Vec<u8>,
}

impl<'input> Forward<'input> {
    /// Nothing yet; copies go into `space`, which is empty.
    pub fn with_space(space: Vec<u8>) -> Self {
        Forward {
            run: &[],
            copied: space,
        }
    }

    /// Appends bytes of the input.
    #[inline]
    pub fn pass(&mut self, run: &'input [u8]) {
        if self.is_empty() {
            self.run = run;
        } else if !run.is_empty() {
            self.copied().extend_from_slice(run);
        }
    }

    /// Appends bytes of any origin.
    pub fn push(&mut self, bytes: &[u8]) {
        self.copied().extend_from_slice(bytes);
    }

    /// A copy of all that there is, to append to.
    pub fn copied(&mut self) -> &mut Vec<u8> {
        let run = std::mem::take(&mut self.run);
        self.copied.extend_from_slice(run);
        &mut self.copied
    }

    /// Forgets what follows the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        self.run = self.run.get(..length).unwrap_or(self.run);
        self.copied.truncate(length);
    }

    /// The space for copies, with what is in it.
    pub fn into_space(self) -> Vec<u8> {
        self.copied
    }
}

impl Deref for Forward<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        if self.run.is_empty() {
            &self.copied
        } else {
            self.run
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_run_is_not_copied() {
        let input = b"frames";
        let mut forward = Forward::default();
        forward.pass(input);
        forward.pass(b"");
        assert_eq!(forward.as_ptr(), input.as_ptr());
        assert_eq!(forward.into_space().capacity(), 0);
    }

    #[test]
    fn whatever_comes_behind_a_run_stands_behind_it() {
        let mut forward = Forward::default();
        forward.pass(b"first ");
        forward.push(b"own ");
        forward.pass(b"second");
        assert_eq!(&*forward, b"first own second");
        forward.truncate(9);
        assert_eq!(&*forward, b"first own");
    }

    #[test]
    fn a_run_can_be_cut_like_a_copy() {
        let mut forward = Forward::default();
        forward.pass(b"first second");
        forward.truncate(5);
        assert_eq!(&*forward, b"first");
        forward.truncate(0);
        assert!(forward.is_empty());
    }
}
