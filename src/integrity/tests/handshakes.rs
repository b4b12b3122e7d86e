//! The worked handshakes, from both sides, and the offers that are passed over.

use super::super::{
    Mode,
    agreement::Agreement,
    client::agree_on_frames,
    negotiate::Terms,
    offer::{Extensions, Refusal},
    subprotocol,
};
use super::*;

/// Calls with terms that allow all that the keyring can do, and the exporter of a row.
fn with_terms<R>(schedule: &Value, call: impl FnOnce(&Terms<'_>) -> R) -> R {
    let keyring = keyring();
    let given = exporter(schedule);
    call(&Terms {
        mode: Mode::Required,
        algorithms: &Algorithm::ALL,
        keyring: &keyring,
        now: 0,
        server_nonce: bytes_32(SERVER_NONCE),
        exporter: &|| given.clone(),
    })
}

fn handshakes(binding: &str) -> Vec<(Value, Value)> {
    let rows = rows(vectors(), "handshakes")
        .iter()
        .filter(|row| text(row, "binding") == binding);
    let found: Vec<_> = rows
        .map(|row| {
            (
                row.clone(),
                row["schedule"].as_str().map_or(Value::Null, schedule),
            )
        })
        .collect();
    assert!(!found.is_empty());
    found
}

fn assert_keys(agreement: &Agreement, schedule: &Value) {
    let Some(keys) = agreement.traffic_keys() else {
        return assert!(schedule.is_null());
    };
    assert_eq!(*keys.client_to_server(), bytes_32(text(schedule, "k_c2s")));
    assert_eq!(*keys.server_to_client(), bytes_32(text(schedule, "k_s2c")));
    assert_eq!(agreement.kid().unwrap().as_str(), text(schedule, "kid"));
    assert_eq!(agreement.channel_binding(), exporter(schedule).is_some());
}

#[test]
fn the_server_answers_every_frame_offer_as_the_example_does() {
    for (row, schedule) in handshakes("frame") {
        let extensions = Extensions::parse([text(&row, "offer").as_bytes()]);
        let agreement = with_terms(&schedule, |terms| terms.choose_frame(&extensions)).unwrap();
        assert_eq!(agreement.answer(), text(&row, "answer"));
        assert_eq!(agreement.first_message(), None);
        assert_keys(&agreement, &schedule);
    }
}

#[test]
fn the_client_reads_every_frame_answer_to_the_same_keys() {
    for (row, schedule) in handshakes("frame") {
        let offer = if schedule.is_null() {
            ClientOffer::sha256()
        } else {
            client_offer(&schedule)
        };
        let made = text(&row, "offer").replace('"', "");
        assert!(made.ends_with(&offer.extension()), "{made}");
        let answer = [text(&row, "answer").as_bytes()];
        let given = exporter(&schedule);
        let agreement = agree_on_frames(&[offer], answer, &|| given.clone())
            .unwrap()
            .unwrap();
        assert_eq!(agreement.answer(), text(&row, "answer"));
        assert_keys(&agreement, &schedule);
    }
}

#[test]
fn the_server_answers_every_message_offer_as_the_example_does() {
    for (row, schedule) in handshakes("message") {
        let names = subprotocol::parse([text(&row, "offer").as_bytes()]);
        let offers = with_terms(&schedule, |terms| terms.message_offers(&names));
        let to_backend = row["backend_is_offered"].as_str();
        assert_eq!(
            offers.offered_to_backend().join(", "),
            to_backend.unwrap_or_default()
        );
        let agreement = offers.select(row["backend_selects"].as_str()).unwrap();
        assert_eq!(agreement.answer(), text(&row, "answer"));
        assert_eq!(agreement.application(), row["backend_selects"].as_str());
        assert_eq!(
            agreement.first_message().as_deref(),
            row["first_message"].as_str()
        );
        assert_keys(&agreement, &schedule);
    }
}

#[test]
fn the_client_reads_every_message_answer_to_the_same_keys() {
    for (row, schedule) in handshakes("message") {
        let offer = if schedule.is_null() {
            ClientOffer::sha256()
        } else {
            client_offer(&schedule)
        };
        let application = row["backend_selects"].as_str();
        assert!(text(&row, "offer").contains(&offer.subprotocol(application).unwrap()));
        let (answer, first) = (text(&row, "answer"), row["first_message"].as_str());
        assert!(offer.is_selected_by(answer));
        assert_eq!(offer.awaits_first_message(), first.is_some());
        let agreement = offer.agree_on_messages(answer, first).unwrap();
        assert_eq!(agreement.application(), application);
        assert_keys(&agreement, &schedule);
    }
}

/// Both sides of every row of `schedules`, those without a worked handshake included.
#[test]
fn both_sides_derive_the_keys_of_every_schedule() {
    for row in rows(vectors(), "schedules") {
        let (offer, given) = (client_offer(row), exporter(row));
        let field = offer.extension();
        let extensions = Extensions::parse([field.as_bytes()]);
        let server = with_terms(row, |terms| terms.choose_frame(&extensions)).unwrap();
        assert_keys(&server, row);
        let answer = [server.answer().as_bytes()];
        let client = agree_on_frames(&[offer], answer, &|| given.clone())
            .unwrap()
            .unwrap();
        assert_keys(&client, row);
        if let Some(ephemeral) = row["epk"].as_str() {
            let text = super::super::base64url::encode(&bytes(ephemeral));
            assert!(field.contains(&format!("; epk={text}")), "{field}");
        }
    }
}

#[test]
fn every_refused_offer_is_passed_over_for_its_reason() {
    let reason = |why: &str| match why {
        "unknown alg" => Refusal::AlgorithmUnknown,
        "no alg" => Refusal::AlgorithmMissing,
        "no cn" => Refusal::NonceMissing,
        "cn too short" => Refusal::NonceMalformed,
        "padding" => Refusal::Malformed,
        "x25519 key without epk" => Refusal::EphemeralMissing,
        "all-zero shared secret" => Refusal::AllZero,
        "epk with a secret key" => Refusal::EphemeralUnexpected,
        "unknown parameter" => Refusal::ParameterUnknown,
        "parameter twice" => Refusal::ParameterTwice,
        "sha-256 takes no cn" => Refusal::ParameterUnexpected,
        "five fields" => Refusal::FieldCount,
        other => panic!("no reason for {other}"),
    };
    for row in rows(vectors(), "refused") {
        let offer = text(row, "offer");
        let found = if offer.contains('~') {
            refused_name(offer)
        } else {
            refused_element(offer)
        };
        assert_eq!(found, [reason(text(row, "why"))], "{offer}");
    }
}

fn refused_element(offer: &str) -> Vec<Refusal> {
    let extensions = Extensions::parse([offer.as_bytes()]);
    assert_eq!(extensions.forwarded(), None);
    let refused = with_terms(&Value::Null, |terms| terms.choose_frame(&extensions)).unwrap_err();
    // Passed over, not fatal: an offer after it is accepted.
    let followed = format!("{offer}, frame-integrity; alg=sha-256");
    let extensions = Extensions::parse([followed.as_bytes()]);
    let agreement = with_terms(&Value::Null, |terms| terms.choose_frame(&extensions)).unwrap();
    assert_eq!(agreement.answer(), "frame-integrity; alg=sha-256");
    refused
}

fn refused_name(offer: &str) -> Vec<Refusal> {
    let names = subprotocol::parse([offer.as_bytes()]);
    let offers = with_terms(&Value::Null, |terms| terms.message_offers(&names));
    assert!(!offers.any_acceptable() && offers.offered_to_backend().is_empty());
    offers.refused().to_vec()
}

#[test]
fn what_one_side_of_an_agreement_seals_the_other_opens() {
    for row in rows(vectors(), "schedules") {
        let (offer, given) = (client_offer(row), exporter(row));
        let extension = offer.extension();
        let extensions = Extensions::parse([extension.as_bytes()]);
        let server = with_terms(row, |terms| terms.choose_frame(&extensions)).unwrap();
        let answer = [server.answer().as_bytes()];
        let client = agree_on_frames(&[offer], answer, &|| given.clone())
            .unwrap()
            .unwrap();
        let (mut server_opens, mut server_seals) = server.server_ends();
        let (mut client_opens, mut client_seals) = client.client_ends();
        let (up, down) = (client_seals.seal(1, b"up"), server_seals.seal(1, b"down"));
        assert_eq!(server_opens.open(1, b"up", &up.unwrap()), Ok(()));
        assert_eq!(client_opens.open(1, b"down", &down.unwrap()), Ok(()));
    }
}
