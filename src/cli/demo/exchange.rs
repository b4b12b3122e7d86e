//! A message to the echo and back.

use super::{
    echo::Observation,
    scene::{Failure, Scene, reason},
};
use crate::client::{Event, WebSocketConnection};
use fastwebsockets::OpCode;
use sha2::{Digest, Sha256};

/// Sends a message and has it come back; the backend has to see it too.
pub(super) async fn exchange(scene: &mut Scene, message: Event) -> Result<(), Failure> {
    scene.socket()?;
    let Some(mut socket) = scene.socket.take() else {
        return Ok(());
    };
    let result = exchange_on(scene, &mut socket, message).await;
    scene.socket = Some(socket);
    result
}

/// The same on another socket.
pub(super) async fn exchange_on(
    scene: &mut Scene,
    socket: &mut WebSocketConnection,
    message: Event,
) -> Result<(), Failure> {
    let (opcode, bytes) = match &message {
        Event::Text(text) => (OpCode::Text, text.as_bytes()),
        Event::Binary(bytes) => (OpCode::Binary, bytes.as_slice()),
        other => return Err(format!("{other:?} is not a message")),
    };
    let sent = match &message {
        Event::Text(text) => socket.send_text(text).await,
        _ => socket.send_binary(bytes).await,
    };
    sent.map_err(reason)?;
    let length = bytes.len();
    if socket.next().await.map_err(reason)? != message {
        return Err(format!("a {opcode:?} of {length} bytes came back changed"));
    }
    let expected: [u8; 32] = Sha256::digest(bytes).into();
    match opcode {
        OpCode::Text => scene.count.texts += 1,
        _ => scene.count.binaries += 1,
    }
    match scene.observe().await? {
        Observation::Data(kind, digest) if (kind, digest) == (opcode, expected) => Ok(()),
        other => Err(format!(
            "a {opcode:?} of {length} bytes was sent, and the backend saw {other:?}"
        )),
    }
}
