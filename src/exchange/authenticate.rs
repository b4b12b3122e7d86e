//! Stage 3: peer certificate → identity.
//!
//! Takes: a finished handshake. Returns: who the client is, and what CAs and CRLs say of it: a
//! resumed session restores a chain without asking, and a kept connection outlives the snapshot that
//! it was accepted under; a chain that was verified before costs little. Refuses a certificate that has
//! more names than can be judged: 403 once the request is there. Deadline: none, nothing
//! is waited for. Metric: `resumptions_total`.

use crate::{
    ending::RequestEnding,
    runtime::clock::unix_time,
    tls::{client::Client, session::Session},
    worker::{refusal::Refusal, visit::Visit},
};

/// Reads the client's chain, and verifies it by the visit's snapshot: at once after the handshake, and
/// again for each request that finds another snapshot in use.
pub fn identify(visit: &Visit, session: &Session) -> Result<Client, Refusal> {
    let chain = session.client_certificates();
    if chain.is_empty() {
        return Ok(Client::anonymous());
    }
    let unusable = |error| Refusal::new(RequestEnding::NotAllowed, error);
    let client = visit.worker.clients.client(chain).map_err(unusable)?;
    Ok(client.judged(visit.snapshot.trust.verify(chain, unix_time())))
}
