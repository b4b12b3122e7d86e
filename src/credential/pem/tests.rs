use super::*;

const ONE: &str = "-----BEGIN X509 CRL-----\nAAEC\n-----END X509 CRL-----";
const TWO: &str = "-----BEGIN X509 CRL-----\nAwQF\nBgcI\n-----END X509 CRL-----\n";

/// The line, label and content of each block.
fn found(text: &[u8]) -> Vec<(usize, Label, Vec<u8>)> {
    let blocks = blocks(text).unwrap_or_else(|problem| panic!("{problem}"));
    let parts = |block: Block| (block.line, block.label, block.der.to_vec());
    blocks.into_iter().map(parts).collect()
}

/// The line of a problem, and what is said of it.
fn problem(text: &str) -> (usize, String) {
    let problem = blocks(text.as_bytes()).unwrap_err();
    (
        problem.line,
        format!("{}; {}", problem.message, problem.hint),
    )
}

#[test]
fn both_of_two_joined_files_are_read() {
    let list = |line, der: &[u8]| (line, Label::RevocationList, der.to_vec());
    let first = list(1, &[0, 1, 2]);
    let second = |line| list(line, &[3, 4, 5, 6, 7, 8]);
    for (between, line) in [
        ("", 3),
        ("\n", 4),
        ("\r\n", 4),
        ("\r", 4),
        ("  ", 3),
        ("\n\n", 5),
        ("\u{feff}", 3),
        (
            "\nCertificate Revocation List (CRL):\n        Version 2 (0x1)\n---\n",
            7,
        ),
    ] {
        let text = format!("{ONE}{between}{TWO}");
        assert_eq!(
            found(text.as_bytes()),
            [first.clone(), second(line)],
            "{between:?}"
        );
    }
}

#[test]
fn marks_indentation_and_all_line_ends_are_understood() {
    let expected = [
        (1, Label::RevocationList, vec![0, 1, 2]),
        (4, Label::RevocationList, vec![3, 4, 5, 6, 7, 8]),
    ];
    let text = format!("{ONE}\n{TWO}");
    for other in [
        format!("\u{feff}{text}"),
        text.replace('\n', "\r\n"),
        text.replace('\n', "\r"),
        text.replace('\n', "\n   ").trim_end().to_owned(),
        format!("\t{}", text.replace('\n', " \t\n\t")),
    ] {
        assert_eq!(found(other.as_bytes()), expected, "{other:?}");
    }
    let spaced = found(text.replace('\n', " ").as_bytes());
    assert_eq!(spaced.len(), 2);
}

#[test]
fn the_labels_of_openssl_are_known() {
    for (name, label) in [
        ("CERTIFICATE", Label::Certificate),
        ("X509 CERTIFICATE", Label::Certificate),
        ("X509 CRL", Label::RevocationList),
        ("EC PARAMETERS", Label::Parameters),
        ("EC PRIVATE KEY", Label::Sec1Key),
    ] {
        let text = format!("-----BEGIN {name}-----\nAAEC\n-----END {name}-----\n");
        assert_eq!(found(text.as_bytes()), [(1, label, vec![0, 1, 2])]);
    }
}

