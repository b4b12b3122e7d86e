//! What the frames of one direction go through: verbatim, or with tags taken off or put on.

mod open_frames;
mod open_messages;
mod seal;
#[cfg(test)]
mod tests;

use crate::{
    frame::{
        ControlFrame, Counts, Event, Forward, Header, Opcode, Passage, Rules, Scanner, Violation,
        close,
    },
    integrity::{
        Binding, Failure, Mode, Outcome, TAG_TEXT_LENGTH, agreement::Agreement, seal::Opener,
    },
};
use open_frames::OpenFrames;
use open_messages::OpenMessages;
use seal::Seal;

/// One direction. The sealed ones are boxed: a plain socket does not pay for them.
pub(super) enum Channel {
    /// Frames pass as they are.
    Plain(Passage),
    /// The client's sealed frames, opened for the backend.
    OpenFrames(Box<OpenFrames>),
    /// The client's sealed messages, opened for the backend.
    OpenMessages(Box<OpenMessages>),
    /// What the backend sends, sealed for the client.
    Seal(Box<Seal>),
}

/// Why a direction cannot be followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A rule of RFC 6455, or a limit.
    Violation(Violation),
    /// A tag.
    Integrity(Failure),
    /// A text whose payload was read and is not UTF-8 (RFC 6455 section 8.1).
    NotUtf8,
    /// The sequence numbers of a sealed direction are used up.
    Exhausted,
}

/// What is done to the frames of a sealed direction, once a scanner has found them.
pub(super) trait Transform {
    /// Finds the frames.
    fn scanner(&mut self) -> &mut Scanner;

    /// A data frame begins.
    fn header(&mut self, header: Header, out: &mut Vec<u8>) -> Result<(), Fault>;

    /// Bytes of its payload, as they came.
    fn payload(&mut self, bytes: &[u8], ends: Ends, out: &mut Vec<u8>) -> Result<(), Fault>;
}

/// What ends with some bytes of payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    /// The frame.
    frame: bool,
    /// The message.
    message: bool,
}

/// Sealed units by [`Outcome`], in the order of [`Outcome::ALL`].
pub type Units = [u64; Outcome::ALL.len()];

/// Both channels of a socket: what opens or passes the client's frames, and what passes or seals
/// the backend's.
pub(super) struct Channels {
    pub(super) to_backend: Channel,
    pub(super) to_client: Channel,
}

/// How a sealed direction is opened.
pub(super) struct Opening {
    opener: Opener,
    /// A mismatch is counted, and the data forwarded (`integrity = "report"`).
    reports: bool,
    units: Units,
}

impl Channels {
    /// Channels through which frames pass as they are.
    pub(super) fn plain(client: Rules, backend: Rules) -> Self {
        Self {
            to_backend: Channel::Plain(Passage::new(client)),
            to_client: Channel::Plain(Passage::new(backend)),
        }
    }

    /// Channels that open and seal as agreed; the limits of `client` count data without tags.
    pub(super) fn sealed(agreement: &Agreement, mode: Mode, client: Rules, backend: Rules) -> Self {
        let (opener, sealer) = agreement.server_ends();
        let opening = Opening {
            opener,
            reports: mode == Mode::Report,
            units: Units::default(),
        };
        let client = Rules {
            sealed_close: true,
            ..client
        };
        let binding = agreement.binding();
        Self {
            to_backend: match binding {
                Binding::Frame => Channel::OpenFrames(Box::new(OpenFrames::new(client, opening))),
                Binding::Message => {
                    Channel::OpenMessages(Box::new(OpenMessages::new(client, opening)))
                }
            },
            to_client: Channel::Seal(Box::new(Seal::new(binding, backend, sealer))),
        }
    }
}

