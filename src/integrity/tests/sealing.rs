//! Sealing as streams, sequence numbers, and the sealed Close.

use super::super::{Binding, Failure, seal::SealError, seal_message::MessageKind};
use super::*;

const KEY: [u8; 32] = [0x5a; 32];
const BINARY: u8 = 0x82;

/// Sealed binary units of the data 0, 1, 2 …, in order.
fn sealed_units(count: u8) -> Vec<(Vec<u8>, [u8; 32])> {
    let mut sealer = Sealer::hmac_sha256(&KEY);
    (0..count)
        .map(|n| (vec![n], sealer.seal(BINARY, &[n]).unwrap()))
        .collect()
}

fn verdicts<'a>(
    units: impl IntoIterator<Item = &'a (Vec<u8>, [u8; 32])>,
) -> Vec<Result<(), Failure>> {
    let mut opener = Opener::hmac_sha256(&KEY);
    units
        .into_iter()
        .map(|(data, tag)| opener.open(BINARY, data, tag))
        .collect()
}

#[test]
fn any_split_of_the_data_gives_the_same_tag() {
    let data: Vec<_> = (0..=255).cycle().take(300).collect();
    for mut sealer in [Sealer::sha256(), Sealer::hmac_sha256(&KEY)] {
        let whole = sealer.seal(BINARY, &data).unwrap();
        for split in 0..=data.len() {
            sealer.set_sequence(0);
            sealer.begin(BINARY);
            sealer.update(&data[..split]);
            sealer.update(&data[split..]);
            assert_eq!(sealer.finish(), Ok(whole), "split at {split}");
        }
        for size in 1..=130 {
            sealer.set_sequence(0);
            sealer.begin(BINARY);
            data.chunks(size).for_each(|piece| sealer.update(piece));
            assert_eq!(sealer.finish(), Ok(whole), "pieces of {size}");
        }
    }
}

#[test]
fn units_in_order_match() {
    assert_eq!(verdicts(&sealed_units(5)), [Ok(()); 5]);
}

#[test]
fn a_replayed_unit_is_refused_under_hmac() {
    let units = sealed_units(1);
    assert_eq!(
        verdicts([&units[0], &units[0]]),
        [Ok(()), Err(Failure::Mismatch)]
    );
}

#[test]
fn swapped_units_are_refused_under_hmac() {
    let units = sealed_units(2);
    assert_eq!(
        verdicts([&units[1], &units[0]]),
        [Err(Failure::Mismatch); 2]
    );
}

#[test]
fn a_unit_after_a_dropped_one_is_refused_under_hmac() {
    let units = sealed_units(3);
    assert_eq!(
        verdicts([&units[0], &units[2]]),
        [Ok(()), Err(Failure::Mismatch)]
    );
}

#[test]
fn an_injected_unit_is_refused_under_hmac() {
    let forged = (
        vec![0],
        Sealer::hmac_sha256(&[0; 32]).seal(BINARY, &[0]).unwrap(),
    );
    let hashed = (vec![0], Sealer::sha256().seal(BINARY, &[0]).unwrap());
    assert_eq!(verdicts([&forged]), [Err(Failure::Mismatch)]);
    assert_eq!(verdicts([&hashed]), [Err(Failure::Mismatch)]);
}

#[test]
fn a_changed_first_byte_is_refused_under_hmac() {
    let tag = Sealer::hmac_sha256(&KEY).seal(0x81, b"x").unwrap();
    for bit in 0..8 {
        let b0 = 0x81 ^ (1 << bit);
        assert_eq!(
            Opener::hmac_sha256(&KEY).open(b0, b"x", &tag),
            Err(Failure::Mismatch)
        );
    }
}

#[test]
fn the_opposite_direction_does_not_open() {
    let row = schedule("secret");
    let [to_server, to_client] = ["k_c2s", "k_s2c"].map(|name| bytes_32(text(&row, name)));
    let tag = Sealer::hmac_sha256(&to_server).seal(BINARY, b"x").unwrap();
    let reflected = Opener::hmac_sha256(&to_client).open(BINARY, b"x", &tag);
    assert_eq!(reflected, Err(Failure::Mismatch));
}

#[test]
fn a_unit_that_does_not_match_counts_all_the_same() {
    let units = sealed_units(2);
    let mut opener = Opener::hmac_sha256(&KEY);
    assert_eq!(
        opener.open(BINARY, b"other", &units[0].1),
        Err(Failure::Mismatch)
    );
    assert_eq!(opener.open(BINARY, &units[1].0, &units[1].1), Ok(()));
}

#[test]
fn an_abandoned_unit_leaves_no_trace() {
    for make in [Sealer::sha256, || Sealer::hmac_sha256(&KEY)] {
        let mut sealer = make();
        sealer.begin(0x81);
        sealer.update(b"never finished");
        assert_eq!(sealer.seal(BINARY, b"x"), make().seal(BINARY, b"x"));
        assert_eq!(sealer.sequence(), 1);
    }
}

