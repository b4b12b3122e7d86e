//! The scanner: where frames begin and end in a stream of bytes, and whether they may.

use super::control::FRAME_MAX;
use super::inline::InlineBytes;
use super::{ControlFrame, Counts, Header, Opcode, Rules, Violation, close};

/// Finds the frames in one direction of a connection, however its bytes are split.
///
/// It keeps only what a split leaves over: a part of a header, or of a control frame. Data
/// payloads go by unread.
#[derive(Clone, Debug)]
pub struct Scanner {
    rules: Rules,
    phase: Phase,
    message: Message,
    /// The bytes of a frame begun in earlier input and not yet reported.
    stash: InlineBytes<FRAME_MAX>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Header,
    Payload {
        remaining: u64,
    },
    /// After the sender's Close.
    Closed,
    /// After a violation.
    Broken(Violation),
}

/// The data message under way, as far as headers have said.
#[derive(Clone, Copy, Debug)]
struct Message {
    /// Whether a continuation has to follow.
    open: bool,
    /// Bytes of data announced for it so far; 0 unless `open`.
    bytes: u64,
}

/// What the scanner came upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The header of a data frame is complete and obeys every rule, limits included. It ends with
    /// the bytes consumed, and may have begun in earlier input that had no event.
    DataHeader(Header),
    /// The bytes consumed are payload of the data frame whose header came last. `finished` with
    /// its last byte; the payload of an empty frame is one such event that consumes nothing.
    DataPayload {
        /// Whether the frame is now complete.
        finished: bool,
    },
    /// A whole control frame. It may come between the frames of one message.
    Control(ControlFrame),
}

/// An [`Event`] with the header of a control frame in place of the frame.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// All input was consumed, more is needed.
    More,
    Header(Header),
    Payload {
        finished: bool,
    },
    Control(Header),
}

impl Scanner {
    /// A scanner at the start of a stream whose sender must keep to `rules`.
    pub fn new(rules: Rules) -> Self {
        Scanner {
            rules,
            phase: Phase::Header,
            message: Message {
                open: false,
                bytes: 0,
            },
            stash: InlineBytes::new(),
        }
    }

    /// Goes on with `input` to the next event; returns how many bytes were consumed and what they
    /// were. Without an event, all of `input` was consumed and more is needed. To be called again
    /// with the rest after every event, even if the rest is empty: a frame may be as well.
    ///
    /// Bytes after a Close are consumed and ignored (RFC 6455 sections 1.4 and 5.5.1). A
    /// violation is final, as the stream cannot be followed beyond it: every later call returns
    /// it again.
    #[inline]
    pub fn next(&mut self, input: &[u8]) -> Result<(usize, Option<Event>), Violation> {
        let (size, step) = self.step(input)?;
        let event = match step {
            Step::More => None,
            Step::Header(header) => Some(Event::DataHeader(header)),
            Step::Payload { finished } => Some(Event::DataPayload { finished }),
            Step::Control(header) => Some(Event::Control(self.take_control(header))),
        };
        Ok((size, event))
    }

    /// [`Scanner::next`] without the weight of a control frame in its result. After
    /// [`Step::Control`] the frame is to be fetched by [`Scanner::take_control`].
    #[inline]
    pub(super) fn step(&mut self, input: &[u8]) -> Result<(usize, Step), Violation> {
        let found = match self.phase {
            Phase::Payload { remaining } => return Ok(self.pass(remaining, input)),
            Phase::Header => self.frame(input),
            Phase::Closed => return Ok((input.len(), Step::More)),
            Phase::Broken(violation) => return Err(violation),
        };
        if let Err(violation) = found {
            self.phase = Phase::Broken(violation);
        }
        found
    }

    /// Goes past the whole messages of one frame each that `input` begins with, and counts them;
    /// returns their bytes. Stops before everything else, for [`Scanner::step`] to judge.
    ///
    /// Nearly all traffic is of this kind, and needs no state: this takes a third of the time that
    /// steps take.
    pub(super) fn whole_messages(&self, input: &[u8], counts: &mut Counts) -> usize {
        let at_start = matches!(self.phase, Phase::Header) && self.is_idle() && !self.message.open;
        let mut rest = input;
        while at_start && let Some((opcode, length, after)) = self.rules.whole_message(rest) {
            counts.frame(opcode);
            counts.messages += 1;
            counts.data_bytes += length as u64;
            rest = after;
        }
        input.len() - rest.len()
    }

    /// The control frame that the last step came upon, of which this is the header.
    pub(super) fn take_control(&mut self, header: Header) -> ControlFrame {
        let frame = self.stashed_control(header);
        self.stash.clear();
        frame
    }

    /// Whether no data frame has been reported in part: one whose header was an event has also
    /// come to its end. Other frames may be inserted on the way out here. Bytes of a header or a
    /// control frame that are kept back for want of the rest do not count, as no event has
    /// reported them.
    pub fn at_boundary(&self) -> bool {
        !matches!(self.phase, Phase::Payload { .. })
    }

