//! What client and server agree on for one connection, on either side.

use super::{
    Algorithm, Binding, EXTENSION_NAME, base64url,
    keyring::Kid,
    offer::CHANNEL_BINDING,
    schedule::{Exporter, SharedKey, TrafficKeys, Transcript},
    seal::{Opener, Sealer},
    subprotocol,
};

/// What client and server agree on for one connection.
#[derive(Debug)]
pub struct Agreement {
    binding: Binding,
    keyed: Option<Keyed>,
    answer: String,
    application: Option<String>,
}

/// What is agreed on for `hmac-sha-256`.
#[derive(Debug)]
pub(super) struct Keyed {
    kid: Kid,
    channel_binding: bool,
    server_nonce: [u8; 32],
    keys: TrafficKeys,
}

impl Keyed {
    pub(super) fn derive(
        kid: Kid,
        client_nonce: &[u8],
        server_nonce: [u8; 32],
        shared: &SharedKey,
        exporter: Option<&Exporter>,
    ) -> Self {
        let transcript = Transcript {
            kid: &kid,
            client_nonce,
            server_nonce: &server_nonce,
        };
        let keys = shared.derive(&transcript, exporter);
        Self {
            channel_binding: exporter.is_some(),
            server_nonce,
            keys,
            kid,
        }
    }

    fn extension(&self) -> String {
        let nonce = base64url::encode(&self.server_nonce);
        let binding = if self.channel_binding {
            format!("; cb={CHANNEL_BINDING}")
        } else {
            String::new()
        };
        format!("; kid={}; sn={nonce}{binding}", self.kid)
    }
}

impl Agreement {
    pub(super) fn on_frames(keyed: Option<Keyed>) -> Self {
        let parameters = keyed.as_ref().map(Keyed::extension).unwrap_or_default();
        let mut agreement = Self {
            binding: Binding::Frame,
            keyed,
            answer: String::new(),
            application: None,
        };
        agreement.answer = format!(
            "{EXTENSION_NAME}; alg={}{parameters}",
            agreement.algorithm()
        );
        agreement
    }

    pub(super) fn on_messages(keyed: Option<Keyed>, name: &str, application: Option<&str>) -> Self {
        let (answer, application) = (name.to_owned(), application.map(str::to_owned));
        Self {
            binding: Binding::Message,
            keyed,
            answer,
            application,
        }
    }

    /// Where the tags are.
    pub fn binding(&self) -> Binding {
        self.binding
    }

    /// How the tags are made.
    pub fn algorithm(&self) -> Algorithm {
        if self.keyed.is_some() {
            Algorithm::HmacSha256
        } else {
            Algorithm::Sha256
        }
    }

    /// The key in use; none with `sha-256`.
    pub fn kid(&self) -> Option<&Kid> {
        self.keyed.as_ref().map(|keyed| &keyed.kid)
    }

    /// Whether the traffic keys are bound to the TLS session.
    pub fn channel_binding(&self) -> bool {
        self.keyed
            .as_ref()
            .is_some_and(|keyed| keyed.channel_binding)
    }

    /// What the client is answered: with the frame binding an element of
    /// `Sec-WebSocket-Extensions`, with the message binding the value of `Sec-WebSocket-Protocol`.
    pub fn answer(&self) -> &str {
        &self.answer
    }

    /// The application's subprotocol in a sealed one.
    pub fn application(&self) -> Option<&str> {
        self.application.as_deref()
    }

    /// The text that the server sends before anything else, unsealed and uncounted: with the
    /// message binding and `hmac-sha-256` alone.
    pub fn first_message(&self) -> Option<String> {
        let keyed = self
            .keyed
            .as_ref()
            .filter(|_| self.binding == Binding::Message)?;
        Some(subprotocol::first_message(&keyed.server_nonce))
    }

    /// The value of the field `Frame-Integrity` towards the backend (section 8).
    pub fn backend_field(&self) -> String {
        let kid = self
            .kid()
            .map(|kid| format!("; kid=\"{kid}\""))
            .unwrap_or_default();
        format!(
            "alg={}{kid}; binding={}",
            self.algorithm(),
            self.binding.label()
        )
    }

    /// The traffic keys; none with `sha-256`.
    pub fn traffic_keys(&self) -> Option<&TrafficKeys> {
        self.keyed.as_ref().map(|keyed| &keyed.keys)
    }

    /// The server's ends: what opens the client's units, and what seals its own.
    pub fn server_ends(&self) -> (Opener, Sealer) {
        match self.traffic_keys() {
            None => (Opener::sha256(), Sealer::sha256()),
            Some(keys) => (
                Opener::hmac_sha256(keys.client_to_server()),
                Sealer::hmac_sha256(keys.server_to_client()),
            ),
        }
    }

    /// The client's ends: what opens the server's units, and what seals its own.
    pub fn client_ends(&self) -> (Opener, Sealer) {
        match self.traffic_keys() {
            None => (Opener::sha256(), Sealer::sha256()),
            Some(keys) => (
                Opener::hmac_sha256(keys.server_to_client()),
                Sealer::hmac_sha256(keys.client_to_server()),
            ),
        }
    }
}
