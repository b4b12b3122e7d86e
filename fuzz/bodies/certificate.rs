//! A certificate becomes an identity, one log name and one value for each HTTP field, or is refused.

use tidegate::policy::{
    fields,
    identity::{DISPLAY_LIMIT, Identity, earliest_not_after},
};

pub(crate) fn run(der: &[u8]) {
    let Ok(identity) = Identity::from_der(der) else {
        return;
    };
    let name = identity.display_name();
    assert!(name.chars().count() <= DISPLAY_LIMIT);
    assert!(!name.chars().any(char::is_control));
    assert_eq!(earliest_not_after([der]), Ok(Some(identity.not_after)));

    let forwarded =
        fields::forwarded_client_cert(&identity, identity.uris.first().map(String::as_str));
    assert!(forwarded.len() <= fields::FORWARDED_LIMIT);
    for value in [forwarded, fields::client_cert(der)] {
        assert!(
            value
                .bytes()
                .all(|octet| octet == b' ' || octet.is_ascii_graphic())
        );
    }
}
