//! The page for people: one document that loads nothing from anywhere.

use super::answer::{Answer, bytes};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderValue, StatusCode, header};
use std::sync::LazyLock;

const DOCUMENT: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

static PAGE: LazyLock<String> = LazyLock::new(|| {
    let styled = DOCUMENT.replace("/*style*/", STYLE);
    styled.replace("/*script*/", SCRIPT)
});

/// Content Security Policy, level 3: nothing runs but the one style and the one script, known by
/// their digests, and they talk to this listener only.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'",
        source(STYLE),
        source(SCRIPT)
    )
});

pub(super) fn answer() -> Answer {
    let mut answer = bytes(StatusCode::OK, "text/html; charset=utf-8", PAGE.clone());
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        answer
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    answer
}

fn source(text: &str) -> String {
    format!(
        "sha256-{}",
        STANDARD.encode(digest(&SHA256, text.as_bytes()))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of two rules of one weight the later one counts, so the colour of danger must stand first.
    #[test]
    fn a_button_that_is_disabled_looks_so_though_it_is_dangerous() {
        let rule = |selector| STYLE.find(selector).unwrap();
        assert!(rule("button.danger {") < rule("button.danger:disabled {"));
    }

    #[test]
    fn the_page_loads_nothing_and_allows_only_its_own_style_and_script() {
        let page = PAGE.as_str();
        assert!(page.contains(&format!("<style>{STYLE}</style>")));
        assert!(page.contains(&format!("<script>{SCRIPT}</script>")));
        for foreign in [
            "src=",
            "href=",
            "@import",
            "url(",
            "style=",
            "onclick",
            "innerHTML",
        ] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(POLICY.contains("default-src 'none'") && !POLICY.contains("unsafe"));
        assert!(
            answer()
                .headers()
                .contains_key(header::CONTENT_SECURITY_POLICY)
        );
    }
}
