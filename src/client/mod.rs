//! A WebSocket client over TCP or TLS, with client certificates and sealed frames.
//!
//! ```no_run
//! # async fn talk() -> Result<(), tidegate::client::ClientError> {
//! use tidegate::client::{Client, Event};
//!
//! let mut socket = Client::builder("ws://127.0.0.1:9001/chat").connect().await?;
//! socket.send_text("hello").await?;
//! if let Event::Text(answer) = socket.next().await? {
//!     println!("{answer}");
//! }
//! socket.close(1000, "").await?;
//! # Ok(())
//! # }
//! ```
//!
//! With [`ClientBuilder::integrity`] every frame carries a tag, and what arrives is checked before
//! it is delivered; [`frame integrity`](crate::integrity) says what that is good for. The server's
//! administrator makes a key with `tidegate keys generate web --kind x25519`, which prints the
//! public part:
//!
//! ```no_run
//! # async fn talk(public: [u8; 32]) -> Result<(), Box<dyn std::error::Error>> {
//! use tidegate::client::{Client, Credential, IntegrityOffer};
//!
//! let offer = IntegrityOffer::HmacSha256 {
//!     credential: Credential::PublicKey("web".parse()?, public),
//!     channel_binding: true,
//! };
//! let client = Client::builder("wss://chat.example.com/chat").integrity([offer]);
//! client.connect().await?.send_text("hello").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Nothing is spawned: the connection moves while one of its methods is awaited.

mod builder;
mod error;
mod handshake;
mod incoming;
mod outgoing;
mod random;
mod receiver;
mod sealing;
mod socket;
mod target;
#[cfg(test)]
mod tests;
mod transport;
mod writer;

pub use crate::integrity::{client::Credential, keyring::Kid, keyring::Secret};
pub use builder::{Client, ClientBuilder};
pub use error::{ClientError, Refusal};
pub use incoming::DataFrame;
pub use receiver::{Arrived, CloseFrame, Event, WebSocketReceiver};
pub use sealing::IntegrityOffer;
pub use socket::{WebSocketConnection, WebSocketSender};
pub use transport::TlsParameters;
