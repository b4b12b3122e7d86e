//! What the worked handshakes leave open: modes, terms, keys' states, both sides' refusals.

use super::super::{
    Mode,
    agreement::Agreement,
    client::{AnswerError, agree_on_frames},
    keyring::Unusable,
    negotiate::{MessageOffers, OFFERS_LOOKED_AT, Terms},
    offer::{Extensions, Refusal},
    subprotocol,
};
use super::*;

const SHA: &str = "frame-integrity; alg=sha-256";

struct Server {
    mode: Mode,
    algorithms: Vec<Algorithm>,
    keyring: Keyring,
    exporter: Option<Exporter>,
}

impl Server {
    fn new() -> Self {
        Self {
            mode: Mode::Optional,
            algorithms: Algorithm::ALL.to_vec(),
            keyring: keyring(),
            exporter: None,
        }
    }

    fn with_terms<R>(&self, call: impl FnOnce(&Terms<'_>) -> R) -> R {
        call(&Terms {
            mode: self.mode,
            algorithms: &self.algorithms,
            keyring: &self.keyring,
            now: 1000,
            server_nonce: bytes_32(SERVER_NONCE),
            exporter: &|| self.exporter.clone(),
        })
    }

    fn choose(&self, field: &str) -> Result<Agreement, Vec<Refusal>> {
        self.with_terms(|terms| terms.choose_frame(&Extensions::parse([field.as_bytes()])))
    }

    fn sort(&self, field: &str) -> MessageOffers {
        self.with_terms(|terms| terms.message_offers(&subprotocol::parse([field.as_bytes()])))
    }
}

fn keyed_extension() -> String {
    client_offer(&schedule("secret")).extension()
}

#[test]
fn other_extensions_are_forwarded_as_they_came_and_ours_are_not() {
    let lines = [
        &b"permessage-deflate; client_max_window_bits, frame-integrity; alg=sha-256"[..],
        br#"x-a; v="1\.2", FRAME-INTEGRITY; alg=sha-256, x b, frame-integrity; ="#,
        b"x-c;;, ,x-d",
    ];
    let extensions = Extensions::parse(lines);
    let expected = r#"permessage-deflate; client_max_window_bits, x-a; v="1\.2", x-d"#;
    assert_eq!(extensions.forwarded().as_deref(), Some(expected));
    let offers: Vec<_> = extensions.offers.iter().map(Result::is_ok).collect();
    assert_eq!(offers, [true, false, false]);
}

#[test]
fn a_comma_in_quotes_hides_no_offer_and_makes_none() {
    let extensions = Extensions::parse([&br#"x; v="a, frame-integrity; alg=sha-256""#[..]]);
    assert!(extensions.offers.is_empty());
    assert_eq!(extensions.forwarded(), None);
}

#[test]
fn the_first_acceptable_offer_wins_whatever_the_server_prefers() {
    let server = Server::new();
    let keyed = keyed_extension();
    let first = server.choose(&format!("{SHA}, {keyed}")).unwrap();
    assert_eq!(first.algorithm(), Algorithm::Sha256);
    let first = server.choose(&format!("{keyed}, {SHA}")).unwrap();
    assert_eq!(first.algorithm(), Algorithm::HmacSha256);
}

#[test]
fn an_algorithm_that_the_route_does_not_allow_is_passed_over() {
    let mut server = Server::new();
    server.algorithms = vec![Algorithm::HmacSha256];
    assert_eq!(
        server.choose(SHA).unwrap_err(),
        [Refusal::AlgorithmNotAllowed]
    );
    assert!(server.choose(&keyed_extension()).is_ok());
}

#[test]
fn mode_off_negotiates_nothing_and_every_other_mode_does() {
    let mut server = Server::new();
    for mode in Mode::ALL {
        server.mode = mode;
        assert_eq!(server.choose(SHA).is_ok(), mode != Mode::Off);
        let offers = server.sort("frame-integrity~sha-256~~~~chat");
        assert_eq!(offers.any_acceptable(), mode != Mode::Off);
        assert_eq!(offers.offered_to_backend().is_empty(), mode == Mode::Off);
    }
}

#[test]
fn no_offer_is_no_refusal() {
    assert_eq!(Server::new().choose("permessage-deflate").unwrap_err(), []);
}

#[test]
fn a_key_that_is_not_usable_is_passed_over_with_its_reason() {
    let cases = [
        (KeyState::Retiring, None, None, Unusable::Retiring),
        (KeyState::Revoked, None, None, Unusable::Revoked),
        (KeyState::Active, Some(1001), None, Unusable::NotYet),
        (KeyState::Active, None, Some(1000), Unusable::Expired),
    ];
    for (state, not_before, not_after, reason) in cases {
        let mut changed = keyring().key("edge-2026-11").unwrap().clone();
        changed.state = state;
        changed.validity = Validity::new(not_before, not_after).unwrap();
        let mut server = Server::new();
        server.keyring = Keyring::new([changed]).unwrap();
        let refused = server.choose(&keyed_extension()).unwrap_err();
        assert_eq!(refused, [Refusal::KeyUnusable(reason)]);
    }
    let unknown = keyed_extension().replace("edge-2026-11", "nobody");
    let refused = Server::new().choose(&unknown).unwrap_err();
    assert_eq!(refused, [Refusal::KeyUnusable(Unusable::Unknown)]);
}

#[test]
fn a_channel_binding_without_tls_1_3_is_passed_over() {
    let bound = client_offer(&schedule("secret+cb")).extension();
    let refused = Server::new().choose(&bound).unwrap_err();
    assert_eq!(refused, [Refusal::ChannelBindingUnavailable]);
    let other = bound.replace("tls-exporter", "tls-unique");
    assert_eq!(
        Server::new().choose(&other).unwrap_err(),
        [Refusal::ChannelBindingUnknown]
    );
}

#[test]
fn the_exporter_is_asked_only_if_an_offer_needs_it() {
    let server = Server::new();
    let asked = std::cell::Cell::new(false);
    let extension = keyed_extension();
    let extensions = Extensions::parse([extension.as_bytes()]);
    server.with_terms(|terms| {
        let exporter = || -> Option<Exporter> {
            asked.set(true);
            None
        };
        let terms = Terms {
            exporter: &exporter,
            ..*terms
        };
        terms.choose_frame(&extensions).unwrap();
    });
    assert!(!asked.get());
}

#[test]
fn two_tls_sessions_lead_to_different_keys() {
    let bound = client_offer(&schedule("secret+cb")).extension();
    let keys = [1, 2].map(|byte| {
        let mut server = Server::new();
        server.exporter = Some(Zeroizing::new([byte; 32]));
        *server
            .choose(&bound)
            .unwrap()
            .traffic_keys()
            .unwrap()
            .client_to_server()
    });
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn only_so_many_offers_are_looked_at() {
    let server = Server::new();
    let bad = vec!["frame-integrity; alg=md5"; OFFERS_LOOKED_AT].join(", ");
    let refused = server.choose(&format!("{bad}, {SHA}")).unwrap_err();
    assert_eq!(refused.len(), OFFERS_LOOKED_AT + 1);
    assert_eq!(refused.last(), Some(&Refusal::TooMany));
    let names = ["frame-integrity~sha-256~~~~a"; OFFERS_LOOKED_AT + 1].join(",");
    assert_eq!(server.sort(&names).refused(), [Refusal::TooMany]);
}

#[test]
fn the_backend_is_told_what_was_agreed() {
    let server = Server::new();
    let keyed = server.choose(&keyed_extension()).unwrap();
    let expected = r#"alg=hmac-sha-256; kid="edge-2026-11"; binding=frame"#;
    assert_eq!(keyed.backend_field(), expected);
    let hashed = server
        .sort("frame-integrity~sha-256~~~~")
        .select(None)
        .unwrap();
    assert_eq!(hashed.backend_field(), "alg=sha-256; binding=message");
}

#[test]
fn the_backend_is_offered_each_application_subprotocol_once_in_order() {
    let field = "frame-integrity~sha-256~~~~b, a, frame-integrity~sha-256~~~~a, b, frame-integrity~md5~~~~c";
    let mut server = Server::new();
    assert_eq!(server.sort(field).offered_to_backend(), ["b", "a"]);
    server.mode = Mode::Required;
    let required = "x, frame-integrity~sha-256~~~~a~b";
    assert_eq!(server.sort(required).offered_to_backend(), ["a~b"]);
}

#[test]
fn the_backends_choice_selects_the_sealed_name_or_none() {
    let field = "frame-integrity~sha-256~~~~a, b, frame-integrity~sha-256~~~~";
    let select = |choice| Server::new().sort(field).select(choice);
    let sealed = select(Some("a")).unwrap();
    assert_eq!(
        (sealed.answer(), sealed.application()),
        ("frame-integrity~sha-256~~~~a", Some("a"))
    );
    assert!(select(Some("b")).is_none() && select(Some("A")).is_none());
    assert_eq!(
        select(None).unwrap().answer(),
        "frame-integrity~sha-256~~~~"
    );
}

#[test]
fn a_subprotocol_that_is_no_token_is_left_out() {
    let names = subprotocol::parse([&b"a b, c, ,d\xe9, e"[..], b"f"]);
    let plain = ["c", "e", "f"].map(subprotocol::Subprotocol::Plain);
    assert_eq!(names, plain);
}

#[test]
fn a_client_refuses_every_answer_that_it_did_not_ask_for() {
    let offers = [client_offer(&schedule("secret"))];
    let agree = |answer: &str| {
        agree_on_frames(&offers, [answer.as_bytes()], &|| None).map(|agreement| agreement.is_some())
    };
    let sn = "O3s1kGzewF1HLqZBAgPPjbYoLC5qChBldPtLyVks0zQ";
    let good = format!("frame-integrity; alg=hmac-sha-256; kid=edge-2026-11; sn={sn}");
    assert_eq!(agree(&good), Ok(true));
    assert_eq!(agree("permessage-deflate"), Ok(false));
    assert_eq!(agree(&format!("{good}, {good}")), Err(AnswerError::Twice));
    for other in [
        SHA,
        &good.replace("edge", "else"),
        &format!("{good}; cb=tls-exporter"),
    ] {
        assert_eq!(agree(other), Err(AnswerError::NotOffered), "{other}");
    }
    let malformed = [
        "frame-integrity",
        "frame-integrity; alg",
        "frame-integrity; alg=sha-256; kid=a",
        "frame-integrity; alg=hmac-sha-256; kid=edge-2026-11",
        "frame-integrity; alg=md5",
        &good.replace(sn, "AAAA"),
        &format!("{good}; x=y"),
        &format!("{good}; cb=other"),
    ];
    for answer in malformed {
        assert_eq!(agree(answer), Err(AnswerError::Malformed), "{answer}");
    }
}

#[test]
fn a_client_gives_up_when_its_channel_binding_cannot_be_had() {
    let offers = [client_offer(&schedule("secret+cb"))];
    let sn = "O3s1kGzewF1HLqZBAgPPjbYoLC5qChBldPtLyVks0zQ";
    let bound =
        format!("frame-integrity; alg=hmac-sha-256; kid=edge-2026-11; sn={sn}; cb=tls-exporter");
    let agreed = agree_on_frames(&offers, [bound.as_bytes()], &|| None);
    assert_eq!(agreed.unwrap_err(), AnswerError::ChannelBindingUnavailable);
    let unbound = bound.replace("; cb=tls-exporter", "");
    let agreed = agree_on_frames(&offers, [unbound.as_bytes()], &|| None);
    assert_eq!(agreed.unwrap_err(), AnswerError::NotOffered);
}

#[test]
fn a_client_refuses_a_subprotocol_or_first_message_that_is_not_its_own() {
    let offer = client_offer(&schedule("secret"));
    let name = offer.subprotocol(Some("chat")).unwrap();
    let other = name.replace("edge", "else");
    assert!(!offer.is_selected_by(&other) && !offer.is_selected_by("chat"));
    let refused = offer.agree_on_messages(&other, None).unwrap_err();
    assert_eq!(refused, AnswerError::NotOffered);
    for first in [
        None,
        Some("hello"),
        Some("frame-integrity~AAAA"),
        Some("frame-integrity~"),
    ] {
        let refused = offer.agree_on_messages(&name, first).unwrap_err();
        assert_eq!(refused, AnswerError::FirstMessage);
    }
}

#[test]
fn a_channel_binding_and_a_space_have_no_place_in_a_subprotocol() {
    assert_eq!(client_offer(&schedule("secret+cb")).subprotocol(None), None);
    assert_eq!(ClientOffer::sha256().subprotocol(Some("a b")), None);
    assert_eq!(ClientOffer::sha256().subprotocol(Some("")), None);
}

#[test]
fn a_client_checks_its_nonce_and_the_servers_public_key() {
    let kid = kid("gate-x");
    let ephemeral = private_key(SERVER_NONCE);
    let make = |credential: &Credential, nonce: &[u8]| {
        ClientOffer::hmac_sha256(credential, nonce, &ephemeral, false).map(|_| ())
    };
    let secret = Secret::new(Zeroizing::new(vec![1; 32])).unwrap();
    let secret = Credential::Secret(kid.clone(), secret);
    assert!(make(&secret, &[0; 16]).is_ok() && make(&secret, &[0; 64]).is_ok());
    assert!(make(&secret, &[0; 15]).is_err() && make(&secret, &[0; 65]).is_err());
    assert!(make(&Credential::PublicKey(kid, [0; 32]), &[0; 16]).is_err());
}
