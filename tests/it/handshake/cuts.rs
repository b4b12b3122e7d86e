//! Connections that stop in the middle of a record, at every place.

use super::{BOTH, proxy, records::open};
use crate::support::{
    Backend, Config, End, HandMade, Proxy, Upgrade, Wire, frame, hand_made::DATA, within,
};
use socket2::SockRef;
use std::{net::SocketAddr, time::Duration};
use tidegate::frame::Opcode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    net::TcpStream,
    sync::mpsc,
};

/// How a connection stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Fin,
    Reset,
}

fn reset_when_dropped(tcp: &TcpStream) {
    let linger = Some(Duration::ZERO);
    SockRef::from(tcp).set_linger(linger).unwrap();
}

/// A backend that tells all that a socket brought it, and how that ended.
async fn telling() -> (Backend, mpsc::UnboundedReceiver<(Vec<u8>, End)>) {
    let (tell, told) = mpsc::unbounded_channel();
    let backend = Backend::script(move |mut served| {
        let tell = tell.clone();
        async move {
            if served.accept().await.is_some() {
                tell.send(served.wire.read_to_end().await).unwrap();
            }
        }
    })
    .await;
    (backend, told)
}

/// A whole message is carried, and nothing of the record behind it that is cut at any byte.
async fn nothing_of_a_cut_record_is_carried(version: usize, stop: Stop) {
    let (backend, mut told) = telling().await;
    let proxy = Proxy::start(Config::to(&backend));
    let whole = frame::text("whole");
    for cut in 0.. {
        let (stream, local) = open(&proxy, version).await;
        if stop == Stop::Reset {
            reset_when_dropped(stream.get_ref().0);
        }
        let mut client = HandMade::of(stream, local);
        let first = client.seal(DATA, &whole);
        let second = client.seal(DATA, &frame::text("cut"));
        if cut == second.len() {
            break;
        }
        client.wire.send(&[&first, &second[..cut]].concat()).await;
        let (got, end) = end_at(&mut told, client.wire, stop, &proxy).await;
        // A reset may overtake what came before it.
        let lost = stop == Stop::Reset && got.is_empty();
        assert!(got == whole || lost, "{stop:?} at {cut}: {got:?}");
        assert_eq!(end, End::Closed, "{stop:?} at {cut}");
    }
    let ending = [("reason", "client_gone"), ("code", "none")];
    let count = proxy.metric("tidegate_connections_total", &[]) - 1.0;
    proxy
        .wait_for("tidegate_endings_total", &ending, count)
        .await;
}

/// Stops a connection; what the backend had got of it by then.
async fn end_at(
    told: &mut mpsc::UnboundedReceiver<(Vec<u8>, End)>,
    mut wire: Wire,
    stop: Stop,
    proxy: &Proxy,
) -> (Vec<u8>, End) {
    if stop == Stop::Fin {
        wire.finish().await;
        wire.read_to_end().await;
    } else {
        drop(wire);
    }
    let told = within("the end at the backend", told.recv()).await.unwrap();
    proxy.wait_for("tidegate_connections_open", &[], 0.0).await;
    told
}

#[tokio::test]
async fn record_of_tls_1_2_that_fin_cuts_at_any_byte_is_not_carried() {
    nothing_of_a_cut_record_is_carried(0, Stop::Fin).await;
}

#[tokio::test]
async fn record_of_tls_1_2_that_a_reset_cuts_at_any_byte_is_not_carried() {
    nothing_of_a_cut_record_is_carried(0, Stop::Reset).await;
}

#[tokio::test]
async fn record_of_tls_1_3_that_fin_cuts_at_any_byte_is_not_carried() {
    nothing_of_a_cut_record_is_carried(1, Stop::Fin).await;
}

#[tokio::test]
async fn record_of_tls_1_3_that_a_reset_cuts_at_any_byte_is_not_carried() {
    nothing_of_a_cut_record_is_carried(1, Stop::Reset).await;
}

#[tokio::test]
async fn record_that_pauses_at_any_byte_is_carried_whole() {
    let (proxy, _backend) = proxy().await;
    let mut other = proxy.open("/").await;
    for version in 0..BOTH.len() {
        let (stream, local) = open(&proxy, version).await;
        let mut client = HandMade::of(stream, local);
        let length = client.seal(DATA, &frame::text("0")).len();
        let (stream, local) = open(&proxy, version).await;
        client = HandMade::of(stream, local);
        for cut in 1..length {
            let record = client.seal(DATA, &frame::text(&(cut % 10).to_string()));
            let (first, rest) = record.split_at(cut);
            client.wire.send(first).await;
            // The one worker has served another socket meanwhile.
            other.send(&frame::text("pause")).await;
            other.read_frame().await;
            client.wire.send(rest).await;
            let echo = frame::plain(Opcode::Text, (cut % 10).to_string().as_bytes());
            assert_eq!(client.read().await, (DATA, echo), "{cut}");
        }
    }
}