#[test]
fn what_was_not_begun_is_neither_sealed_nor_verified() {
    for mut sealer in [Sealer::sha256(), Sealer::hmac_sha256(&KEY)] {
        sealer.update(b"stray");
        assert_eq!(sealer.finish(), Err(SealError::NotBegun));
        assert_eq!(sealer.sequence(), 0);
    }
    let empty = Sealer::sha256().seal(BINARY, b"").unwrap();
    let mut opener = Opener::sha256();
    assert_eq!(opener.verify(&empty), Err(Failure::Mismatch));
    opener.update(b"stray");
    assert_eq!(opener.open(BINARY, b"", &empty), Err(Failure::Mismatch));
}

#[test]
fn the_last_sequence_number_is_refused_rather_than_wrapped() {
    let mut sealer = Sealer::hmac_sha256(&KEY);
    sealer.set_sequence(u64::MAX - 1);
    let last = sealer.seal(BINARY, b"x").unwrap();
    assert_eq!(sealer.seal(BINARY, b"x"), Err(SealError::Exhausted));
    assert_eq!(sealer.seal(BINARY, b"x"), Err(SealError::Exhausted));
    let mut opener = Opener::hmac_sha256(&KEY);
    opener.set_sequence(u64::MAX - 1);
    assert_eq!(opener.open(BINARY, b"x", &last), Ok(()));
    opener.set_sequence(u64::MAX);
    assert_eq!(opener.open(BINARY, b"x", &last), Err(Failure::Mismatch));
}

#[test]
fn a_direction_is_small_and_its_key_is_not_shown() {
    assert!(size_of::<Sealer>() <= 24 && size_of::<Opener>() <= 24);
    // What the pointer leads to, in which all hash state of a direction is.
    assert!(size_of::<hmac::HmacReset<sha2::Sha256>>() <= 200);
    let sealer = Sealer::hmac_sha256(&KEY);
    assert_eq!(format!("{sealer:?}"), "Sealer(hmac-sha-256 after 0 units)");
}

#[test]
fn hash_states_are_zeroized_on_drop() {
    fn zeroized<T: zeroize::ZeroizeOnDrop>() {}
    // Its core and its buffer are also all that the MAC consists of.
    zeroized::<sha2::Sha256>();
}

#[test]
fn a_close_reason_is_cut_between_characters_to_what_fits() {
    assert_eq!(Binding::Frame.longest_reason(), 91);
    assert_eq!(Binding::Message.longest_reason(), 80);
    for (binding, limit) in [(Binding::Frame, 91), (Binding::Message, 80)] {
        for letter in ["a", "é", "€", "🌊"] {
            let reason = letter.repeat(60);
            let payload = Sealer::sha256()
                .seal_close(binding, Some(1000), &reason)
                .unwrap();
            assert!(payload.len() <= 125);
            let data = Opener::sha256().open_close(binding, &payload).unwrap();
            let kept = std::str::from_utf8(&data[2..]).unwrap();
            assert_eq!(
                kept,
                letter.repeat((limit / letter.len()).min(60)),
                "{binding:?}"
            );
        }
    }
}

#[test]
fn a_close_without_a_code_is_for_the_frame_binding_alone() {
    let mut sealer = Sealer::hmac_sha256(&KEY);
    let refused = sealer.seal_close(Binding::Message, None, "");
    assert_eq!(refused, Err(SealError::CodeMissing));
    assert_eq!(sealer.sequence(), 0);
    let payload = sealer.seal_close(Binding::Frame, None, "dropped").unwrap();
    assert_eq!(payload.len(), 32);
    let mut opener = Opener::hmac_sha256(&KEY);
    assert_eq!(opener.open_close(Binding::Frame, &payload), Ok(&[][..]));
}

#[test]
fn a_close_too_short_for_its_tag_is_missing_one() {
    for (binding, shortest) in [(Binding::Frame, 32), (Binding::Message, 45)] {
        let payload = vec![b'A'; shortest];
        let mut opener = Opener::sha256();
        assert_eq!(
            opener.open_close(binding, &payload[1..]),
            Err(Failure::Missing)
        );
        assert_eq!(opener.open_close(binding, &payload), Err(Failure::Mismatch));
    }
}

#[test]
fn a_failed_seal_leaves_the_output_as_it_was() {
    let mut sealer = Sealer::sha256();
    sealer.set_sequence(u64::MAX);
    let mut out = b"before".to_vec();
    let refused = sealer.seal_message(MessageKind::Text, b"x", &mut out);
    assert_eq!(
        (refused, &out[..]),
        (Err(SealError::Exhausted), &b"before"[..])
    );
}
