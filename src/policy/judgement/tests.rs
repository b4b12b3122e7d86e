use super::*;
use crate::policy::identity::Fingerprint;

const NOW: i64 = 1_000;

fn alice() -> Identity {
    Identity {
        subject: "CN=Alice".into(),
        common_name: Some("Alice".into()),
        dns: vec!["a.example.com".into()],
        uris: Vec::new(),
        emails: Vec::new(),
        ips: Vec::new(),
        unusable: Vec::new(),
        spiffe_id: None,
        fingerprint: Fingerprint::of(b"certificate"),
        key_fingerprint: Fingerprint::of(b"key"),
        serial: "01".into(),
        not_before: 500,
        not_after: 2_000,
    }
}

fn evidence(identity: &Identity) -> Evidence<'_> {
    Evidence {
        identity,
        not_after: Some(1_500),
        standing: Standing::Trusted,
    }
}

fn rules(texts: &[&str]) -> Vec<AccessRule> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// What a route says to a client, as text: the rule or fact that decided.
fn said(allow: &[&str], deny: &[&str], evidence: Option<&Evidence<'_>>, now: i64) -> String {
    let (allow, deny) = (rules(allow), rules(deny));
    let route = Requirement {
        mode: ClientCertMode::Required,
        allow: (!allow.is_empty()).then_some(&*allow),
        deny: &deny,
    };
    match judge(&route, evidence, now) {
        Ok(admission) => format!("yes: {admission}"),
        Err(denial) => format!("no: {denial}"),
    }
}

#[test]
fn the_rule_that_decides_is_named() {
    let alice = alice();
    let shown = evidence(&alice);
    for (allow, deny, expected) in [
        (&[][..], &[][..], "yes: the route has no allow list"),
        (
            &["cn:Bob", "cn:Alice"],
            &[],
            "yes: the allow rule \"cn:Alice\"",
        ),
        (
            &["cn:Bob"],
            &[],
            "no: the certificate matches no rule of the route's allow list",
        ),
        (
            &["cn:Alice"],
            &["dns:*.example.com"],
            "no: the deny rule \"dns:*.example.com\"",
        ),
    ] {
        let said = said(allow, deny, Some(&shown), NOW);
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn without_a_certificate_only_a_route_that_asks_for_none_admits() {
    let listed = rules(&["cn:Alice"]);
    for (mode, allow, admitted) in [
        (ClientCertMode::Off, None, true),
        (ClientCertMode::Optional, None, true),
        (ClientCertMode::Required, None, false),
        (ClientCertMode::Off, Some(&listed[..]), false),
        (ClientCertMode::Optional, Some(&listed), false),
        (ClientCertMode::Off, Some(&[]), false),
    ] {
        let route = Requirement {
            mode,
            allow,
            deny: &[],
        };
        let expected = admitted
            .then_some(Admission::Anonymous)
            .ok_or(Denial::NoCertificate);
        assert_eq!(judge(&route, None, NOW), expected, "{mode:?}");
    }
}

#[test]
fn a_shown_certificate_is_judged_whatever_the_route_requires() {
    let alice = alice();
    let revoked = Evidence {
        standing: Standing::Revoked,
        ..evidence(&alice)
    };
    for mode in [
        ClientCertMode::Off,
        ClientCertMode::Optional,
        ClientCertMode::Required,
    ] {
        let route = Requirement {
            mode,
            ..Requirement::NONE
        };
        let expected = Err(Denial::Standing(Standing::Revoked));
        assert_eq!(judge(&route, Some(&revoked), NOW), expected, "{mode:?}");
    }
}

#[test]
fn every_standing_but_trusted_is_refused_before_any_rule_is_looked_at() {
    let alice = alice();
    for standing in [
        Standing::Expired,
        Standing::NotYetValid,
        Standing::Revoked,
        Standing::StatusUnknown,
        Standing::UnknownIssuer,
        Standing::WrongPurpose,
        Standing::Invalid,
    ] {
        let shown = Evidence {
            standing,
            ..evidence(&alice)
        };
        let said = said(&["cn:Alice"], &["cn:Alice"], Some(&shown), NOW);
        assert_eq!(said, format!("no: {}", standing.sentence()));
    }
}

#[test]
fn validity_includes_both_its_ends_and_is_that_of_the_whole_chain() {
    let alice = alice();
    let shown = evidence(&alice);
    let leaf_alone = Evidence {
        not_after: None,
        ..shown
    };
    let later_issuer = Evidence {
        not_after: Some(9_000),
        ..shown
    };
    for (evidence, now, expected) in [
        (shown, 499, Some(Standing::NotYetValid)),
        (shown, 500, None),
        (shown, 1_500, None),
        (shown, 1_501, Some(Standing::Expired)),
        (leaf_alone, 2_000, None),
        (leaf_alone, 2_001, Some(Standing::Expired)),
        (later_issuer, 2_001, Some(Standing::Expired)),
    ] {
        let denial = judge(&Requirement::NONE, Some(&evidence), now).err();
        assert_eq!(denial, expected.map(Denial::Standing), "at {now}");
    }
}

#[test]
fn a_name_that_cannot_be_compared_is_refused_where_there_is_a_deny_list() {
    let mut mallory = alice();
    mallory.common_name = None;
    mallory.unusable = vec!["CN:Mallory\\00".into()];
    let shown = evidence(&mallory);
    let refused = said(&[], &["cn:Mallory"], Some(&shown), NOW);
    assert!(
        refused.starts_with("no: the certificate has a name"),
        "{refused}"
    );
    let listed = said(&["dns:a.example.com"], &["cn:Mallory"], Some(&shown), NOW);
    assert!(listed.starts_with("no: "), "{listed}");
    let without_deny = said(&["dns:a.example.com"], &[], Some(&shown), NOW);
    assert!(without_deny.starts_with("yes: "), "{without_deny}");
}

#[test]
fn sockets_of_a_route_that_is_gone_need_a_good_certificate_and_nothing_more() {
    let alice = alice();
    let shown = evidence(&alice);
    let route = Requirement::NONE;
    assert_eq!(judge(&route, Some(&shown), NOW), Ok(Admission::Verified));
    assert_eq!(judge(&route, None, NOW), Ok(Admission::Anonymous));
    let revoked = Evidence {
        standing: Standing::Revoked,
        ..shown
    };
    assert!(judge(&route, Some(&revoked), NOW).is_err());
}