impl Channel {
    /// Goes through `input` to the first control frame in it, or to its end, as
    /// [`Passage::advance`] does.
    ///
    /// A Close of a sealed direction is given as it came: see [`Channel::open_close`].
    pub(super) fn advance<'input>(
        &mut self,
        input: &'input [u8],
        out: &mut Forward<'input>,
        counts: &mut Counts,
    ) -> Result<(usize, Option<ControlFrame>), Fault> {
        match self {
            Self::Plain(passage) => Ok(passage.advance(input, out, counts)?),
            Self::OpenFrames(open) => advance(&mut **open, input, out.copied(), counts),
            Self::OpenMessages(open) => advance(&mut **open, input, out.copied(), counts),
            Self::Seal(seal) => advance(&mut **seal, input, out.copied(), counts),
        }
    }

    /// Whether what has been put out ends between two frames.
    pub(super) fn at_boundary(&self) -> bool {
        match self {
            Self::Plain(passage) => passage.at_boundary(),
            Self::OpenFrames(open) => open.at_boundary(),
            // A message is put out whole.
            Self::OpenMessages(_) => true,
            Self::Seal(seal) => seal.at_boundary(),
        }
    }

    /// Bytes that are missing from the frame that is being put out; 0 at a boundary.
    pub(super) fn remaining(&self) -> u64 {
        match self {
            Self::Plain(passage) => passage.remaining(),
            Self::OpenFrames(open) => open.remaining(),
            Self::OpenMessages(_) => 0,
            Self::Seal(seal) => seal.remaining(),
        }
    }

    /// The Close that the sender meant: its tag checked and taken off, then its payload checked.
    pub(super) fn open_close(&mut self, close: &ControlFrame) -> Result<ControlFrame, Fault> {
        let (opening, binding) = match self {
            Self::OpenFrames(open) => (open.opening(), Binding::Frame),
            Self::OpenMessages(open) => (open.opening(), Binding::Message),
            Self::Plain(_) | Self::Seal(_) => return Ok(*close),
        };
        let data = opening.close(binding, close.payload())?;
        close::check(data)?;
        Ok(ControlFrame::new(Opcode::Close, data).unwrap_or(*close))
    }

    /// The same for a Close that answers one of ours: `None` where its tag does not match.
    pub(super) fn open_answer(&mut self, close: &ControlFrame) -> Option<ControlFrame> {
        let (opening, binding) = match self {
            Self::OpenFrames(open) => (open.opening(), Binding::Frame),
            Self::OpenMessages(open) => (open.opening(), Binding::Message),
            Self::Plain(_) | Self::Seal(_) => return Some(*close),
        };
        let data = opening.opener.open_close(binding, close.payload()).ok()?;
        opening.count(Outcome::Ok);
        ControlFrame::new(Opcode::Close, data)
    }

    /// The Close as its receiver has to get it: with a tag where the direction is sealed.
    pub(super) fn seal_close(&mut self, close: &ControlFrame) -> ControlFrame {
        let Self::Seal(seal) = self else {
            return *close;
        };
        let binding = seal.binding();
        let code = match (close.close_code(), binding) {
            // The message binding's Close carries a code; none means that nothing went wrong.
            (None, Binding::Message) => Some(close::NORMAL_CLOSURE),
            (code, _) => code,
        };
        let sealer = seal.sealer();
        let payload = sealer.seal_close(binding, code, close.close_reason());
        let payload = payload.ok();
        let frame = payload.and_then(|payload| ControlFrame::new(Opcode::Close, &payload));
        frame.unwrap_or(*close)
    }

    /// The sealed units that went through.
    pub(super) fn units(&self) -> Units {
        match self {
            Self::Plain(_) => Units::default(),
            Self::OpenFrames(open) => open.units(),
            Self::OpenMessages(open) => open.units(),
            Self::Seal(seal) => seal.units(),
        }
    }
}

/// Goes through `input` to the first control frame in it, or to its end.
fn advance(
    transform: &mut impl Transform,
    input: &[u8],
    out: &mut Vec<u8>,
    counts: &mut Counts,
) -> Result<(usize, Option<ControlFrame>), Fault> {
    let mut rest = input;
    loop {
        let (size, event) = transform.scanner().next(rest)?;
        let (taken, behind) = rest.split_at_checked(size).unwrap_or((rest, &[]));
        rest = behind;
        match event {
            None => return Ok((input.len(), None)),
            Some(Event::Control(frame)) => {
                counts.frame(frame.opcode());
                return Ok((input.len() - rest.len(), Some(frame)));
            }
            Some(Event::DataHeader(header)) => {
                counts.frame(header.opcode);
                transform.header(header, out)?;
            }
            Some(Event::DataPayload { finished }) => {
                let message = finished && !transform.scanner().inside_message();
                counts.data_bytes += size as u64;
                counts.messages += u64::from(message);
                transform.payload(
                    taken,
                    Ends {
                        frame: finished,
                        message,
                    },
                    out,
                )?;
            }
        }
    }
}

impl Opening {
    /// Counts a verdict; returns whether the unit's data goes on.
    fn settle(&mut self, verdict: Result<(), Failure>) -> Result<(), Fault> {
        self.count(match verdict {
            Ok(()) => Outcome::Ok,
            Err(failure) => failure.into(),
        });
        match verdict {
            Err(failure) if !self.reports => Err(Fault::Integrity(failure)),
            _ => Ok(()),
        }
    }

    fn count(&mut self, outcome: Outcome) {
        if let Some(count) = self.units.get_mut(outcome as usize) {
            *count += 1;
        }
    }

    /// The payload of a Close without its tag.
    fn close<'a>(&mut self, binding: Binding, payload: &'a [u8]) -> Result<&'a [u8], Fault> {
        let opened = self.opener.open_close(binding, payload);
        self.settle(opened.map(|_| ()))?;
        let tag = binding.close_tag_length();
        let reported = payload
            .len()
            .checked_sub(tag)
            .and_then(|end| payload.get(..end))
            // One that was never sealed need not be a Close without its end.
            .filter(|data| close::check(data).is_ok());
        Ok(opened.ok().or(reported).unwrap_or(payload))
    }
}

/// Limits for messages that carry one tag each, of either kind.
fn with_room_for_tag(rules: Rules) -> Rules {
    let tag = TAG_TEXT_LENGTH as u64;
    Rules {
        frame_limit: rules.frame_limit.saturating_add(tag),
        message_limit: rules.message_limit.saturating_add(tag),
        ..rules
    }
}

impl From<Violation> for Fault {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl Fault {
    /// The close code that tells the sender of it.
    pub fn code(self) -> u16 {
        match self {
            Self::Violation(violation) => violation.code(),
            Self::Integrity(_) => close::POLICY_VIOLATION,
            Self::NotUtf8 => close::INVALID_FRAME_PAYLOAD_DATA,
            Self::Exhausted => close::INTERNAL_ERROR,
        }
    }

    /// One sentence, for the Close and the log.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Violation(violation) => violation.sentence(),
            Self::Integrity(Failure::Mismatch) => "frame-integrity: mismatch",
            Self::Integrity(Failure::Missing) => "frame-integrity: missing",
            Self::NotUtf8 => "text that is not UTF-8 (RFC 6455 8.1)",
            Self::Exhausted => "frame-integrity: sequence numbers used up",
        }
    }
}
