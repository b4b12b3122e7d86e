//! Who calls: a program of the operator, or a page of somebody else in the operator's browser.

use super::answer::Refusal;
use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderName, Request, StatusCode, header, uri::Authority};
use std::{
    fs::{self, File},
    io::{self, Read},
    net::{IpAddr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::Path,
};
use subtle::ConstantTimeEq;

/// A token longer than this is none.
const TOKEN: u64 = 4096;

/// Refuses a request whose `Host` is a name: a page of a foreign site whose name was made to
/// resolve to this address (DNS rebinding) would send that name. Returns the host as it was sent.
pub(super) fn check_host<B>(request: &Request<B>) -> Result<Authority, Refusal> {
    let host = single(request, &header::HOST)?
        .ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, "the request has no Host"))?;
    let authority = host.parse::<Authority>();
    let authority = authority
        .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the request's Host is malformed"))?;
    let other_target = request
        .uri()
        .authority()
        .is_some_and(|target| *target != authority);
    if other_target || !is_own(&authority) {
        let detail =
            "the request's Host is not this listener; reach it by its IP address or as localhost";
        return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, detail));
    }
    Ok(authority)
}

/// Lets a writing call pass if it is no page's of another origin, and comes from this machine or
/// with the token.
pub(super) fn check_writer<B>(
    request: &Request<B>,
    peer: SocketAddr,
    token_file: Option<&Path>,
) -> Result<(), Refusal> {
    let host = check_host(request)?;
    check_origin(request, &host)?;
    if peer.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    check_token(request, token_file)
}

/// An IP address or `localhost`: names that no foreign site can have.
fn is_own(authority: &Authority) -> bool {
    let host = authority.host();
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let no_userinfo = !authority.as_str().contains('@');
    let is_address = bare.unwrap_or(host).parse::<IpAddr>().is_ok();
    no_userinfo && (is_address || host.eq_ignore_ascii_case("localhost"))
}

/// Browsers send `Origin` (RFC 6454) with every `POST` and `DELETE`, and most send
/// `Sec-Fetch-Site`; programs send neither.
fn check_origin<B>(request: &Request<B>, host: &Authority) -> Result<(), Refusal> {
    let origin = single(request, &header::ORIGIN)?;
    let own = format!("http://{host}");
    let site = single(request, &HeaderName::from_static("sec-fetch-site"))?;
    let foreign_origin = origin.is_some_and(|origin| !origin.eq_ignore_ascii_case(&own));
    let foreign_site = site.is_some_and(|site| !matches!(site, "same-origin" | "none"));
    if foreign_origin || foreign_site {
        let detail = "the request comes from a page of another origin";
        return Err(Refusal::new(StatusCode::FORBIDDEN, detail));
    }
    Ok(())
}

/// RFC 6750 section 2.1.
fn check_token<B>(request: &Request<B>, file: Option<&Path>) -> Result<(), Refusal> {
    let Some(file) = file else {
        let detail =
            "writing calls are taken from this machine only; set admin.token_file to allow others";
        return Err(Refusal::new(StatusCode::FORBIDDEN, detail));
    };
    let sent = single(request, &header::AUTHORIZATION)?.and_then(bearer);
    let expected = token_of(file).map_err(|error| unusable(file, &error))?;
    match sent {
        Some(sent) if is_same(sent.as_bytes(), &expected) => Ok(()),
        _ => {
            let detail = "a writing call from another machine needs Authorization: Bearer with the token of admin.token_file";
            let refusal = Refusal::new(StatusCode::UNAUTHORIZED, detail);
            Err(refusal.with_field(header::WWW_AUTHENTICATE, "Bearer"))
        }
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// Digests are compared, so that neither content nor length shows in the time it takes.
fn is_same(sent: &[u8], expected: &[u8]) -> bool {
    let (sent, expected) = (digest(&SHA256, sent), digest(&SHA256, expected));
    sent.as_ref().ct_eq(expected.as_ref()).into()
}

/// Whether the file holds a token that calls can be checked against.
///
/// # Errors
/// The file cannot be read, is for others to read too, or holds no token.
pub fn check_token_file(file: &Path) -> io::Result<()> {
    token_of(file).map(drop)
}

/// The token of a file that only its owner can read; read at every call, so that it can be changed.
fn token_of(file: &Path) -> io::Result<Vec<u8>> {
    // Before it is opened: a pipe would wait for a writer.
    let metadata = fs::metadata(file)?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::other(
            "it must be a file that only its owner can read (chmod 600)",
        ));
    }
    let mut token = Vec::new();
    File::open(file)?.take(TOKEN + 1).read_to_end(&mut token)?;
    let token = token.trim_ascii().to_vec();
    if token.is_empty() || token.len() as u64 > TOKEN {
        return Err(io::Error::other(
            "it must hold one token of 1 to 4096 bytes",
        ));
    }
    Ok(token)
}

/// The caller learns nothing about the proxy's files; the log is.
fn unusable(file: &Path, error: &io::Error) -> Refusal {
    tracing::error!(file = %file.display(), %error, "admin.token_file cannot be used");
    let detail = "no writing call from another machine is possible now; the proxy's log says why";
    Refusal::new(StatusCode::FORBIDDEN, detail)
}

