//! A few bytes held in place.

/// At most `CAPACITY` bytes (and no more than 255), without an allocation.
#[derive(Clone, Copy)]
pub struct InlineBytes<const CAPACITY: usize> {
    bytes: [u8; CAPACITY],
    length: u8,
}

impl<const CAPACITY: usize> InlineBytes<CAPACITY> {
    /// No bytes yet.
    pub const fn new() -> Self {
        const { assert!(CAPACITY <= u8::MAX as usize) };
        InlineBytes {
            bytes: [0; CAPACITY],
            length: 0,
        }
    }

    /// Appends as much of `more` as there is room for; returns how many bytes that were.
    pub fn extend(&mut self, more: &[u8]) -> usize {
        let held = self.len();
        let room = self.bytes.get_mut(held..).unwrap_or_default();
        let taken = room.len().min(more.len());
        for (slot, byte) in room.iter_mut().zip(more) {
            *slot = *byte;
        }
        self.length = u8::try_from(held + taken).unwrap_or(u8::MAX);
        taken
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// The bytes held.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len()).unwrap_or_default()
    }

    /// The bytes held, to be changed in place.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        let length = self.len();
        self.bytes.get_mut(..length).unwrap_or_default()
    }

    /// How many bytes are held.
    pub fn len(&self) -> usize {
        usize::from(self.length)
    }

    /// Whether none are held.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl<const CAPACITY: usize> Default for InlineBytes<CAPACITY> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const CAPACITY: usize> PartialEq for InlineBytes<CAPACITY> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<const CAPACITY: usize> Eq for InlineBytes<CAPACITY> {}

impl<const CAPACITY: usize> std::fmt::Debug for InlineBytes<CAPACITY> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_slice().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_left_out_and_told() {
        let mut bytes = InlineBytes::<4>::new();
        assert_eq!(bytes.extend(b"abc"), 3);
        assert_eq!(bytes.extend(b"de"), 1);
        assert_eq!(bytes.extend(b"f"), 0);
        assert_eq!(bytes.as_slice(), b"abcd");
    }

    #[test]
    fn equality_is_about_the_bytes_held() {
        let mut used = InlineBytes::<4>::new();
        used.extend(b"xyz");
        used.clear();
        assert_eq!(used, InlineBytes::new());
        assert!(used.is_empty());
    }
}
