//! Stage 3: peer certificate → identity.
//!
//! Takes: a finished handshake. Returns: who the client is, and what CAs and CRLs say of it: a
//! resumed session restores a chain without asking, so it is verified again, and one that the
//! handshake has verified costs nothing. Refuses a certificate
//! that has more names than can be judged: 403 once the request is there. Deadline: none, nothing
//! is waited for. Metric: `resumptions_total`.

use crate::{
    ending::RequestEnding,
    runtime::clock::unix_time,
    tls::{client::Client, session::Session},
    worker::{refusal::Refusal, visit::Visit},
};

/// Reads the client's chain, and verifies it where the handshake has not.
pub fn identify(visit: &Visit, session: &Session) -> Result<Client, Refusal> {
    let chain = session.client_certificates();
    if chain.is_empty() {
        return Ok(Client::anonymous());
    }
    let unusable = |error| Refusal::new(RequestEnding::NotAllowed, error);
    let client = visit.worker.clients.client(chain).map_err(unusable)?;
    Ok(client.judged(visit.snapshot.trust.verify(chain, unix_time())))
}