    /// Bytes that are missing from the payload of the data frame under way; 0 at a boundary.
    pub fn remaining(&self) -> u64 {
        match self.phase {
            Phase::Payload { remaining } => remaining,
            Phase::Header | Phase::Closed | Phase::Broken(_) => 0,
        }
    }

    /// Whether nothing at all is pending: [`Scanner::at_boundary`], and no bytes are kept back.
    pub fn is_idle(&self) -> bool {
        self.at_boundary() && self.stash.is_empty()
    }

    /// Whether a data message has begun and not ended. Control frames may still be inserted at a
    /// boundary, other data may not.
    pub fn inside_message(&self) -> bool {
        self.message.open || !self.at_boundary()
    }

    /// Whether the sender's Close has come.
    pub fn closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    #[inline]
    fn pass(&mut self, remaining: u64, input: &[u8]) -> (usize, Step) {
        let taken = usize::try_from(remaining).map_or(input.len(), |most| most.min(input.len()));
        let left = remaining - taken as u64;
        if left == 0 {
            self.phase = Phase::Header;
            return (taken, Step::Payload { finished: true });
        }
        self.phase = Phase::Payload { remaining: left };
        if taken == 0 {
            return (0, Step::More);
        }
        (taken, Step::Payload { finished: false })
    }

    /// The start of a frame. A data header that is all in the input is read where it stands;
    /// what is split, and every control frame, goes through the stash.
    #[inline]
    fn frame(&mut self, input: &[u8]) -> Result<(usize, Step), Violation> {
        if input.is_empty() {
            return Ok((0, Step::More));
        }
        if self.stash.is_empty()
            && let Some((header, size)) = self.header(input)?
            && !header.opcode.is_control()
        {
            self.open(&header)?;
            return Ok((size, Step::Header(header)));
        }
        self.stashed_frame(input)
    }

    #[cold]
    fn stashed_frame(&mut self, input: &[u8]) -> Result<(usize, Step), Violation> {
        let before = self.stash.len();
        // There is room for the longest control frame and the longest header. What does not fit
        // belongs to something after the frame that is found here.
        let taken = self.stash.extend(input);
        match self.header(self.stash.as_slice())? {
            None => Ok((taken, Step::More)),
            Some((header, size)) if header.opcode.is_control() => {
                let end = size + usize::try_from(header.length).unwrap_or(FRAME_MAX);
                if self.stash.len() < end {
                    return Ok((taken, Step::More));
                }
                self.check_control(header)?;
                Ok((end - before, Step::Control(header)))
            }
            Some((header, size)) => {
                self.open(&header)?;
                self.stash.clear();
                Ok((size - before, Step::Header(header)))
            }
        }
    }

    /// Reads the header at the start of `bytes`. `None`: it goes on beyond them.
    ///
    /// Rules are asked in the order of the bytes that they are about, so that the split of the
    /// stream has no say in which violation is found.
    #[expect(
        clippy::inline_always,
        reason = "a call here, with its result through memory, costs a third of the whole passage"
    )]
    #[inline(always)]
    fn header(&self, bytes: &[u8]) -> Result<Option<(Header, usize)>, Violation> {
        let Some(&first) = bytes.first() else {
            return Ok(None);
        };
        let opcode = Header::decode_first(first)?;
        self.rules
            .check_reserved(opcode, Header::reserved_of(first))?;
        self.check_sequence(opcode)?;
        if let Some(&second) = bytes.get(1) {
            self.rules.check_mask(Header::masked(second))?;
        }
        Header::decode(bytes).transpose()
    }

    /// RFC 6455 section 5.4: the frames of a message follow each other, and only control frames
    /// come between them.
    #[inline]
    fn check_sequence(&self, opcode: Opcode) -> Result<(), Violation> {
        match (opcode, self.message.open) {
            (Opcode::Continuation, false) => Err(Violation::ContinuationWithoutStart),
            (Opcode::Text | Opcode::Binary, true) => Err(Violation::StartInsideMessage),
            _ => Ok(()),
        }
    }

    /// Makes a data frame the current one, if the limits allow it.
    #[inline]
    fn open(&mut self, header: &Header) -> Result<(), Violation> {
        let bytes = self.rules.check_limits(header, self.message.bytes)?;
        self.message = Message {
            open: !header.fin,
            bytes: if header.fin { 0 } else { bytes },
        };
        self.phase = Phase::Payload {
            remaining: header.length,
        };
        Ok(())
    }

    /// RFC 6455 section 5.5.1: what a Close may hold, and that it is the last frame.
    fn check_control(&mut self, header: Header) -> Result<(), Violation> {
        if header.opcode == Opcode::Close {
            if !self.rules.sealed_close {
                close::check(self.stashed_control(header).payload())?;
            }
            self.phase = Phase::Closed;
        }
        Ok(())
    }

    fn stashed_control(&self, header: Header) -> ControlFrame {
        let bytes = self.stash.as_slice();
        let payload = bytes.get(header.encoded_length()..).unwrap_or_default();
        let length = usize::try_from(header.length).unwrap_or(payload.len());
        ControlFrame::received(header, payload.get(..length).unwrap_or_default())
    }
}
