//! The ClientHello: what it chooses, and the shapes that it comes in.

use super::proxy;
use crate::support::{Backend, Config, Dial, Proxy, Upgrade, Wire, client::tcp, frame, within};
use rustls::version::TLS12;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, copy_bidirectional},
    net::TcpStream,
};

/// The certificate that a server name gets.
async fn certificate_for(proxy: &Proxy, name: &str) -> Vec<u8> {
    let session = proxy.dial().name(name).session().await;
    session.server.to_vec()
}

#[tokio::test]
async fn server_name_chooses_the_certificate() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).set(
        "tls",
        "certificates = [{ chain = 'certs/server.pem', key = 'certs/server.key' }, \
         { chain = 'certs/wild.pem', key = 'certs/wild.key' }, \
         { chain = 'certs/one.pem', key = 'certs/one.key' }]",
    );
    let ca = config.credentials().ca.clone();
    let wild = ca.issue_server(&["*.wild.test"]).unwrap();
    let one = ca.issue_server(&["one.wild.test"]).unwrap();
    let config = config.pair("certs/wild", &wild).pair("certs/one", &one);
    let proxy = Proxy::start(config);
    let default = proxy.credentials.server.certificate.to_vec();
    assert_eq!(certificate_for(&proxy, "localhost").await, default);
    assert_eq!(
        certificate_for(&proxy, "a.wild.test").await,
        wild.certificate.to_vec()
    );
    assert_eq!(
        certificate_for(&proxy, "one.wild.test").await,
        one.certificate.to_vec()
    );
    let session = proxy.dial().without_name().session().await;
    assert_eq!(session.server.to_vec(), default);

    // A name in upper case, as some clients send it: over TLS 1.2 the answer can be read.
    for (name, issued) in [("one.wild.test", &one), ("abc.wild.test", &wild)] {
        let hello = client_hello(&proxy.dial().name(name).version(&TLS12)).await;
        let mut wire = tcp(proxy.address()).await;
        wire.send(&replaced(
            &hello,
            name.as_bytes(),
            name.to_uppercase().as_bytes(),
        ))
        .await;
        while !contains(wire.pending(), &issued.certificate) {
            assert_ne!(
                wire.read_more().await.unwrap(),
                0,
                "another certificate for {name}"
            );
        }
    }
}

/// The first flight of a client.
async fn client_hello(dial: &Dial) -> Vec<u8> {
    let (near, mut far) = tokio::io::duplex(1 << 14);
    let dial = dial.clone();
    let task = tokio::spawn(async move { dial.over(near).await.map(drop) });
    let hello = first_record(&mut far).await;
    drop(far);
    task.await.unwrap().unwrap_err();
    hello
}

async fn first_record(from: &mut DuplexStream) -> Vec<u8> {
    let mut record = vec![0; 5];
    within("a record", from.read_exact(&mut record))
        .await
        .unwrap();
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(5 + length, 0);
    within("a record", from.read_exact(&mut record[5..]))
        .await
        .unwrap();
    record
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = bytes.windows(old.len()).position(|window| window == old);
    let at = at.expect("the name is in the hello");
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// Connects with a first flight that was changed on the way.
async fn connect_with_split_hello(proxy: &Proxy, split: impl Fn(&[u8]) -> Vec<Vec<u8>>) {
    let (near, mut far) = tokio::io::duplex(1 << 14);
    let mut tcp = TcpStream::connect(proxy.address()).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let pieces = async {
        let hello = first_record(&mut far).await;
        for piece in split(&hello) {
            tcp.write_all(&piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        copy_bidirectional(&mut far, &mut tcp).await.unwrap();
    };
    let dial = proxy.dial();
    let client = async {
        let stream = dial.over(near).await.unwrap();
        let mut wire = Wire::new(stream, None);
        wire.send(&Upgrade::to("/").bytes()).await;
        assert_eq!(wire.read_head().await.status(), 101);
        wire.send(&frame::close(1000, "")).await;
        wire.read_to_end().await;
    };
    tokio::join!(pieces, client);
}

#[tokio::test]
async fn client_hello_is_understood_in_records_of_one_byte() {
    let (proxy, _backend) = proxy().await;
    connect_with_split_hello(&proxy, |hello| {
        let record = |byte: &u8| vec![22, 3, 1, 0, 1, *byte];
        hello[5..].iter().map(record).collect()
    })
    .await;
}

#[tokio::test]
async fn client_hello_in_single_bytes_is_judged_as_a_whole_one() {
    let backend = Backend::echo().await;
    // Routes that ask in different ways: the proxy looks into the ClientHello by itself.
    let config = Config::to(&backend)
        .route("name = 'closed'\npath = '/'\nbackend = 'echo'\nhost = ['localhost']")
        .route("name = 'open'\npath = '/'\nbackend = 'echo'\nclient_cert = 'off'");
    let proxy = Proxy::start(config);
    let single = |hello: &[u8]| hello.iter().map(|byte| vec![*byte]).collect();
    connect_with_split_hello(&proxy, single).await;
    connect_with_split_hello(&proxy, |hello| {
        let record = |byte: &u8| vec![22, 3, 1, 0, 1, *byte];
        hello[5..].iter().map(record).collect()
    })
    .await;
    let lines = proxy.lines(|line| line.message == "websocket open");
    assert_eq!(lines.len(), 2);
    for line in lines {
        assert_eq!(line.field("route"), "closed");
        assert!(line.field("identity").contains("alice"), "{line:?}");
    }
}
