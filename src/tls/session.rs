//! One TLS session over rustls' unbuffered interface.
//!
//! The buffered interface keeps 4 KiB of read buffer for every connection and reads a 16 KiB
//! record in five steps. Here the caller brings the buffers: nothing but a partial record is
//! kept while a connection sleeps.

mod alert;

use super::exporter::ExporterSecret;
use crate::runtime::buffers::READ_SIZE;
use rustls::{
    InvalidMessage, ProtocolVersion, ServerConfig, SupportedCipherSuite,
    pki_types::CertificateDer,
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus},
};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The largest record on the wire: RFC 8446 section 5.2, with the slack of RFC 5246 section 6.2.3.
pub const RECORD_MAX: usize = 5 + (1 << 14) + 2048;

/// What one record adds to its payload at most: header, explicit nonce, content type, tag.
const RECORD_OVERHEAD: usize = 64;
/// Payload of one record (RFC 8446 section 5.1).
const RECORD_PAYLOAD: usize = 1 << 14;
/// Records before the last that the keys of a TLS 1.2 session allow: for what is under way, and a
/// Close.
const LAST_RECORDS: u64 = 1 << 16;
/// Room for a KeyUpdate or an alert that leaves together with data.
const CONTROL_ROOM: usize = 512;

/// The server side of one TLS connection: state and partial records, no socket.
pub struct Session {
    connection: UnbufferedServerConnection,
    exporter: Option<Arc<ExporterSecret>>,
    /// Received bytes that do not make a whole record yet.
    partial: Vec<u8>,
    /// What broke the session: rustls must not be asked again, it panics where it has sent an
    /// alert and finds the same fault again.
    broken: Option<rustls::Error>,
    /// Whether `close_notify` was sent: what still comes is nobody's.
    closed: bool,
    /// Records of data that were encrypted, at most.
    records: u64,
}

/// What [`Session::receive`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// All whole records are processed.
    Open,
    /// The peer's `close_notify` came: it will send no more data (RFC 8446 section 6.1).
    Closed,
}

impl Session {
    /// A session that waits for a ClientHello.
    ///
    /// With `exports`, [`Session::take_exporter`] returns bytes once the handshake is finished.
    pub fn new(mut config: Arc<ServerConfig>, exports: bool) -> Result<Self, rustls::Error> {
        let exporter = exports.then(Arc::<ExporterSecret>::default);
        if let Some(exporter) = &exporter {
            Arc::make_mut(&mut config).key_log = exporter.clone();
        }
        Ok(Self {
            connection: UnbufferedServerConnection::new(config)?,
            exporter,
            partial: Vec::new(),
            broken: None,
            closed: false,
            records: 0,
        })
    }

    /// 32 bytes of the TLS exporter for channel binding (RFC 9266); `None` on TLS 1.2, or if the
    /// session was not made to export. Can be taken once.
    pub fn take_exporter(&mut self) -> Option<Zeroizing<[u8; 32]>> {
        let secret = self.exporter.take()?;
        let tls13 = self.is_open_as_tls13();
        let suite = self
            .connection
            .negotiated_cipher_suite()
            .filter(|_| tls13)?;
        secret.channel_binding(suite.suite())
    }

    /// Whether the handshake still goes on.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether a handshake of TLS 1.3 is finished: all that it still sends are tickets (RFC 8446
    /// section 4.6.1), which no client waits for.
    pub fn is_open_as_tls13(&self) -> bool {
        let version = self.connection.protocol_version();
        !self.is_handshaking() && version == Some(ProtocolVersion::TLSv1_3)
    }

    /// The client's chain, leaf first; empty where it sent none.
    pub fn client_certificates(&self) -> &[CertificateDer<'static>] {
        self.connection.peer_certificates().unwrap_or_default()
    }

