use super::*;

/// A certificate with nothing in it.
const NOBODY: Names<'_> = Names {
    uris: &[],
    dns: &[],
    emails: &[],
    common_name: None,
    certificate: [0xc0; 32],
    key: [0x0e; 32],
};

fn rule(text: &str) -> AccessRule {
    text.parse().unwrap()
}

fn matches_uri(pattern: &str, uri: &str) -> bool {
    let uris = [uri.to_owned()];
    rule(pattern).matches(&Names {
        uris: &uris,
        ..NOBODY
    })
}

fn matches_dns(pattern: &str, name: &str) -> bool {
    let dns = [name.to_owned()];
    rule(pattern).matches(&Names {
        dns: &dns,
        ..NOBODY
    })
}

fn matches_email(pattern: &str, email: &str) -> bool {
    let emails = [email.to_owned()];
    rule(pattern).matches(&Names {
        emails: &emails,
        ..NOBODY
    })
}

#[test]
fn a_uri_is_matched_exactly_but_for_the_case_of_scheme_and_authority() {
    let pattern = "uri:SPIFFE://Example.com/edge/a";
    for (uri, matched) in [
        ("spiffe://example.com/edge/a", true),
        ("Spiffe://EXAMPLE.com/edge/a", true),
        ("spiffe://example.com/edge/A", false),
        ("spiffe://example.com/edge/a/", false),
        ("spiffe://example.com/edge/a/b", false),
        ("spiffe://example.com/edge/a?x", false),
        ("spiffe://example.com/edge", false),
        ("spiffe://example.com.evil/edge/a", false),
        ("spiffe://evil@example.com/edge/a", false),
        ("https://example.com/edge/a", false),
        ("spiffe://example.com/edge/a\0", false),
        ("spiffe://example.com/edge/a ", false),
        ("", false),
    ] {
        assert_eq!(matches_uri(pattern, uri), matched, "{uri:?}");
    }
    assert!(matches_uri("uri:urn:uuid:AbC", "URN:uuid:AbC"));
    assert!(!matches_uri("uri:urn:uuid:AbC", "urn:uuid:abc"));
}

#[test]
fn a_uri_wildcard_stands_for_one_or_more_whole_segments() {
    let pattern = "uri:spiffe://example.com/edge/*";
    for (uri, matched) in [
        ("spiffe://example.com/edge/a", true),
        ("SPIFFE://EXAMPLE.COM/edge/a", true),
        ("spiffe://example.com/edge/a/b", true),
        ("spiffe://example.com/edge", false),
        ("spiffe://example.com/edge/", false),
        ("spiffe://example.com/edge/a/", false),
        ("spiffe://example.com/edge//a", false),
        ("spiffe://example.com/edges/a", false),
        ("spiffe://example.com/Edge/a", false),
        ("spiffe://example.com/edge/../admin", false),
        ("spiffe://example.com/edge/..", false),
        ("spiffe://example.com/edge/./a", false),
        ("spiffe://example.com/edge/%2e%2e/admin", false),
        ("spiffe://example.com/edge/a?x", false),
        ("spiffe://example.com/edge/a#x", false),
        ("spiffe://example.com/edge/a\0b", false),
        ("spiffe://example.com?/edge/a", false),
        ("spiffe://other.com/edge/a", false),
        ("spiffe://example.com:1/edge/a", false),
    ] {
        assert_eq!(matches_uri(pattern, uri), matched, "{uri:?}");
    }
    assert!(matches_uri("uri:spiffe://a.b/*", "spiffe://a.b/x"));
    assert!(!matches_uri("uri:spiffe://a.b/*", "spiffe://a.b"));
}

