//! Fatal alerts (RFC 8446 section 6.2): those that rustls queues, and those that it leaves out.
//!
//! rustls queues none for a message with another record between its parts, a record without a type
//! within, a message of more than 64 KiB, or too many of what is allowed a few times. It alone has the
//! keys, and its unbuffered interface encrypts no alert but `close_notify`. What it cannot decode,
//! though, it answers under the keys in use: so it is shown a record that nobody sent. From 0.24 on,
//! rustls sends an alert for every error (its pull request 2784), and this file can go.

use super::{Session, append, encode_shortfall};
use rustls::{
    AlertDescription, Error, PeerMisbehaved,
    unbuffered::{ConnectionState, UnbufferedStatus},
};

/// Begins no record: no content type has this number. Also what a length cannot be.
const NO_RECORD: u8 = 0xff;
/// A fatal alert without protection, up to its description.
const PLAIN: [u8; 3] = [21, 3, 3];
const FATAL: [u8; 3] = [0, 2, 2];

impl Session {
    /// Appends the fatal alert for an error, which is final, to `reply`.
    pub(super) fn fail(&mut self, error: &Error, reply: &mut Vec<u8>) {
        self.broken = Some(error.clone());
        let start = reply.len();
        let description = left_out(error).filter(|_| !self.connection.wants_write());
        if let Some(description) = description {
            self.provoke(description);
        }
        self.drain_alert(reply);
        if let (Some(description), Some(record)) = (description, reply.get_mut(start..)) {
            correct(record, description);
        }
    }

    /// Shows rustls what nobody sent until it queues an alert.
    fn provoke(&mut self, description: AlertDescription) {
        // rustls keeps offsets into what is left of the input, and goes on after it.
        let junk = vec![NO_RECORD; self.partial.len() + 2 * PLAIN.len()];
        let change = self.unexpected_change().to_vec();
        let unexpected = (description == AlertDescription::UnexpectedMessage)
            .then(|| [change, junk.clone()].concat());
        for mut records in unexpected.into_iter().chain([junk]) {
            // An error of what was shown says nothing about the peer.
            let UnbufferedStatus { .. } = self.connection.process_tls_records(&mut records);
            if self.connection.wants_write() {
                return;
            }
        }
    }

    /// A change of cipher that is unexpected now (RFC 8446 section 5): one with another value during
    /// the handshake, any after it. It is never protected.
    fn unexpected_change(&self) -> [u8; 6] {
        let value = if self.is_handshaking() { 2 } else { 1 };
        [20, 3, 3, 0, 1, value]
    }

    /// Appends the fatal alert that rustls has queued.
    ///
    /// What is queued comes before any input; once it is out, rustls would look at the faulty
    /// bytes again.
    fn drain_alert(&mut self, reply: &mut Vec<u8>) {
        // What is left goes along: where the error came from one of several handshake messages,
        // rustls looks at the offset of the next one again, and panics beyond the end.
        while self.connection.wants_write()
            && let UnbufferedStatus {
                discard,
                state: Ok(ConnectionState::EncodeTlsData(mut data)),
            } = self.connection.process_tls_records(&mut self.partial)
        {
            let written = append(reply, |space| {
                data.encode(space).map_err(|error| encode_shortfall(&error))
            });
            self.partial.drain(..discard.min(self.partial.len()));
            if written.is_err() {
                return;
            }
        }
    }
}

/// The alert for an error for which rustls may have queued none; `None` where there is none to send,
/// as after an alert of the peer.
fn left_out(error: &Error) -> Option<AlertDescription> {
    use PeerMisbehaved as P;
    match error {
        // RFC 8446 sections 5, 5.1 and 5.4.
        Error::PeerMisbehaved(
            P::MessageInterleavedWithHandshakeMessage
            | P::IllegalTlsInnerPlaintext
            | P::IllegalMiddleboxChangeCipherSpec
            | P::TooManyEmptyFragments,
        ) => Some(AlertDescription::UnexpectedMessage),
        Error::PeerMisbehaved(_) | Error::InvalidMessage(_) => Some(AlertDescription::DecodeError),
        _ => None,
    }
}

/// Before there are keys, what was provoked can be read, and put right.
fn correct(record: &mut [u8], alert: AlertDescription) {
    if let [a, b, c, d, e, level, description] = record
        && [*a, *b, *c] == PLAIN
        && [*d, *e, *level] == FATAL
    {
        *description = alert.into();
    }
}