/// The value of a field that may stand once at most.
fn single<'a, B>(request: &'a Request<B>, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut values = request.headers().get_all(name).iter();
    let bad = || {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("the field {name} is malformed or doubled"),
        )
    };
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match values.next() {
        None => value.to_str().map(Some).map_err(|_| bad()),
        Some(_) => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, path::PathBuf};

    const LOCAL: ([u8; 4], u16) = ([127, 0, 0, 1], 50_000);
    const REMOTE: ([u8; 4], u16) = ([192, 0, 2, 7], 50_000);

    fn request(fields: &[(&str, &str)]) -> Request<()> {
        let builder = Request::builder().method("POST").uri("/drain");
        let builder = fields.iter().fold(builder, |builder, (name, value)| {
            builder.header(*name, *value)
        });
        builder.body(()).unwrap()
    }

    fn verdict(
        fields: &[(&str, &str)],
        peer: ([u8; 4], u16),
        token: Option<&Path>,
    ) -> Result<(), u16> {
        let checked = check_writer(&request(fields), peer.into(), token);
        checked.map_err(|refusal| refusal.status.as_u16())
    }

    fn token_file(name: &str, content: &[u8], mode: u32) -> PathBuf {
        let folder = std::env::temp_dir();
        let path = folder.join(format!("tidegate-admin-{}-{name}", std::process::id()));
        let mut file = File::create(&path).unwrap();
        file.write_all(content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn pipe() -> PathBuf {
        let name = format!("tidegate-admin-{}-pipe", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut mkfifo = std::process::Command::new("mkfifo");
        let made = mkfifo.args(["-m", "600"]).arg(&path).status();
        assert!(made.unwrap().success());
        path
    }

    #[test]
    fn a_host_that_is_a_name_of_somebody_is_misdirected() {
        for host in [
            "evil.example",
            "evil.example:9090",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "a@127.0.0.1",
        ] {
            assert_eq!(verdict(&[("host", host)], LOCAL, None), Err(421), "{host}");
        }
        for host in [
            "127.0.0.1:9090",
            "localhost:9090",
            "LOCALHOST",
            "[::1]:9090",
            "10.0.0.3",
        ] {
            assert_eq!(verdict(&[("host", host)], LOCAL, None), Ok(()), "{host}");
        }
    }

    #[test]
    fn a_request_without_exactly_one_host_is_malformed() {
        assert_eq!(verdict(&[], LOCAL, None), Err(400));
        assert_eq!(
            verdict(&[("host", "localhost"), ("host", "localhost")], LOCAL, None),
            Err(400)
        );
        assert_eq!(verdict(&[("host", "a b")], LOCAL, None), Err(400));
    }

    #[test]
    fn a_page_of_another_origin_is_refused_even_on_loopback() {
        let host = ("host", "127.0.0.1:9090");
        for foreign in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "http://127.0.0.1:8080"),
            ("origin", "https://127.0.0.1:9090"),
            ("origin", "http://127.0.0.1:9090.evil.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert_eq!(
                verdict(&[host, foreign], LOCAL, None),
                Err(403),
                "{foreign:?}"
            );
        }
        assert_eq!(
            verdict(&[host, ("origin", "http://127.0.0.1:9090")], LOCAL, None),
            Ok(())
        );
    }

    #[test]
    fn another_machine_needs_the_token() {
        let file = token_file("good", b"sesame\n", 0o600);
        let with = |value| {
            verdict(
                &[("host", "192.0.2.1"), ("authorization", value)],
                REMOTE,
                Some(&file),
            )
        };
        assert_eq!(with("Bearer sesame"), Ok(()));
        assert_eq!(with("bearer sesame"), Ok(()));
        for wrong in [
            "Bearer sesam",
            "Bearer sesame1",
            "Bearer ",
            "Basic sesame",
            "sesame",
        ] {
            assert_eq!(with(wrong), Err(401), "{wrong}");
        }
        assert_eq!(
            verdict(&[("host", "192.0.2.1")], REMOTE, Some(&file)),
            Err(401)
        );
        assert_eq!(verdict(&[("host", "192.0.2.1")], REMOTE, None), Err(403));
        fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_changed_token_holds_from_the_next_call_on() {
        let file = token_file("changed", b"old", 0o600);
        let with = |value| {
            verdict(
                &[("host", "192.0.2.1"), ("authorization", value)],
                REMOTE,
                Some(&file),
            )
        };
        assert_eq!(with("Bearer old"), Ok(()));
        fs::write(&file, "new").unwrap();
        assert_eq!((with("Bearer old"), with("Bearer new")), (Err(401), Ok(())));
        fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_token_file_that_others_can_read_or_that_holds_none_admits_nobody() {
        let files = [
            token_file("readable", b"sesame", 0o640),
            token_file("empty", b" \n", 0o600),
            token_file("huge", &[b'a'; 5000], 0o600),
            pipe(),
        ];
        for file in files {
            let fields = [("host", "192.0.2.1"), ("authorization", "Bearer sesame")];
            assert_eq!(verdict(&fields, REMOTE, Some(&file)), Err(403), "{file:?}");
            fs::remove_file(file).unwrap();
        }
        let missing = Some(Path::new("/nonexistent/token"));
        assert_eq!(verdict(&[("host", "192.0.2.1")], REMOTE, missing), Err(403));
    }
}