    /// Whether the session was resumed from a ticket, without a look at the certificate.
    pub fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// The version of TLS, for logs, as OpenSSL names it; empty while none is agreed on.
    pub fn version(&self) -> &'static str {
        match self.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "",
        }
    }

    /// The cipher suite, for logs; empty while none is agreed on.
    pub fn cipher(&self) -> &'static str {
        let suite = self.connection.negotiated_cipher_suite();
        let name = suite.and_then(|suite| suite.suite().as_str());
        name.unwrap_or_default()
    }

    /// Moves the bytes of a partial record to the front of `buffer`.
    ///
    /// Returns how many there are; [`Session::receive`] expects them there, followed by what the
    /// socket brought. `buffer` must hold more than [`RECORD_MAX`] bytes.
    pub fn restore_partial(&mut self, buffer: &mut [u8]) -> usize {
        let length = self.partial.len();
        if let Some(front) = buffer.get_mut(..length) {
            front.copy_from_slice(&self.partial);
        }
        length
    }

    /// Processes received records.
    ///
    /// `input` is what [`Session::restore_partial`] put in front and what came since. Application
    /// data is appended to `plain`; what TLS itself has to answer (handshake flights, alerts,
    /// KeyUpdate) to `reply`, also when an error is returned. An error is final. After our
    /// `close_notify`, input is thrown away.
    pub fn receive(
        &mut self,
        input: &mut [u8],
        plain: &mut Vec<u8>,
        reply: &mut Vec<u8>,
    ) -> Result<Received, rustls::Error> {
        self.check_usable()?;
        if self.closed {
            return Ok(Received::Open);
        }
        let (consumed, result) = self.process(input, plain, reply);
        self.keep_partial(input, consumed);
        let result = result.and_then(|received| self.check_partial().map(|()| received));
        if let Err(error) = &result {
            self.fail(error, reply);
        }
        result
    }

    /// Processes records until there is no whole one; returns how many bytes it consumed.
    fn process(
        &mut self,
        input: &mut [u8],
        plain: &mut Vec<u8>,
        reply: &mut Vec<u8>,
    ) -> (usize, Result<Received, rustls::Error>) {
        let mut consumed = 0;
        loop {
            let Some(rest) = input.get_mut(consumed..) else {
                return (consumed, Ok(Received::Open));
            };
            let UnbufferedStatus { mut discard, state } = self.connection.process_tls_records(rest);
            let done = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    let mut failure = None;
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => {
                                plain.extend_from_slice(record.payload);
                                discard += record.discard;
                            }
                            Err(error) => failure = Some(Err(error)),
                        }
                    }
                    failure
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => append(reply, |out| {
                    data.encode(out).map_err(|error| encode_shortfall(&error))
                })
                .err()
                .map(Err),
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    None
                }
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    Some(Ok(Received::Closed))
                }
                Ok(_) => Some(Ok(Received::Open)),
                Err(error) => Some(Err(error)),
            };
            consumed += discard;
            if let Some(result) = done {
                return (consumed, result);
            }
        }
    }

    /// A handshake message is kept until it is whole, with the headers of its records. Where it
    /// would leave no room to read into, reading would look like the end of the transport.
    fn check_partial(&self) -> Result<(), rustls::Error> {
        if self.partial.len() < READ_SIZE {
            return Ok(());
        }
        Err(InvalidMessage::HandshakePayloadTooLarge.into())
    }

    fn check_usable(&self) -> Result<(), rustls::Error> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// Encrypts `plain` and appends the records to `out`.
    ///
    /// # Errors
    /// The handshake is not finished, or the keys of a TLS 1.2 session are used up.
    pub fn encrypt(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), rustls::Error> {
        let records = plain.len() / RECORD_PAYLOAD + 1;
        let room = plain.len() + records * RECORD_OVERHEAD + CONTROL_ROOM;
        self.records += records as u64;
        self.write_traffic(out, room, |traffic, space| traffic.encrypt(plain, space))
    }

    /// Whether the keys are nearly used up: those of AES-GCM are good for 2^24 records (RFC 8446
    /// section 5.5). TLS 1.3 changes them by itself, TLS 1.2 cannot.
    pub fn is_used_up(&self) -> bool {
        match self.connection.negotiated_cipher_suite() {
            Some(SupportedCipherSuite::Tls12(suite)) => {
                self.records.saturating_add(LAST_RECORDS) >= suite.common.confidentiality_limit
            }
            _ => false,
        }
    }

    /// Appends a `close_notify` alert to `out` (RFC 8446 section 6.1), the first time; nothing may
    /// follow it.
    pub fn close_notify(&mut self, out: &mut Vec<u8>) -> Result<(), rustls::Error> {
        if std::mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        self.write_traffic(out, CONTROL_ROOM, |traffic, space| {
            traffic.queue_close_notify(space)
        })
    }

    fn write_traffic(
        &mut self,
        out: &mut Vec<u8>,
        room: usize,
        mut write: impl FnMut(
            &mut rustls::unbuffered::WriteTraffic<'_, rustls::server::ServerConnectionData>,
            &mut [u8],
        ) -> Result<usize, EncryptError>,
    ) -> Result<(), rustls::Error> {
        self.check_usable()?;
        loop {
            // The partial record goes along: the deframer keeps offsets into it.
            let UnbufferedStatus { discard, state } =
                self.connection.process_tls_records(&mut self.partial);
            let done = match state? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    append_sized(out, room, |space| {
                        write(&mut traffic, space).map_err(|error| encrypt_shortfall(&error))
                    })?;
                    true
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    append(out, |space| {
                        data.encode(space).map_err(|error| encode_shortfall(&error))
                    })?;
                    false
                }
                ConnectionState::TransmitTlsData(data) => {
                    data.done();
                    false
                }
                ConnectionState::PeerClosed => false,
                _ => return Err(rustls::Error::HandshakeNotComplete),
            };
            self.partial.drain(..discard.min(self.partial.len()));
            if done {
                return Ok(());
            }
        }
    }

    /// Right-sized: a partial record is all that a sleeping connection keeps.
    fn keep_partial(&mut self, input: &[u8], consumed: usize) {
        let rest = input.get(consumed..).unwrap_or_default();
        if rest.is_empty() {
            self.partial = Vec::new();
        } else {
            self.partial.clear();
            self.partial.reserve_exact(rest.len());
            self.partial.extend_from_slice(rest);
        }
    }
}

