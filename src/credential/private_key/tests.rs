use super::*;
use base64::{Engine, engine::general_purpose::STANDARD};

const INTEGER: u8 = 0x02;
const BYTES: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const PARAMETERS: u8 = 0xa0;
const P256: &[u8] = &[42, 134, 72, 206, 61, 3, 1, 7];
const SECP256K1: &[u8] = &[43, 129, 4, 0, 10];
const EC: &[u8] = &[42, 134, 72, 206, 61, 2, 1];

/// Made with `openssl ecparam -name prime256v1 -genkey -param_enc explicit` and `openssl req -x509`.
const EXPLICIT_CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIICYDCCAgegAwIBAgIUPdiCrF2YSbhvKUatOi089zN+10cwCgYIKoZIzj0EAwIw\n\
DDEKMAgGA1UEAwwBeDAeFw0yNjExMjgyMDEyNTFaFw0zNTAyMTQyMDEyNTFaMAwx\n\
CjAIBgNVBAMMAXgwggFLMIIBAwYHKoZIzj0CATCB9wIBATAsBgcqhkjOPQEBAiEA\n\
/////wAAAAEAAAAAAAAAAAAAAAD///////////////8wWwQg/////wAAAAEAAAAA\n\
AAAAAAAAAAD///////////////wEIFrGNdiqOpPns+u9VXaYhrxlHQawzFOw9jvO\n\
PD4n0mBLAxUAxJ02CIbnBJNqZnjhE50mt4GffpAEQQRrF9Hy4SxCR/i85uVjpEDy\n\
dwN9gS3rM6D0oTlF2JjClk/jQuL+Gn+bjufrSnwPnhYrzjNXazFezsu2QGg3v1H1\n\
AiEA/////wAAAAD//////////7zm+q2nF56E87nKwvxjJVECAQEDQgAEhK4bZT6c\n\
hr4z7760xenubuPNsTS4T3PtTsit5HmIXdICPW6pBzn7xe2SjijP/pYgRFNU+fPl\n\
X8y/Zk5DfnwLKKNTMFEwHQYDVR0OBBYEFLDHsrmj9LmhDxLCfNpn9Y89OXxQMB8G\n\
A1UdIwQYMBaAFLDHsrmj9LmhDxLCfNpn9Y89OXxQMA8GA1UdEwEB/wQFMAMBAf8w\n\
CgYIKoZIzj0EAwIDRwAwRAIgC++qFRNY4WJYzHo+G1TNWwiUFLbS9LbEBdGAfADn\n\
DN8CIAhYll86J2iJju4rfFtooTJknggSoCdDhEqzrb8ord9u\n\
-----END CERTIFICATE-----\n";

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82, high, low], content.as_slice()].concat()
}

