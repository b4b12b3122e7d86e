//! What the tests of several modules share.

/// A generator of numbers that look random (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[7]
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next()).unwrap_or(0) % end
    }

    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// The bytes of a frame, written without the code under test. `first` is the first byte.
pub(crate) fn frame(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let flag = if key.is_some() { 0x80 } else { 0 };
    let length = (payload.len() as u64).to_be_bytes();
    let (short, long): (u8, &[u8]) = match payload.len() {
        0..=125 => (length[7], &[]),
        126..=65535 => (0x7e, &length[6..]),
        _ => (0x7f, &length),
    };
    let mut bytes = vec![first, flag | short];
    bytes.extend(long);
    bytes.extend(key.iter().flatten());
    let key = key.unwrap_or_default();
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(o, k)| o ^ k));
    bytes
}
