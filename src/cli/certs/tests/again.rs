//! What is signed again, named and revoked.

use super::*;

#[test]
fn a_list_signed_anew_is_good_for_as_long_as_the_last_one() {
    let folder = Folder::new();
    folder.run("init --dir CA").unwrap();
    let days_left = || -> serde_json::Value {
        let text = folder.run("show --json CA/ca.crl").unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()[0]["days_left"].clone()
    };
    for (arguments, expected) in [
        ("--serial 01", 364),
        ("--refresh --days 7", 6),
        ("--serial 02", 6),
        ("--refresh", 6),
    ] {
        folder.run(&format!("revoke --dir CA {arguments}")).unwrap();
        assert_eq!(days_left(), expected, "{arguments}");
    }
    fs::remove_file(folder.path("ca.crl")).unwrap();
    folder.run("revoke --dir CA --refresh").unwrap();
    assert_eq!(days_left(), 29);
}

#[test]
fn a_name_that_is_no_name_of_a_file_is_refused() {
    let folder = Folder::new();
    folder.run("init --dir CA").unwrap();
    for name in [
        "../x",
        "a/b",
        ".x",
        "..",
        "-x",
        "*.example.com",
        "Alice_Smith",
        "ä",
    ] {
        let refusal = message(folder.run(&format!("issue client --dir CA --name={name}")));
        assert!(refusal.contains("--out"), "{name}: {refusal}");
    }
    for out in ["CA/x/", "CA/..", "CA/.", "CA/x/."] {
        let refusal = message(folder.run(&format!("issue client --dir CA --name x --out {out}")));
        assert!(refusal.contains("names a folder"), "{out}: {refusal}");
    }
    let own = message(folder.run("issue client --dir CA --name ca --force"));
    assert!(own.contains("is the CA itself"), "{own}");
    folder.run("issue client --dir CA --name y").unwrap();
}

#[test]
fn every_certificate_of_a_file_is_revoked() {
    let folder = Folder::new();
    folder.run("init --dir CA").unwrap();
    folder.run("issue client --dir CA --name other").unwrap();
    let text = |name| fs::read_to_string(folder.path(name)).unwrap();
    let joined = [
        text("client.pem").trim_end(),
        text("other.pem").trim_end(),
        text("ca.pem").trim_end(),
    ]
    .concat();
    fs::write(folder.path("joined.pem"), joined).unwrap();
    let said = folder.run("revoke --dir CA --cert CA/joined.pem").unwrap();
    assert_eq!(said.matches(" revoked\n").count(), 2, "{said}");
    for name in ["client.pem", "other.pem"] {
        folder.client_is_accepted(name).unwrap_err();
    }
}