#[test]
fn a_dns_name_is_matched_in_any_case_with_one_label_for_the_wildcard() {
    for (pattern, name, matched) in [
        ("dns:a.example.com", "A.Example.COM", true),
        ("dns:a.example.com", "b.example.com", false),
        ("dns:*.edge.example.com", "x.edge.example.com", true),
        ("dns:*.edge.example.com", "X.EDGE.example.com", true),
        ("dns:*.edge.example.com", "edge.example.com", false),
        ("dns:*.edge.example.com", "a.b.edge.example.com", false),
        ("dns:*.edge.example.com", "*.edge.example.com", false),
        ("dns:*.edge.example.com", "f*.edge.example.com", false),
        ("dns:*.edge.example.com", "x\0.edge.example.com", false),
        ("dns:*.edge.example.com", ".edge.example.com", false),
        ("dns:a.example.com", "a.example.com\0.evil.test", false),
        ("dns:a.example.com", "a.example.com\0", false),
        ("dns:a.example.com", "a.example.com.", false),
    ] {
        assert_eq!(matches_dns(pattern, name), matched, "{pattern} {name:?}");
    }
}

#[test]
fn an_email_is_matched_with_its_local_part_exact_and_its_domain_in_any_case() {
    for (pattern, email, matched) in [
        ("email:alice@example.com", "alice@example.com", true),
        ("email:alice@example.com", "alice@EXAMPLE.com", true),
        ("email:alice@example.com", "Alice@example.com", false),
        ("email:alice@example.com", "alice@sub.example.com", false),
        ("email:alice@example.com", "alice@example.com\0", false),
        ("email:*@example.com", "anyone@Example.com", true),
        ("email:*@example.com", "\"a@evil.test\"@example.com", true),
        ("email:*@example.com", "@example.com", false),
        ("email:*@example.com", "a\0@example.com", false),
        ("email:*@example.com", "a@example.com@evil.test", false),
        ("email:*@example.com", "example.com", false),
    ] {
        assert_eq!(
            matches_email(pattern, email),
            matched,
            "{pattern} {email:?}"
        );
    }
}

#[test]
fn a_common_name_is_matched_exactly() {
    for (name, matched) in [
        (Some("Alice"), true),
        (Some("alice"), false),
        (Some("Alice "), false),
        (Some("Alice\0"), false),
        (None, false),
    ] {
        let names = Names {
            common_name: name,
            ..NOBODY
        };
        assert_eq!(rule("cn:Alice").matches(&names), matched, "{name:?}");
    }
}

#[test]
fn a_common_name_is_never_taken_for_a_dns_name() {
    let dns = ["other.test".to_owned()];
    for dns in [&dns[..], &[]] {
        let names = Names {
            dns,
            common_name: Some("a.example.com"),
            ..NOBODY
        };
        assert!(!rule("dns:a.example.com").matches(&names));
        assert!(!rule("dns:*.example.com").matches(&names));
    }
}

#[test]
fn a_fingerprint_is_matched_with_or_without_colons() {
    let plain = "c0".repeat(32);
    let colons = ["C0"; 32].join(":");
    assert!(rule(&format!("sha256:{plain}")).matches(&NOBODY));
    assert!(rule(&format!("sha256:{colons}")).matches(&NOBODY));
    assert!(!rule(&format!("spki-sha256:{plain}")).matches(&NOBODY));
    let key = "0e".repeat(32);
    assert!(rule(&format!("spki-sha256:{key}")).matches(&NOBODY));
    assert!(!rule(&format!("sha256:{key}")).matches(&NOBODY));
}

#[test]
fn deny_wins_and_without_an_allow_list_every_verified_client_is_admitted() {
    let alice = Names {
        common_name: Some("Alice"),
        ..NOBODY
    };
    let is_alice = [rule("cn:Alice")];
    let is_bob = [rule("cn:Bob"), rule("cn:Bert")];
    for (allow, deny, verdict) in [
        (None, &[][..], Verdict::Unrestricted),
        (None, &is_alice, Verdict::Denied(&is_alice[0])),
        (None, &is_bob, Verdict::Unrestricted),
        (Some(&is_alice[..]), &[], Verdict::Allowed(&is_alice[0])),
        (Some(&is_alice), &is_alice, Verdict::Denied(&is_alice[0])),
        (Some(&is_alice), &is_bob, Verdict::Allowed(&is_alice[0])),
        (Some(&is_bob), &[], Verdict::NotListed),
        (Some(&[]), &[], Verdict::NotListed),
    ] {
        assert_eq!(judge(allow, deny, &alice), verdict, "{allow:?} {deny:?}");
    }
}

