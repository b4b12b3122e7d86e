use super::{
    sealed::{Sealed, keyed},
    *,
};
use crate::cli::certs::{DevelopmentCa, Issued, KeyAlgorithm};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateRevocationListDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

struct Server {
    listener: TcpListener,
    authority: DevelopmentCa,
    url: String,
}

async fn server() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    Server {
        listener,
        authority: DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap(),
        url: format!("wss://localhost:{port}/"),
    }
}

impl Server {
    fn client(&self) -> ClientBuilder {
        Client::builder(&self.url)
            .address(self.listener.local_addr().unwrap())
            .roots([self.authority.certificate().clone()])
    }

    /// Serves one connection: an early message, then the end of the connection.
    async fn serve(&self, required: bool, revoked: &[&Issued]) {
        let acceptor = self.acceptor(required, revoked);
        let tcp = self.listener.accept().await.unwrap().0;
        if let Ok(mut tls) = acceptor.accept(tcp).await {
            upgrade(&mut tls, b"\x81\x05early").await;
            let _ = read_frame(&mut tls).await;
            tls.write_all(b"\x88\x02\x03\xe8").await.unwrap();
            tls.shutdown().await.unwrap();
        }
    }

    fn acceptor(&self, required: bool, revoked: &[&Issued]) -> TlsAcceptor {
        let own = self.authority.issue_server(&["localhost"]).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate().clone()).unwrap();
        let list = self.authority.crl(revoked).unwrap();
        let list = CertificateRevocationListDer::from_pem_slice(list.as_bytes()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .with_crls([list])
            .build()
            .unwrap();
        let builder = if required {
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let config = builder
            .with_single_cert(own.chain(), own.key().unwrap())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// Serves one sealed connection: a message, bound to this TLS session or to another one.
    async fn serve_sealed(&self, other_session: bool) {
        let acceptor = self.acceptor(false, &[]);
        let tcp = self.listener.accept().await.unwrap().0;
        let tls = acceptor.accept(tcp).await.unwrap();
        let label = b"EXPORTER-Channel-Binding";
        let session = tls.get_ref().1;
        let mut exporter = session
            .export_keying_material([0; 32], label, None)
            .unwrap();
        exporter[0] ^= u8::from(other_session);
        let mut server = Sealed::accept(tls, Some(Zeroizing::new(exporter))).await;
        server.send(0x81, b"bound").await;
        if !other_session {
            assert_eq!(server.receive().await, (0x81, b"bound".to_vec()));
        }
        server.stream.shutdown().await.unwrap();
    }

    async fn refusal(&self, client: ClientBuilder, revoked: &[&Issued]) -> String {
        let (client, ()) = tokio::join!(client.connect(), self.serve(true, revoked));
        client.err().unwrap().to_string()
    }
}

/// What a client reports where the server speaks the other of TLS and plain HTTP.
#[tokio::test]
async fn scheme_that_the_server_does_not_speak_is_told() {
    let server = server().await;
    let plain = Client::builder(server.url.replace("wss:", "ws:"))
        .address(server.listener.local_addr().unwrap());
    let (refused, ()) = tokio::join!(plain.connect(), server.serve(false, &[]));
    let refused = refused.err().unwrap().to_string();
    assert!(
        refused.contains("not HTTP") && refused.contains("wss://"),
        "{refused}"
    );
    for (answer, part) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS"),
        ("", "in the midst of TLS"),
    ] {
        let answering = async {
            let mut tcp = server.listener.accept().await.unwrap().0;
            let _ = tcp.read_u8().await.unwrap();
            tcp.write_all(answer.as_bytes()).await.unwrap();
            tcp.shutdown().await.unwrap();
            // Closing with bytes unread would be a reset.
            let _ = tcp.read_to_end(&mut Vec::new()).await;
        };
        let (refused, ()) = tokio::join!(server.client().connect(), answering);
        let refused = refused.err().unwrap().to_string();
        assert!(refused.contains(part), "{refused}");
    }
}

#[tokio::test]
async fn client_with_a_certificate_talks_and_closes() {
    let server = server().await;
    let own = server.authority.issue_client("x", "").unwrap();
    let client = server.client().identity(own.chain(), own.key().unwrap());
    let talking = async {
        let mut socket = client.connect().await.unwrap();
        let tls = socket.tls().unwrap();
        assert_eq!(tls.version, rustls::ProtocolVersion::TLSv1_3);
        assert_ne!(tls.server_certificate, own.certificate);
        assert_eq!(socket.next().await.unwrap(), Event::Text("early".into()));
        socket.close(1000, "").await.unwrap();
        assert!(matches!(socket.next().await, Ok(Event::Closed(Some(_)))));
    };
    tokio::join!(talking, server.serve(true, &[]));
}

#[tokio::test]
async fn refusal_of_the_client_certificate_is_explained() {
    let server = server().await;
    let own = server.authority.issue_client("x", "").unwrap();
    let foreign = DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap();
    let foreign = foreign.issue_client("x", "").unwrap();
    let with = |issued: &Issued| {
        server
            .client()
            .identity(issued.chain(), issued.key().unwrap())
    };
    let refusal = server.refusal(server.client(), &[]).await;
    assert!(
        refusal.contains("requires a client certificate"),
        "{refusal}"
    );
    let refusal = server.refusal(with(&own), &[&own]).await;
    assert_eq!(
        refusal,
        "the server refused the client certificate: certificate revoked"
    );
    let refusal = server.refusal(with(&foreign), &[]).await;
    assert!(refusal.contains("does not trust the CA"), "{refusal}");
}

#[tokio::test]
async fn server_that_is_not_trusted_is_explained() {
    let server = server().await;
    let client = Client::builder(&server.url)
        .address(server.listener.local_addr().unwrap())
        .connect();
    let (client, ()) = tokio::join!(client, server.serve(false, &[]));
    let refusal = client.err().unwrap().to_string();
    assert!(refusal.contains("no trusted CA issued it"), "{refusal}");
    let port = server.listener.local_addr().unwrap().port();
    let client = Client::builder(format!("wss://other.test:{port}/"))
        .address(server.listener.local_addr().unwrap())
        .roots([server.authority.certificate().clone()])
        .connect();
    let (client, ()) = tokio::join!(client, server.serve(false, &[]));
    let refusal = client.err().unwrap().to_string();
    assert!(refusal.contains("other.test"), "{refusal}");
}

#[tokio::test]
async fn key_of_another_certificate_is_refused_here() {
    let server = server().await;
    let one = server.authority.issue_client("x", "").unwrap();
    let two = server.authority.issue_client("y", "").unwrap();
    let client = server.client().identity(one.chain(), two.key().unwrap());
    let (client, _tcp) = tokio::join!(client.connect(), server.listener.accept());
    let refusal = client.err().unwrap().to_string();
    assert!(refusal.contains("key"), "{refusal}");
}

#[tokio::test]
async fn channel_binding_holds_within_one_tls_session() {
    let server = server().await;
    let client = server.client().integrity([keyed("edge", true)]);
    let talking = async {
        let mut socket = client.connect().await.unwrap();
        assert!(socket.agreed().unwrap().channel_binding());
        assert_eq!(socket.next().await.unwrap(), Event::Text("bound".into()));
        socket.send_text("bound").await.unwrap();
    };
    tokio::join!(talking, server.serve_sealed(false));
}

#[tokio::test]
async fn another_tls_terminator_in_between_is_noticed_by_channel_binding() {
    let server = server().await;
    let client = server.client().integrity([keyed("web", true)]);
    let talking = async {
        let mut socket = client.connect().await.unwrap();
        assert!(matches!(
            socket.next().await,
            Err(ClientError::Integrity(_))
        ));
    };
    tokio::join!(talking, server.serve_sealed(true));
}
