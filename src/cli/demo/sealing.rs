//! The proof of sealed frames: what passes, and what a forger gets.

use super::{
    echo::Observation,
    exchange::exchange_on,
    proof::Verdict,
    scene::{Failure, Scene, reason},
};
use crate::{
    client::{ClientError, Credential, Event, IntegrityOffer, Kid, Secret},
    config,
    integrity::keyring::{KeyMaterial, KeyState, Keyring},
};
use zeroize::Zeroizing;

/// The sentence that a forger is closed with (section 7 of the protocol).
const MISMATCH: &str = "frame-integrity: mismatch";

pub(super) async fn sealed(scene: &mut Scene) -> Result<Verdict, Failure> {
    let path = scene.ground.file("keyring.toml");
    let Ok(keyring) = config::load_keyring(&path) else {
        return Ok(left_out("there is no certs/keyring.toml that can be used"));
    };
    let Some((kid, secret)) = shared_key(&keyring) else {
        return Ok(left_out("certs/keyring.toml has no active shared secret"));
    };
    let offer = offer(&kid, secret);
    let client = scene.client()?.integrity([offer]);
    if !scene.seals {
        return Ok(left_out("the route has integrity = \"off\""));
    }
    let (mut socket, fields) = scene.open(client).await?;
    let field = fields.all("frame-integrity").concat();
    for message in [
        Event::Text("sealed".to_owned()),
        Event::Binary(vec![0xa5; 70_000]),
    ] {
        exchange_on(scene, &mut socket, message).await?;
    }
    scene.close(socket).await?;
    forge(scene, &kid).await?;
    Ok(Verdict::Proved(vec![
        format!("the backend got: {field}"),
        "text and 70000 bytes came through, each frame with its tag checked".to_owned(),
        format!("a client with another secret for {kid}: 1008 \"{MISMATCH}\""),
    ]))
}

/// Somebody who knows the key's name and not the key.
async fn forge(scene: &mut Scene, kid: &Kid) -> Result<(), Failure> {
    let guess = Secret::new(Zeroizing::new(vec![7; 32])).map_err(|error| error.message)?;
    let client = scene.client()?.integrity([offer(kid, guess)]);
    let (mut socket, _) = scene.open(client).await?;
    scene.count.forged += 1;
    scene.count.texts += 1;
    socket.send_text("forged").await.map_err(reason)?;
    match socket.next().await {
        // The proxy's Close is sealed as well, with a key that the forger does not have.
        Err(ClientError::Integrity(_)) => {}
        other => return Err(format!("the forger saw {other:?} instead of a refusal")),
    }
    let expected = [&1008_u16.to_be_bytes(), MISMATCH.as_bytes()].concat();
    match scene.observe().await? {
        Observation::Close(payload) if payload == expected => Ok(()),
        other => Err(format!("the backend saw {other:?} of a forger")),
    }
}

fn offer(kid: &Kid, secret: Secret) -> IntegrityOffer {
    IntegrityOffer::HmacSha256 {
        credential: Credential::Secret(kid.clone(), secret),
        channel_binding: true,
    }
}

/// The first shared secret in use.
fn shared_key(keyring: &Keyring) -> Option<(Kid, Secret)> {
    keyring.iter().find_map(|key| match &key.material {
        KeyMaterial::Secret(secret) if key.state == KeyState::Active => {
            Some((key.kid.clone(), secret.clone()))
        }
        _ => None,
    })
}

fn left_out(reason: &str) -> Verdict {
    Verdict::LeftOut(reason.to_owned())
}
