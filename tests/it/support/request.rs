//! An upgrade request, good until a test spoils it.

use std::fmt::Write as _;

/// The key of RFC 6455 section 1.3, and the answer to it.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// See [`KEY`].
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A request that asks for a WebSocket.
#[derive(Clone, Debug)]
pub(crate) struct Upgrade {
    line: String,
    fields: Vec<(String, String)>,
}

impl Upgrade {
    /// For a path and query, at host `localhost`.
    pub(crate) fn to(target: &str) -> Self {
        let fields = [
            ("Host", "localhost"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", KEY),
        ];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            line: format!("GET {target} HTTP/1.1"),
            fields: fields.map(owned).to_vec(),
        }
    }

    /// With another request line.
    pub(crate) fn line(mut self, line: &str) -> Self {
        line.clone_into(&mut self.line);
        self
    }

    /// With another `Host`.
    pub(crate) fn host(self, host: &str) -> Self {
        self.with("Host", host)
    }

    /// With this field instead of all of its name.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.without(name).add(name, value)
    }

    /// With one more field.
    pub(crate) fn add(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without any field of that name.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.fields {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

/// The answer that accepts a request with this key, without the empty line that ends it.
pub(crate) fn switching(accept: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    )
}
