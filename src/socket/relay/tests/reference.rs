//! What may come out of a conversation, judged in the plainest way: both streams whole, one frame
//! after the other, nothing shared with the code under test.

use super::*;

/// A frame in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    opcode: u8,
    pub(super) bytes: Vec<u8>,
    pub(super) payload: Vec<u8>,
    /// What the last frame of a stream still lacks.
    pub(super) missing: usize,
}

/// What is missing of a frame whose header is not whole.
const NO_HEADER: usize = usize::MAX;

/// What one peer sent, and what its counterpart got.
pub(super) struct Passed<'a> {
    pub(super) direction: Direction,
    pub(super) sent: &'a [u8],
    /// How many of them obey the rules.
    pub(super) good: usize,
    pub(super) out: &'a [u8],
}

/// What judging found.
pub(super) struct Verdict {
    /// The Close that came out: its code, and whether it is the proxy's own.
    pub(super) close: Option<(Option<u16>, bool)>,
    /// Whether all that was sent and obeys the rules has come out.
    pub(super) complete: bool,
}

impl Passed<'_> {
    /// Everything that comes out is a frame of the peer's, byte for byte and in order, or one
    /// of the proxy's own; the first Close is the end.
    pub(super) fn judge(&self) -> Result<Verdict, String> {
        let masked = self.direction == ToBackend;
        let mut sent = frames(&self.sent[..self.good], masked)?
            .into_iter()
            .peekable();
        let (mut close, mut all) = (None, true);
        for frame in frames(self.out, masked)? {
            if close.is_some() {
                return Err(format!("{frame:?} behind a Close"));
            }
            while sent.next_if(|sent| self.is_answer(sent)).is_some() {}
            let next = sent.next_if(|sent| begins(sent, &frame));
            match &next {
                Some(next) => all = next.bytes.len() == frame.bytes.len(),
                None => self.check_own(&frame)?,
            }
            if frame.opcode == 8 {
                close = Some((check_close(&frame)?, next.is_none()));
            }
        }
        let rest = sent.find(|sent| !self.is_answer(sent) && !is_held_back(sent));
        Ok(Verdict {
            close,
            complete: all && rest.is_none(),
        })
    }

    /// A Pong that answers the proxy: it may not come out.
    fn is_answer(&self, frame: &Found) -> bool {
        self.direction == ToBackend
            && frame.opcode == 10
            && frame.missing == 0
            && frame.payload == MARK
    }

    /// The proxy itself sends whole frames: Pings to the client, and Closes.
    fn check_own(&self, frame: &Found) -> Result<(), String> {
        let ping = self.direction == ToClient && frame.opcode == 9 && frame.payload == MARK;
        let mask = self.direction == ToClient || frame.bytes[2..].starts_with(&PROXY_KEY);
        if frame.missing == 0 && mask && (ping || frame.opcode == 8) {
            return Ok(());
        }
        Err(format!("{frame:?} came from nowhere"))
    }
}

/// Whether a frame came out as far as it was sent, or a data frame as far as it came in mid-frame.
fn begins(sent: &Found, out: &Found) -> bool {
    sent.bytes.starts_with(&out.bytes)
        && (sent.bytes.len() == out.bytes.len() || out.missing > 0)
        && !is_held_back(out)
}

/// A control frame comes out whole or not at all, a header as well.
fn is_held_back(frame: &Found) -> bool {
    frame.missing == NO_HEADER || frame.opcode >= 8 && frame.missing > 0
}

/// Codes that RFC 6455 section 7.4 forbids to send are never sent.
fn check_close(frame: &Found) -> Result<Option<u16>, String> {
    let [a, b, reason @ ..] = &frame.payload[..] else {
        return Ok(None);
    };
    let code = u16::from(*a) * 256 + u16::from(*b);
    let reserved = [1004, 1005, 1006, 1015].contains(&code);
    if reserved || !(1000..5000).contains(&code) || String::from_utf8(reason.to_vec()).is_err() {
        return Err(format!("a Close with code {code}"));
    }
    Ok(Some(code))
}

/// Cuts a stream into frames; the last may be a part of one.
pub(super) fn frames(mut stream: &[u8], masked: bool) -> Result<Vec<Found>, String> {
    let mut found = Vec::new();
    while let [first, rest @ ..] = stream {
        let frame = frame_at(*first, rest, stream, masked)?;
        stream = &stream[frame.bytes.len()..];
        found.push(frame);
    }
    Ok(found)
}

fn frame_at(first: u8, rest: &[u8], stream: &[u8], masked: bool) -> Result<Found, String> {
    let opcode = first & 0x0f;
    let short = rest.first().map_or(0, |byte| usize::from(byte & 0x7f));
    let extended = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let header = 2 + extended + if masked { 4 } else { 0 };
    if stream.len() < header {
        return Ok(Found {
            opcode,
            bytes: stream.to_vec(),
            payload: Vec::new(),
            missing: NO_HEADER,
        });
    }
    if (stream[1] >= 0x80) != masked {
        return Err(format!("masked is {} in {:?}", !masked, &stream[..header]));
    }
    let length = stream[2..2 + extended]
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    let length = if extended == 0 { short } else { length };
    let end = (header + length).min(stream.len());
    let key = &stream[2 + extended..header];
    let key = if masked { key } else { &[0] };
    let payload = stream[header..end].iter().zip(key.iter().cycle());
    Ok(Found {
        opcode,
        bytes: stream[..end].to_vec(),
        payload: payload.map(|(byte, key)| byte ^ key).collect(),
        missing: header + length - end,
    })
}