fn block(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

fn pkcs8(oid: &[u8], parameters: &[u8], key: &[u8]) -> String {
    let algorithm = der(SEQUENCE, &[&der(OID, &[oid]), parameters]);
    let parts = [der(INTEGER, &[&[0]]), algorithm, der(BYTES, &[key])];
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    block("PRIVATE KEY", &der(SEQUENCE, &parts))
}

fn sec1(parameters: &[u8]) -> String {
    let parts = [
        der(INTEGER, &[&[1]]),
        der(BYTES, &[&[7; 32]]),
        der(PARAMETERS, &[parameters]),
    ];
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    block("EC PRIVATE KEY", &der(SEQUENCE, &parts))
}

fn rsa(bytes: usize) -> Vec<u8> {
    let modulus = [&[0][..], &vec![0xff; bytes]].concat();
    der(
        SEQUENCE,
        &[&der(INTEGER, &[&[0]]), &der(INTEGER, &[&modulus])],
    )
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let problem = of_text(text.as_bytes()).expect_err(expected);
    let told = format!("{}; {}", problem.message, problem.hint);
    assert!(told.contains(expected), "{told}");
}

#[test]
fn a_curve_written_out_is_told_with_the_way_to_convert_it() {
    let explicit = der(SEQUENCE, &[&der(INTEGER, &[&[1]])]);
    for text in [sec1(&explicit), pkcs8(EC, &explicit, &[1])] {
        refused(&text, "has explicit EC parameters");
        refused(&text, "openssl ec -param_enc named_curve -in FILE -out NEW");
    }
    for named in [
        sec1(&der(OID, &[P256])),
        pkcs8(EC, &der(OID, &[P256]), &[1]),
    ] {
        assert!(of_text(named.as_bytes()).is_ok());
    }
    refused(
        &sec1(&der(OID, &[SECP256K1])),
        "a curve that is not used here",
    );
}

#[test]
fn a_certificate_of_a_curve_written_out_is_told() {
    let path = Path::new("chain.pem");
    let chain =
        crate::credential::file::certificates_in(path, EXPLICIT_CERTIFICATE.as_bytes()).unwrap();
    let error = refuse_explicit_curve(path, &chain).unwrap_err();
    assert!(error.message.contains("explicit EC parameters"), "{error}");
}

#[test]
fn every_kind_of_key_that_cannot_be_used_is_named() {
    for (oid, name) in [
        (&[42, 134, 72, 206, 56, 4, 1][..], "of the kind DSA"),
        (&[43, 101, 113], "of the kind Ed448"),
        (&[43, 101, 110], "of the kind X25519"),
        (
            &[42, 134, 72, 134, 247, 13, 1, 1, 10],
            "of the kind RSA-PSS",
        ),
    ] {
        refused(&pkcs8(oid, &[], &[1]), name);
    }
    refused(&block("DSA PRIVATE KEY", &[1]), "of the kind DSA");
    refused(&block("OPENSSH PRIVATE KEY", &[1]), "ssh-keygen");
    refused(&block("RSA PRIVATE KEY", &rsa(128)), "RSA of 1024 bits");
    let oid = &[42, 134, 72, 134, 247, 13, 1, 1, 1];
    refused(&pkcs8(oid, &[], &rsa(128)), "RSA of 1024 bits");
    assert!(of_text(pkcs8(oid, &[], &rsa(256)).as_bytes()).is_ok());
}

#[test]
fn an_encrypted_key_is_told_from_one_that_is_none() {
    refused(
        &block("ENCRYPTED PRIVATE KEY", &[1]),
        "the private key is encrypted",
    );
    let headers = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: A,0\n\n";
    let text = block("RSA PRIVATE KEY", &[1]).replace("-----BEGIN RSA PRIVATE KEY-----\n", headers);
    refused(&text, "the private key is encrypted");
    refused(&text, "openssl pkey -in FILE -out NEW");
}

#[test]
fn what_stands_in_place_of_a_key_is_named() {
    refused(
        &block("PUBLIC KEY", &[1]),
        "there is a public key in this file, and no private key",
    );
    refused(
        EXPLICIT_CERTIFICATE,
        "there are certificates in this file, and no private key",
    );
    refused("", "no whole private key");
    refused("hello", "no whole private key");
    let one = sec1(&der(OID, &[P256]));
    refused(&format!("{one}{one}"), "line 4: a second private key");
    refused(
        &format!("{one}{}", block("X509 CRL", &[1])),
        "line 4: a revocation list",
    );
    assert!(
        of_text(&rsa(256))
            .unwrap_err()
            .hint
            .contains("openssl pkey -inform DER")
    );
}

#[test]
fn what_openssl_writes_beside_a_key_is_passed_over() {
    let key = sec1(&der(OID, &[P256]));
    let parameters = block("EC PARAMETERS", &der(OID, &[P256]));
    let dh = block("DH PARAMETERS", &[1]);
    let public = block("PUBLIC KEY", &[1]);
    let text = format!("{parameters}{key}{public}{EXPLICIT_CERTIFICATE}{dh}");
    assert_eq!(of_text(text.as_bytes()).unwrap().line, 4);
}
