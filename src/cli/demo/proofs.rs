//! What the demo proves, in order. One more proof is one more line of [`PROOFS`].

use super::{
    exchange::exchange,
    ground::Origin,
    metrics,
    proof::{LOOK, Proof, Verdict},
    scene::{Failure, Scene, plain_http},
    sealing,
};
use crate::{
    cli::certs::{DevelopmentCa, KeyAlgorithm},
    client::{ClientBuilder, ClientError, Event, TlsParameters},
    policy::identity::{Fingerprint, Identity},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{AlertDescription, NamedGroup, ProtocolVersion};

/// Every proof. Those after the first use the socket that it opens.
pub(super) const PROOFS: &[Proof] = &[
    Proof {
        name: "TLS ends at the proxy",
        run: |scene| Box::pin(tls(scene)),
    },
    Proof {
        name: "the backend is told who the client is",
        run: |scene| Box::pin(async { identity(scene) }),
    },
    Proof {
        name: "a client cannot tell it otherwise",
        run: |scene| Box::pin(async { forgery(scene) }),
    },
    Proof {
        name: "text and binary arrive unchanged",
        run: |scene| Box::pin(messages(scene)),
    },
    Proof {
        name: "a client without a certificate is refused",
        run: |scene| Box::pin(without_certificate(scene)),
    },
    Proof {
        name: "a certificate of another CA is refused",
        run: |scene| Box::pin(foreign_certificate(scene)),
    },
    Proof {
        name: "plain HTTP is turned away",
        run: |scene| Box::pin(without_tls(scene)),
    },
    Proof {
        name: "sealed frames, and a forger refused",
        run: |scene| Box::pin(sealing::sealed(scene)),
    },
    Proof {
        name: "a new certificate, and no socket lost",
        run: |scene| Box::pin(rotation(scene)),
    },
    Proof {
        name: "Close 1000 reaches both ends",
        run: |scene| Box::pin(close(scene)),
    },
    Proof {
        name: "the metrics agree",
        run: |scene| Box::pin(metrics::agree(scene)),
    },
];

/// Fields that only the proxy may set, in the spellings that backends take for the same, and an
/// address that is nobody's (RFC 5737).
const FORGED: [(&str, &str); 5] = [
    ("Client-Cert", ":Zm9yZ2Vk:"),
    ("Client_Cert", ":Zm9yZ2Vk:"),
    ("X-Forwarded-Client-Cert", "Subject=\"CN=forged\""),
    ("x_forwarded_client_cert", "Subject=\"CN=forged\""),
    ("X-Forwarded-For", "203.0.113.7"),
];
/// What the forged values have in common, and nothing else has.
const FORGERY: [&str; 3] = ["Zm9yZ2Vk", "forged", "203.0.113.7"];

/// Each side of every boundary of the length's encoding (RFC 6455 section 5.2), and a large one.
const SIZES: [usize; 8] = [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20];

async fn tls(scene: &mut Scene) -> Result<Verdict, Failure> {
    let client = scene.client()?;
    let forged = FORGED.iter();
    let client = forged.fold(client, |client, (name, value)| client.header(name, value));
    let (socket, request) = scene.open(client).await?;
    let seen = socket.tls().ok_or("the connection is not encrypted")?;
    let lines = vec![parameters(seen), certificate(seen)?];
    scene.request = request;
    scene.socket = Some(socket);
    Ok(Verdict::Proved(lines))
}

fn parameters(tls: &TlsParameters) -> String {
    let version = match tls.version {
        ProtocolVersion::TLSv1_3 => "TLS 1.3".to_owned(),
        ProtocolVersion::TLSv1_2 => "TLS 1.2".to_owned(),
        other => format!("{other:?}"),
    };
    let exchange = match tls.key_exchange {
        Some(group @ NamedGroup::X25519MLKEM768) => format!("{group:?} (post-quantum hybrid)"),
        Some(group) => format!("{group:?}"),
        None => "unknown".to_owned(),
    };
    format!("{version}, {:?}, key exchange {exchange}", tls.suite)
}

fn certificate(tls: &TlsParameters) -> Result<String, Failure> {
    let der = &tls.server_certificate;
    let shown = Identity::from_der(der).map_err(|error| error.to_string())?;
    Ok(format!(
        "server certificate for {}, {}",
        shown.dns.join(", "),
        short(der)
    ))
}

fn identity(scene: &mut Scene) -> Result<Verdict, Failure> {
    scene.socket()?;
    let chain = scene.chain()?;
    let leaf = chain.first().ok_or("certs/client.pem is empty")?;
    let expected = format!(":{}:", STANDARD.encode(leaf));
    if scene.request.all("client-cert") != [expected] {
        let found = scene.request.all("client-cert");
        return Err(format!("Client-Cert is {found:?}, not the certificate"));
    }
    let forwarded = scene.request.all("x-forwarded-client-cert");
    let hash = format!("Hash={}", Fingerprint::of(leaf));
    let [forwarded] = forwarded.as_slice() else {
        return Err(format!("X-Forwarded-Client-Cert is {forwarded:?}"));
    };
    if !forwarded.split(';').any(|element| element == hash) {
        return Err(format!(
            "X-Forwarded-Client-Cert is {forwarded}, without {hash}"
        ));
    }
    let own = format!(
        "Client-Cert: byte for byte the {} of {}",
        leaf.len(),
        scene.ground.file("client.pem").display()
    );
    let mut lines = vec![own, "X-Forwarded-Client-Cert:".to_owned()];
    lines.extend(forwarded.split(';').map(ToOwned::to_owned));
    Ok(Verdict::Proved(lines))
}

fn forgery(scene: &mut Scene) -> Result<Verdict, Failure> {
    scene.socket()?;
    for part in FORGERY {
        let reached = scene.request.containing(part);
        if !reached.is_empty() {
            return Err(format!("{part:?} reached the backend in {reached:?}"));
        }
    }
    let names: Vec<_> = FORGED.iter().map(|(name, _)| *name).collect();
    let address = scene.request.all("x-forwarded-for").join(", ");
    Ok(Verdict::Proved(vec![
        format!("the request had its own {}", names.join(", ")),
        format!("none of them arrived; X-Forwarded-For: {address}"),
    ]))
}

async fn messages(scene: &mut Scene) -> Result<Verdict, Failure> {
    let limits = &scene.ground.settings.limits;
    let limit = limits.message.min(limits.frame);
    let fits = |size: &usize| u64::try_from(*size).is_ok_and(|size| size <= limit);
    let sizes: Vec<usize> = SIZES.into_iter().filter(fits).collect();
    for size in &sizes {
        let letters = "Grüße, 世界 🌊 ".chars().cycle();
        // One to four bytes each: never more than the size, and not ASCII alone.
        let text: String = letters.take(size / 4).collect();
        exchange(scene, Event::Text(text)).await?;
        exchange(scene, Event::Binary(pattern(*size))).await?;
    }
    let count = sizes.len();
    let largest = sizes.last().copied().unwrap_or_default();
    Ok(Verdict::Proved(vec![
        format!("{count} texts, {count} binary messages of 0 to {largest} bytes"),
        "same SHA-256 at the backend, same bytes back at the client".to_owned(),
    ]))
}

/// Bytes without a period that a frame could hide behind.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes().first().copied().unwrap_or_default()
    };
    std::iter::repeat_with(step).take(length).collect()
}

