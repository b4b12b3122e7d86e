//! What the frames of one direction go through: verbatim, or with tags taken off or put on.

mod fault;
mod open_frames;
mod open_messages;
mod opening;
mod seal;
#[cfg(test)]
mod tests;
mod transform;

pub use fault::Fault;
pub use opening::Units;

use crate::{
    frame::{ControlFrame, Counts, Forward, Opcode, Passage, Rules, close},
    integrity::{Binding, Mode, Outcome, agreement::Agreement},
};
use open_frames::OpenFrames;
use open_messages::OpenMessages;
use opening::Opening;
use seal::Seal;
use transform::advance;

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

/// Both channels of a socket: what opens or passes the client's frames, and what passes or seals
/// the backend's.
pub(super) struct Channels {
    pub(super) to_backend: Channel,
    pub(super) to_client: Channel,
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
        let opening = Opening::new(opener, mode == Mode::Report);
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
