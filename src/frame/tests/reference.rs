//! RFC 6455 sections 5 and 7.4 once more, in the plainest way: the whole stream at hand, one
//! frame after the other, nothing shared with the code under test but names.

use super::*;
use std::ops::Range;

/// A control frame: its opcode, its payload unmasked, and all its bytes as they came.
pub(super) type Control = (u8, Vec<u8>, Vec<u8>);

/// What a stream comes to, and where its data frames are.
#[derive(Default)]
pub(super) struct Reference {
    /// Without the control frames: they are below.
    pub(super) outcome: Outcome,
    pub(super) control: Vec<Control>,
    /// Bytes of each data frame that was passed on: the end of its header to its end.
    pub(super) payloads: Vec<Range<usize>>,
    /// How far the bytes of each message reach: the end of its first header to its end.
    pub(super) messages: Vec<Range<usize>>,
}

/// Why reading stopped.
enum Stop {
    End,
    Violation(Violation),
}

struct Reader<'a> {
    rules: Rules,
    stream: &'a [u8],
    at: usize,
    /// Bytes of the open message.
    message: Option<u64>,
    found: Reference,
}

pub(super) fn read(rules: Rules, stream: &[u8]) -> Reference {
    let mut reader = Reader {
        rules,
        stream,
        at: 0,
        message: None,
        found: Reference::default(),
    };
    loop {
        match reader.frame() {
            Ok(false) => {}
            Ok(true) | Err(Stop::End) => return reader.found,
            Err(Stop::Violation(violation)) => {
                reader.found.outcome.violation = Some(violation);
                return reader.found;
            }
        }
    }
}

fn size(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

fn demand(good: bool, violation: Violation) -> Result<(), Stop> {
    if good {
        Ok(())
    } else {
        Err(Stop::Violation(violation))
    }
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, Stop> {
        let byte = self.stream.get(self.at).copied().ok_or(Stop::End)?;
        self.at += 1;
        Ok(byte)
    }

    /// Reads one frame; returns whether it was a Close.
    fn frame(&mut self) -> Result<bool, Stop> {
        let start = self.at;
        let first = self.byte()?;
        let opcode = self.first(first)?;
        let second = self.byte()?;
        demand(second >= 0x80 || !self.rules.masked, Violation::Unmasked)?;
        demand(second < 0x80 || self.rules.masked, Violation::Masked)?;
        let length = self.length(opcode >= 8, second & 0x7f)?;
        let mut key = None;
        if self.rules.masked {
            key = Some([self.byte()?, self.byte()?, self.byte()?, self.byte()?]);
        }
        if opcode >= 8 {
            self.control(start, opcode, key, size(length))
        } else {
            self.data(start, first, length).map(|()| false)
        }
    }

    fn first(&self, first: u8) -> Result<u8, Stop> {
        let opcode = first & 0x0f;
        demand(
            [0, 1, 2, 8, 9, 10].contains(&opcode),
            Violation::UnknownOpcode,
        )?;
        demand(opcode < 8 || first >= 0x80, Violation::ControlFragmented)?;
        let extension = self.rules.reserved_everywhere || opcode == 1 || opcode == 2;
        let allowed = if extension {
            self.rules.reserved_bits
        } else {
            0
        };
        demand(first & 0x70 & !allowed == 0, Violation::ReservedBits)?;
        if opcode == 0 {
            demand(self.message.is_some(), Violation::ContinuationWithoutStart)?;
        } else if opcode < 8 {
            demand(self.message.is_none(), Violation::StartInsideMessage)?;
        }
        Ok(opcode)
    }

    fn length(&mut self, control: bool, code: u8) -> Result<u64, Stop> {
        demand(!control || code <= 125, Violation::ControlTooLong)?;
        let (bytes, least) = match code {
            126 => (2, 126),
            127 => (8, 65536),
            code => return Ok(code.into()),
        };
        let mut length = 0;
        for place in 0..bytes {
            let byte = self.byte()?;
            demand(
                bytes == 2 || place > 0 || byte < 0x80,
                Violation::LengthTopBit,
            )?;
            length = length << 8 | u64::from(byte);
            // What the bytes still to come can make of it at most.
            let most = ((u128::from(length) + 1) << (8 * (bytes - 1 - place))) - 1;
            demand(most >= least, Violation::LengthNotMinimal)?;
        }
        Ok(length)
    }

    fn data(&mut self, start: usize, first: u8, length: u64) -> Result<(), Stop> {
        let opcode = first & 0x0f;
        let data = length.saturating_sub(self.rules.trailer);
        let before = self.message.unwrap_or(0);
        demand(data <= self.rules.frame_limit, Violation::FrameTooLarge)?;
        demand(
            before + data <= self.rules.message_limit,
            Violation::MessageTooLarge,
        )?;
        let body = self.at;
        let end = body.saturating_add(size(length));
        let there = end.min(self.stream.len());
        let outcome = &mut self.found.outcome;
        outcome.out.extend(&self.stream[start..there]);
        outcome.counts.frames[usize::from(opcode)] += 1;
        outcome.counts.data_bytes += (there - body) as u64;
        self.found.payloads.push(body..end);
        match self.found.messages.last_mut() {
            Some(message) if opcode == 0 => message.end = end,
            _ => self.found.messages.push(body..end),
        }
        if end > self.stream.len() {
            self.open_message();
            return Err(Stop::End);
        }
        self.at = end;
        if first >= 0x80 {
            self.message = None;
            self.found.outcome.counts.messages += 1;
        } else {
            let short = length < self.rules.trailer;
            self.message = Some(before + if short { length } else { data });
            self.open_message();
        }
        Ok(())
    }

    /// The message under way reaches to the end of the stream, until a last frame says otherwise.
    fn open_message(&mut self) {
        if let Some(message) = self.found.messages.last_mut() {
            message.end = usize::MAX;
        }
    }

    fn control(
        &mut self,
        start: usize,
        opcode: u8,
        key: Option<[u8; 4]>,
        length: usize,
    ) -> Result<bool, Stop> {
        let end = self.at + length;
        let payload = self.stream.get(self.at..end).ok_or(Stop::End)?;
        let key = key.unwrap_or_default();
        let key = key.iter().cycle();
        let payload: Vec<u8> = payload.iter().zip(key).map(|(o, k)| o ^ k).collect();
        if opcode == 8 && !self.rules.sealed_close {
            check_close(&payload)?;
        }
        self.at = end;
        self.found.outcome.counts.frames[usize::from(opcode) - 5] += 1;
        let bytes = self.stream[start..end].to_vec();
        self.found.control.push((opcode, payload, bytes));
        Ok(opcode == 8)
    }
}

fn check_close(payload: &[u8]) -> Result<(), Stop> {
    if payload.is_empty() {
        return Ok(());
    }
    demand(payload.len() > 1, Violation::ClosePayloadTooShort)?;
    let code = u32::from(payload[0]) * 256 + u32::from(payload[1]);
    let defined = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
    ];
    demand(
        defined.contains(&code) || (3000..5000).contains(&code),
        Violation::CloseCode,
    )?;
    let reason = String::from_utf8(payload[2..].to_vec());
    demand(reason.is_ok(), Violation::CloseReasonNotUtf8)
}
