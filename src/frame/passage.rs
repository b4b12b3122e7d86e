//! The passage: the frames of one direction, on their way from one peer to the other.

use super::scanner::Step;
use super::{ControlFrame, Counts, Forward, Header, Rules, Scanner, Violation};

/// Passes data frames on as they are, and hands out control frames.
#[derive(Clone, Debug)]
pub struct Passage {
    scanner: Scanner,
}

/// The bytes of `input` from `start` to `end`: to be passed on in one piece.
struct Run<'a> {
    input: &'a [u8],
    start: usize,
    end: usize,
}

impl Passage {
    /// A passage at the start of a stream whose sender must keep to `rules`.
    pub fn new(rules: Rules) -> Self {
        Passage {
            scanner: Scanner::new(rules),
        }
    }

    /// Goes through `input` to the first control frame in it, or to its end; returns how many
    /// bytes were consumed, and the control frame. Data frames are appended to `out` as they
    /// came, those that follow each other in one piece; control frames are not appended.
    ///
    /// A payload is passed on as it arrives, a header once it is whole and obeys the rules. On a
    /// violation, all that came before the offending frame has been appended and nothing of it.
    pub fn advance<'input>(
        &mut self,
        input: &'input [u8],
        out: &mut Forward<'input>,
        counts: &mut Counts,
    ) -> Result<(usize, Option<ControlFrame>), Violation> {
        let mut run = Run::new(input);
        loop {
            run.take(self.scanner.whole_messages(run.rest(), counts));
            match self.scanner.step(run.rest()) {
                Ok((size, Step::Header(header))) => {
                    counts.frame(header.opcode);
                    run.take_header(size, &header, out);
                }
                Ok((size, Step::Payload { finished })) => {
                    run.take(size);
                    counts.data_bytes += size as u64;
                    counts.messages += u64::from(finished && !self.scanner.inside_message());
                }
                Ok((size, Step::Control(header))) => {
                    counts.frame(header.opcode);
                    let frame = self.scanner.take_control(header);
                    return Ok((run.finish(out) + size, Some(frame)));
                }
                Ok((size, Step::More)) => return Ok((run.finish(out) + size, None)),
                Err(violation) => {
                    run.finish(out);
                    return Err(violation);
                }
            }
        }
    }

    /// Whether what has been appended ends between two frames, so that another may be inserted
    /// (see [`Scanner::at_boundary`]).
    pub fn at_boundary(&self) -> bool {
        self.scanner.at_boundary()
    }

    /// Bytes that are missing from the frame under way (see [`Scanner::remaining`]).
    pub fn remaining(&self) -> u64 {
        self.scanner.remaining()
    }

    /// Whether nothing at all is pending (see [`Scanner::is_idle`]).
    pub fn is_idle(&self) -> bool {
        self.scanner.is_idle()
    }

    /// Whether a data message has begun and not ended (see [`Scanner::inside_message`]).
    pub fn inside_message(&self) -> bool {
        self.scanner.inside_message()
    }

    /// Whether the sender's Close has come: further input is consumed and ignored.
    pub fn closed(&self) -> bool {
        self.scanner.closed()
    }
}

impl<'a> Run<'a> {
    fn new(input: &'a [u8]) -> Self {
        Run {
            input,
            start: 0,
            end: 0,
        }
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.input.get(self.end..).unwrap_or_default()
    }

    #[inline]
    fn take(&mut self, size: usize) {
        self.end += size;
    }

    /// Takes a header of which the last `size` bytes are in the input. If the others came with
    /// earlier input they were kept back, and the run can only begin after it.
    #[inline]
    fn take_header(&mut self, size: usize, header: &Header, out: &mut Forward<'a>) {
        self.take(size);
        if size < header.encoded_length() {
            out.push(header.encode().as_slice());
            self.start = self.end;
        }
    }

    /// Appends the run; returns where it ended in the input.
    fn finish(&self, out: &mut Forward<'a>) -> usize {
        out.pass(self.input.get(self.start..self.end).unwrap_or_default());
        self.end
    }
}
