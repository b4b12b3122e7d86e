//! Answers: documents, texts, and problems (RFC 9457).

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;
use serde_json::{Value, json};

pub(super) type Answer = Response<Full<Bytes>>;

/// An error's answer, as `application/problem+json`.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    detail: String,
    /// Members of the document beside the ones of RFC 9457.
    more: Option<Box<(&'static str, Value)>>,
    field: Option<Box<(header::HeaderName, &'static str)>>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            more: None,
            field: None,
        }
    }

    pub(super) fn with_member(mut self, name: &'static str, value: Value) -> Self {
        self.more = Some(Box::new((name, value)));
        self
    }

    pub(super) fn with_field(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.field = Some(Box::new((name, value)));
        self
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let mut document = json!({
            "type": "about:blank",
            "title": refusal.status.canonical_reason(),
            "status": refusal.status.as_u16(),
            "detail": refusal.detail,
        });
        if let (Some(more), Some(members)) = (refusal.more, document.as_object_mut()) {
            let (name, value) = *more;
            members.insert(name.to_owned(), value);
        }
        let body = document.to_string();
        let mut answer = bytes(refusal.status, "application/problem+json", body);
        if let Some(field) = refusal.field {
            let (name, value) = *field;
            answer
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        answer
    }
}

pub(super) fn document(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_string(value) {
        Ok(text) => bytes(status, "application/json", text),
        Err(error) => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into(),
    }
}

/// Any other content.
pub(super) fn bytes(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let fields = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    answer
}
