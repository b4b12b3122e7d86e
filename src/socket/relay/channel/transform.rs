//! What the sealed directions have in common: a scanner finds frames, and something is done to them.

use super::fault::Fault;
use crate::frame::{ControlFrame, Counts, Event, Header, Scanner};

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
    pub(super) frame: bool,
    /// The message.
    pub(super) message: bool,
}

/// Goes through `input` to the first control frame in it, or to its end.
pub(super) fn advance(
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
