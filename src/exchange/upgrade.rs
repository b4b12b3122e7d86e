//! From an admitted opening handshake to the 101.

use super::{answer, route};
use crate::{
    ending::RequestEnding,
    integrity::agreement::Agreement,
    request::{Handshake, Head, asked::Asked},
    roster::quotas::Seat,
    snapshot::Route,
    socket::{
        Admitted,
        dial::{self, Answer, Switched},
        relay, seal,
    },
    tls::{client::Client, stream::TlsStream},
    worker::{random::random, refusal::Refusal, visit::Visit},
};
use std::{fmt::Display, sync::Arc};
use tokio::time::timeout;

/// What a request has come to with its 101.
pub(super) struct Switching {
    agreement: Option<Agreement>,
    seat: Option<Seat>,
    /// For the socket's own Pings and masks: drawn while a lack of it can still be told.
    random: [u8; 12],
}

impl Switching {
    /// The socket's terms; `behind` came after the head.
    pub(super) fn admitted(
        self,
        behind: &[u8],
        route: Arc<Route>,
        client: Client,
        asked: Asked,
    ) -> Admitted {
        Admitted {
            behind: behind.to_vec(),
            route,
            client,
            agreement: self.agreement,
            seat: self.seat,
            asked,
            random: self.random,
        }
    }
}

/// From the route to the 101.
pub(super) async fn upgrade(
    visit: &Visit,
    stream: &mut TlsStream,
    route: &Arc<Route>,
    client: &Client,
    head: &Head<'_>,
    handshake: Handshake<'_>,
) -> Result<(Switching, Switched), Refusal> {
    route::admit_socket(visit, route, client, head)?;
    let seat = visit.seat(client)?;
    let random = random()?;
    let edits = &route.settings.response_edits;
    let negotiated = seal::negotiate(visit, &mut stream.session, route, head)?;
    match dial::dial(visit, route, client, head, handshake, &negotiated).await? {
        Answer::Switched(mut switched) => {
            let agreement = negotiated.conclude(&mut switched.fields, route.settings.integrity)?;
            let mut response = answer::written(&answer::switching_response(&switched, edits));
            if let Some(nonce) = agreement.as_ref().and_then(Agreement::first_message) {
                relay::push_text(&nonce, &mut response);
            }
            send(visit, stream, &response).await?;
            let switching = Switching {
                agreement,
                seat,
                random,
            };
            Ok((switching, switched))
        }
        Answer::Declined(declined) => {
            let refusal = Refusal::new(RequestEnding::BackendDeclined, &declined);
            let response = answer::written(&answer::declining_response(declined, edits));
            send(visit, stream, &response).await?;
            Err(refusal)
        }
    }
}

/// Sends an answer whole; a client that does not accept it within `timeouts.write` is disconnected.
async fn send(visit: &Visit, stream: &mut TlsStream, bytes: &[u8]) -> Result<(), Refusal> {
    let write = stream.write(bytes, &visit.worker.buffers);
    let gone = |error: &dyn Display| Refusal::new(RequestEnding::Gone, error);
    match timeout(visit.snapshot.timeouts.write, write).await {
        Ok(written) => written.map_err(|error| gone(&error)),
        Err(_) => Err(gone(&"it did not take the answer within timeouts.write")),
    }
}