async fn without_certificate(scene: &mut Scene) -> Result<Verdict, Failure> {
    let stranger = scene.stranger()?;
    let verdict = refused(scene, stranger, AlertDescription::CertificateRequired).await?;
    scene.count.without_certificate += 1;
    Ok(verdict)
}

async fn foreign_certificate(scene: &mut Scene) -> Result<Verdict, Failure> {
    let foreign = DevelopmentCa::new(KeyAlgorithm::Ecdsa)
        .and_then(|authority| authority.issue_client("demo client", ""));
    let foreign = foreign.map_err(|error| error.to_string())?;
    let key = foreign.key().map_err(|error| error.to_string())?;
    let client = scene.stranger()?.identity(foreign.chain(), key);
    refused(scene, client, AlertDescription::UnknownCA).await
}

async fn refused(
    scene: &mut Scene,
    client: ClientBuilder,
    expected: AlertDescription,
) -> Result<Verdict, Failure> {
    let alert = match client.connect().await {
        Ok(_) => return Err("it was let in".to_owned()),
        Err(ClientError::Tls {
            source: rustls::Error::AlertReceived(alert),
            ..
        }) => alert,
        Err(other) => return Err(format!("there was no alert: {other}")),
    };
    if alert != expected {
        return Err(format!("the alert was {alert:?}, not {expected:?}"));
    }
    scene.expect_nothing_seen()?;
    let number = u8::from(alert);
    Ok(Verdict::Proved(vec![format!(
        "TLS alert {number}, {alert:?}; the backend saw nothing of it"
    )]))
}

async fn without_tls(scene: &mut Scene) -> Result<Verdict, Failure> {
    let answer = plain_http(scene.address, "/").await?;
    let status = answer.lines().next().unwrap_or_default();
    let explanation = answer.lines().last().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 400 ") {
        return Err(format!("the answer was {status:?}, not 400"));
    }
    scene.expect_nothing_seen()?;
    Ok(Verdict::Proved(vec![
        status.to_owned(),
        explanation.to_owned(),
    ]))
}

async fn rotation(scene: &mut Scene) -> Result<Verdict, Failure> {
    let file = scene.ground.file("server.pem").display().to_string();
    if scene.ground.origin == Origin::Others {
        return Ok(Verdict::LeftOut(format!(
            "the demo did not make {file}, so it does not replace it"
        )));
    }
    let before = shown_certificate(scene).await?;
    let rotated = scene.ground.rotate();
    rotated.map_err(|error| error.to_string())?;
    scene.count.rotations += 1;
    let after = loop {
        let shown = shown_certificate(scene).await?;
        if shown != before {
            break shown;
        }
        tokio::time::sleep(LOOK).await;
    };
    let message = "still here, on the certificate of yesterday";
    exchange(scene, Event::Text(message.to_owned())).await?;
    Ok(Verdict::Proved(vec![
        format!("{file} and its key replaced; nobody called the proxy"),
        format!("new handshakes saw {before}, then {after}"),
        "the open socket still echoes".to_owned(),
    ]))
}

/// The certificate that a new handshake is served with.
async fn shown_certificate(scene: &mut Scene) -> Result<String, Failure> {
    let client = scene.client()?;
    let (socket, _) = scene.open(client).await?;
    let shown = socket.tls().map(|tls| short(&tls.server_certificate));
    scene.close(socket).await?;
    shown.ok_or_else(|| "the connection is not encrypted".to_owned())
}

async fn close(scene: &mut Scene) -> Result<Verdict, Failure> {
    scene.socket()?;
    if let Some(socket) = scene.socket.take() {
        scene.close(socket).await?;
    }
    Ok(Verdict::Proved(vec![
        "code and reason as the client sent them, at the backend and back".to_owned(),
    ]))
}

/// The beginning of a certificate's fingerprint.
fn short(der: &[u8]) -> String {
    let fingerprint = Fingerprint::of(der).to_string();
    let beginning: String = fingerprint.chars().take(12).collect();
    format!("sha256:{beginning}…")
}