#[test]
fn a_label_that_is_not_understood_is_told_with_its_line() {
    for (name, expected) in [
        ("CRL", "X509 CRL"),
        ("TRUSTED CERTIFICATE", "openssl x509 -in FILE -out NEW"),
        ("PKCS7", "openssl pkcs7 -print_certs"),
        ("CERTIFICATE REQUEST", "that the CA issued"),
        ("CERTIFICAT", "expected CERTIFICATE"),
    ] {
        let block = format!("-----BEGIN {name}-----\nAAEC\n-----END {name}-----\n");
        let (line, told) = problem(&format!("{TWO}{block}"));
        assert_eq!(line, 5, "{told}");
        assert!(told.contains(&format!("{name:?}")), "{told}");
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn what_resembles_a_marker_is_told_with_its_line() {
    for like in [
        "----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE----",
        "------BEGIN CERTIFICATE-----",
        "----END CERTIFICATE-----",
        "-----begin certificate-----",
        "----- BEGIN CERTIFICATE -----",
        "-----BEGIN  CERTIFICATE-----",
        "-----BEGINCERTIFICATE-----",
        "-----BEGIN-----",
        "-----BEGIN -----",
        "BEGIN CERTIFICATE",
        "–––––BEGIN CERTIFICATE–––––",
        "#-----BEGIN CERTIFICATE-----",
        "ca: -----BEGIN CERTIFICATE-----",
        "-----END CERTIFICATE-----",
    ] {
        let (line, told) = problem(&format!("# CAs\n{like}\n{TWO}"));
        assert_eq!(line, 2, "{like}: {told}");
    }
    for after in [
        "-",
        "----BEGIN X509 CRL-----",
        "BEGIN X509 CRL-----",
        " # ours",
        "MIIB",
    ] {
        assert_eq!(problem(&format!("{ONE}{after}\n{TWO}")).0, 3, "{after}");
    }
}

#[test]
fn text_around_blocks_is_passed_over() {
    for text in [
        "# BEGIN CERTIFICATE of the first CA",
        "- the end of the list",
        "subject=CN = well-ended, O = BEGIN & END",
        "---\nCertificate chain\n 0 s:CN = a\n---",
        "==========",
        "            X509v3 Subject Alternative Name: DNS:end-begin.test",
        "Bag Attributes\n    friendlyName: x\nKey Attributes: <No Attributes>",
    ] {
        assert_eq!(
            found(format!("{text}\n{TWO}{text}\n").as_bytes()).len(),
            1,
            "{text}"
        );
    }
    assert_eq!(found(b""), []);
}

#[test]
fn blocks_that_do_not_pair_are_told_with_their_line() {
    for (text, line, expected) in [
        (
            format!("{TWO}-----BEGIN X509 CRL-----\nAAEC\n"),
            5,
            "does not end",
        ),
        (
            format!("-----BEGIN X509 CRL-----\nAAEC\n{TWO}"),
            3,
            "of line 1",
        ),
        (
            "-----BEGIN X509 CRL-----\nAA\n-----END CERTIFICATE-----".to_owned(),
            3,
            "same label",
        ),
        (
            "-----BEGIN X509 CRL-----\n-----END X509 CRL-----".to_owned(),
            1,
            "empty",
        ),
        (
            "-----BEGIN X509 CRL-----\nAAEC\nA#EC\n-----END X509 CRL-----".to_owned(),
            3,
            "base64",
        ),
        (
            "-----BEGIN X509 CRL-----\nAAECA\n-----END X509 CRL-----".to_owned(),
            2,
            "breaks off",
        ),
    ] {
        let (found, told) = problem(&text);
        assert_eq!(found, line, "{told}");
        assert!(told.contains(expected), "{told}");
    }
    assert!(
        blocks(
            "\u{feff}"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<_>>()
                .as_slice()
        )
        .is_err()
    );
}

#[test]
fn headers_tell_of_encryption_and_are_no_content() {
    let headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n";
    let text =
        format!("-----BEGIN RSA PRIVATE KEY-----\n{headers}AAEC\n-----END RSA PRIVATE KEY-----\n");
    let [block] = <[Block; 1]>::try_from(blocks(text.as_bytes()).unwrap()).unwrap();
    assert!(block.encrypted);
    assert_eq!(*block.der, [0, 1, 2]);
}

#[test]
fn no_byte_of_a_key_is_in_messages_or_debug_output() {
    let secret = "c2VjcmV0c2VjcmV0";
    for text in [
        format!("-----BEGIN PRIVATE KEY-----\n{secret}#\n-----END PRIVATE KEY-----\n"),
        format!("-----BEGIN PRIVATE KEY-----\n{secret}\n"),
        format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY----\n"),
        format!("-----BEGIN {secret}\n"),
        format!("-----END PRIVATE KEY-----{secret}\n"),
    ] {
        let shown = format!("{:?}", blocks(text.as_bytes()).unwrap_err());
        assert!(!shown.contains(secret), "{shown}");
    }
    let text = format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n");
    let shown = format!("{:?}", blocks(text.as_bytes()).unwrap());
    assert!(!shown.contains("115") && !shown.contains(secret), "{shown}");
}

#[test]
fn every_marker_of_any_mix_is_a_block_or_an_error() {
    let pieces = [
        "-----BEGIN CERTIFICATE-----",
        "-----END CERTIFICATE-----",
        "AAEC",
        "\n",
        "\r",
        " ",
        "-",
        "----",
        "BEGIN ",
        "END ",
        "\u{feff}",
        "CERTIFICATE",
    ];
    let mut state = 1_u64;
    for _ in 0..50_000 {
        let mut text = String::new();
        for _ in 0..8 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[usize::try_from(state >> 33).unwrap() % pieces.len()]);
        }
        let count = |word| text.matches(word).count();
        if let Ok(blocks) = blocks(text.as_bytes()) {
            assert_eq!(
                count("-----BEGIN CERTIFICATE-----"),
                blocks.len(),
                "{text:?}"
            );
            assert_eq!(count("-----END CERTIFICATE-----"), blocks.len(), "{text:?}");
        }
    }
}