/// How writing into a slice can fall short: the size it would need, or a final error.
enum Shortfall {
    Needs(usize),
    Fatal(rustls::Error),
}

fn encode_shortfall(error: &EncodeError) -> Shortfall {
    match error {
        EncodeError::InsufficientSize(size) => Shortfall::Needs(size.required_size),
        EncodeError::AlreadyEncoded => Shortfall::Fatal(rustls::Error::General(error.to_string())),
    }
}

fn encrypt_shortfall(error: &EncryptError) -> Shortfall {
    match error {
        EncryptError::InsufficientSize(size) => Shortfall::Needs(size.required_size),
        EncryptError::EncryptExhausted => Shortfall::Fatal(rustls::Error::EncryptError),
    }
}

fn append(
    out: &mut Vec<u8>,
    write: impl FnMut(&mut [u8]) -> Result<usize, Shortfall>,
) -> Result<(), rustls::Error> {
    append_sized(out, CONTROL_ROOM, write)
}

/// Lets `write` fill the space after the end of `out`, growing it as asked.
fn append_sized(
    out: &mut Vec<u8>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Shortfall>,
) -> Result<(), rustls::Error> {
    let start = out.len();
    let mut room = room;
    loop {
        out.resize(start + room, 0);
        match write(out.get_mut(start..).unwrap_or_default()) {
            Ok(written) => {
                out.truncate(start + written);
                return Ok(());
            }
            Err(Shortfall::Needs(size)) if size > room => room = size,
            Err(Shortfall::Needs(_)) => {
                out.truncate(start);
                return Err(rustls::Error::General("TLS record does not fit".into()));
            }
            Err(Shortfall::Fatal(error)) => {
                out.truncate(start);
                return Err(error);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
