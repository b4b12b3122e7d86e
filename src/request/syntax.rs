//! Request line and fields (RFC 9112 sections 3 and 5).

use super::{
    error::{RequestError, malformed},
    field::{Field, Version},
    scan::{HeadLimits, too_many_fields},
};

/// A head taken apart, nothing judged yet.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) version: Version,
    pub(crate) fields: Vec<Field<'a>>,
}

/// Takes apart a head in which [`HeadScanner`](super::HeadScanner) found the end and no fault.
pub(crate) fn take_apart(head: &[u8], limits: HeadLimits) -> Result<Parts<'_>, RequestError> {
    if head.starts_with(b"PRI * HTTP/2.0\r\n") {
        return malformed(
            "the client speaks HTTP/2 without having negotiated it by ALPN (RFC 9113 section 3.2)",
        );
    }
    // A slot for each line is enough, and most heads have few.
    let lines = head.split(|byte| *byte == b'\n').count();
    let mut slots = vec![httparse::EMPTY_HEADER; lines.min(limits.fields)];
    let mut request = httparse::Request::new(&mut slots);
    match request.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return malformed("the header section does not end where its lines do"),
        Err(httparse::Error::TooManyHeaders) => return Err(too_many_fields(limits)),
        Err(error) => return Err(refusal(error)),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return malformed("the request line is incomplete (RFC 9112 section 3)");
    };
    let version = if minor == 1 {
        Version::Http11
    } else {
        Version::Http10
    };
    let fields = request.headers.iter().map(|header| Field {
        name: header.name,
        value: header.value.trim_ascii(),
    });
    Ok(Parts {
        method,
        target,
        version,
        fields: fields.collect(),
    })
}

/// The request line is not shown: its query may hold a token.
fn refusal(error: httparse::Error) -> RequestError {
    let detail = match error {
        httparse::Error::HeaderName => {
            "a field's name is no token followed by ':' at once (RFC 9112 section 5.1)"
        }
        httparse::Error::HeaderValue => {
            "a field's value has a control character (RFC 9110 section 5.5)"
        }
        httparse::Error::Version => {
            "the request line does not end with HTTP/1.1 (RFC 9112 section 2.3)"
        }
        _ => {
            "the request line is not method, target and HTTP/1.1 with one space between (RFC 9112 section 3)"
        }
    };
    RequestError::Malformed(detail.into())
}
