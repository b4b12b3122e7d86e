//! A certificate becomes an identity, one log name and one value for each HTTP field, or is refused.

use tidegate::policy::identity::DISPLAY_LIMIT;
use tidegate::policy::identity::Identity;
use tidegate::request::client_cert;

pub(crate) fn run(der: &[u8]) {
    let Ok(identity) = Identity::from_der(der) else {
        return;
    };
    let name = identity.display_name();
    assert!(name.chars().count() <= DISPLAY_LIMIT);
    assert!(!name.chars().any(char::is_control));

    let forwarded =
        client_cert::forwarded_client_cert(&identity, identity.uris.first().map(String::as_str));
    assert!(forwarded.len() <= client_cert::FORWARDED_LIMIT);
    for value in [forwarded, client_cert::client_cert(der)] {
        assert!(
            value
                .bytes()
                .all(|byte| byte == b' ' || byte.is_ascii_graphic())
        );
    }
}