#[test]
fn a_verdict_names_the_rule_that_decided() {
    let rules = [rule("dns:*.Edge.test"), rule("cn:Alice")];
    let alice = Names {
        common_name: Some("Alice"),
        ..NOBODY
    };
    let verdict = judge(Some(&rules), &[], &alice);
    assert!(verdict.is_admitted());
    assert_eq!(verdict.rule(), Some(&rules[1]));
    assert_eq!(verdict.to_string(), "admitted by allow \"cn:Alice\"");
    let verdict = judge(None, &rules, &alice);
    assert!(!verdict.is_admitted());
    assert_eq!(verdict.to_string(), "refused by deny \"cn:Alice\"");
    let verdict = judge(Some(&rules[..1]), &[], &alice);
    assert!(!verdict.is_admitted());
    assert_eq!(verdict.rule(), None);
}

#[test]
fn a_rule_is_shown_in_a_form_that_parses_to_itself() {
    let fingerprint = ["AB"; 32].join(":");
    for text in [
        "uri:SPIFFE://A.b/C/*",
        "uri:urn:X",
        "dns:*.A.b",
        "email:A@B.c",
        "email:*@b.c",
        "cn:Alice, of \"Wonder\"; land",
        &format!("sha256:{fingerprint}"),
        &format!("spki-sha256:{fingerprint}"),
    ] {
        assert_eq!(rule(&rule(text).to_string()), rule(text), "{text}");
    }
}

#[test]
fn a_bad_rule_is_refused_with_a_hint_that_fits() {
    let short = format!("sha256:{}", "c0".repeat(31));
    let odd = format!("sha256:{}0", "c0".repeat(31));
    let misplaced = format!("sha256:{}:{}", "c0".repeat(2), "c0".repeat(30));
    for (text, hint) in [
        ("", "begin it with"),
        ("Alice", "begin it with"),
        ("oid:1.2", "begin it with"),
        ("CN:Alice", "\"cn:\" in lower case"),
        ("spiffe://a.b/c", "write \"uri:spiffe://a.b/c\""),
        ("alice@a.b", "write \"email:alice@a.b\""),
        ("cn:", "write the name"),
        ("cn:*", "whole name"),
        ("cn:a\0", "remove it"),
        ("cn:a ", "remove it"),
        ("dns:*", "name the domain"),
        ("dns:a*.b", "one whole label"),
        ("dns:10.0.0.1", "use a DNS name"),
        ("dns:::1", "use a DNS name"),
        ("dns:a.b:443", "without a port"),
        ("email:@example.com", "email:*@example.com"),
        ("email:example.com", "email:*@example.com"),
        ("email:a*@example.com", "email:*@example.com"),
        ("email:a@", "email:*@example.com"),
        ("email:a@10.0.0.1", "email:*@example.com"),
        ("uri:", "in full"),
        ("uri:/edge", "in full"),
        ("uri:spiffe://", "in full"),
        ("uri:spiffe://a@b/c", "in full"),
        ("uri:spiffe://a/b c", "in full"),
        ("uri:spiffe://*/x", "as the last path segment"),
        ("uri:spiffe://a/*/x", "as the last path segment"),
        ("uri:spiffe://a/x*", "as the last path segment"),
        ("uri:spiffe://a/*/*", "as the last path segment"),
        ("uri:spiffe://a/../x", "the path that is meant"),
        ("uri:spiffe://a/../*", "before \"/*\""),
        ("uri:spiffe://a/x?y/*", "before \"/*\""),
        ("uri:urn:x/*", "before \"/*\""),
        ("sha256:c0", "64 hexadecimal"),
        (&short, "64 hexadecimal"),
        (&odd, "64 hexadecimal"),
        (&misplaced, "64 hexadecimal"),
        ("spki-sha256:zz", "64 hexadecimal"),
    ] {
        let error = text.parse::<AccessRule>().unwrap_err();
        assert!(error.hint.contains(hint), "{text:?}: {error}");
    }
}