/// Connects and asks for a WebSocket, of which the proxy gets only so many bytes. Gives how many
/// it got, and the client's address.
async fn connect_up_to(
    proxy: &Proxy,
    version: usize,
    limit: usize,
    stop: Stop,
) -> (usize, SocketAddr) {
    let (near, mut far) = tokio::io::duplex(1 << 16);
    let mut tcp = TcpStream::connect(proxy.address()).await.unwrap();
    let local = tcp.local_addr().unwrap();
    let dial = proxy.dial().version(BOTH[version]);
    let client = tokio::spawn(async move {
        let mut stream = dial.over(near).await?;
        let request = Upgrade::to("/").bytes();
        // In two records.
        for half in request.chunks(request.len().div_ceil(2)) {
            stream.write_all(half).await?;
            stream.flush().await?;
        }
        stream.read_u8().await
    });
    let sent = within("the cut", forward(&mut far, &mut tcp, limit)).await;
    drop(far);
    if stop == Stop::Reset {
        reset_when_dropped(&tcp);
    } else {
        tcp.shutdown().await.unwrap();
        let mut rest = Vec::new();
        within("the end", tcp.read_to_end(&mut rest)).await.unwrap();
    }
    // It was cut off, or has what it waited for.
    let _ = client.await.unwrap();
    (sent, local)
}

/// Carries bytes both ways until the client has sent so many, or hangs up.
async fn forward(client: &mut DuplexStream, tcp: &mut TcpStream, limit: usize) -> usize {
    let (mut up, mut down) = (vec![0; 1 << 14], vec![0; 1 << 14]);
    let mut sent = 0;
    while sent < limit {
        tokio::select! {
            count = client.read(&mut up) => {
                let count = count.unwrap().min(limit - sent);
                if count == 0 {
                    break;
                }
                tcp.write_all(&up[..count]).await.unwrap();
                sent += count;
            }
            count = tcp.read(&mut down) => {
                let count = count.unwrap();
                assert_ne!(count, 0, "the proxy hung up after {sent}");
                // The client may have hung up.
                let _ = client.write_all(&down[..count]).await;
            }
        }
    }
    sent
}

/// Handshake and request, cut at places from the first byte to the last but one.
async fn cut_before_the_101(version: usize, stop: Stop) {
    let reasons = ["handshake_gone", "no_request", "request_gone"];
    let (proxy, backend) = proxy().await;
    let (whole, _) = connect_up_to(&proxy, version, usize::MAX, Stop::Fin).await;
    proxy.wait_for("tidegate_connections_open", &[], 0.0).await;
    let mut so_far = 0;
    // Signatures differ in length by a byte or two.
    let places = (0..whole - 8).filter(|cut| *cut < 16 || cut % 53 == 0 || cut + 64 > whole);
    for cut in places {
        let (_, local) = connect_up_to(&proxy, version, cut, stop).await;
        let peer = local.to_string();
        let line = proxy.wait_line(|line| line.client() == peer).await;
        let reason = line.field("reason");
        let stage = reasons.iter().position(|known| *known == reason);
        let stage = stage.unwrap_or_else(|| panic!("{cut}: {line:?}"));
        // A reset may overtake what came before it.
        assert!(
            stage >= so_far || stop == Stop::Reset,
            "{cut} of {whole}: {line:?}"
        );
        so_far = so_far.max(stage);
    }
    assert!(
        so_far == 2 || stop == Stop::Reset,
        "the second record was never cut"
    );
    proxy.wait_for("tidegate_connections_open", &[], 0.0).await;
    assert_eq!(backend.requests().len(), 1);
    proxy.open("/").await;
}

#[tokio::test]
async fn whatever_fin_cuts_off_before_the_101_ends_at_once_and_is_told_by_its_stage() {
    cut_before_the_101(0, Stop::Fin).await;
    cut_before_the_101(1, Stop::Fin).await;
}

#[tokio::test]
async fn whatever_a_reset_cuts_off_before_the_101_ends_at_once_and_is_told_by_its_stage() {
    cut_before_the_101(0, Stop::Reset).await;
    cut_before_the_101(1, Stop::Reset).await;
}
