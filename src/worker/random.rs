//! Random bytes for one request.

use super::refusal::Refusal;
use crate::{ending::RequestEnding, roster::sockets::ConnectionId};
use aws_lc_rs::{error::Unspecified, rand};

/// Bytes that nobody can foresee; where the system has none, the request is refused.
pub(crate) fn random<const COUNT: usize>() -> Result<[u8; COUNT], Refusal> {
    drawn(rand::fill)
}

/// 64 random bits: unique enough over restarts and a fleet, and short in a log.
pub fn new_id() -> ConnectionId {
    let mut bytes = [0; 8];
    // The generator fails only where the system has no randomness at all; then ids repeat.
    let _ = rand::fill(&mut bytes);
    ConnectionId(u64::from_ne_bytes(bytes))
}

fn drawn<const COUNT: usize>(
    fill: impl FnOnce(&mut [u8]) -> Result<(), Unspecified>,
) -> Result<[u8; COUNT], Refusal> {
    let mut bytes = [0; COUNT];
    let filled = fill(&mut bytes);
    let lacking = "the system has no randomness";
    filled.map_err(|_| Refusal::new(RequestEnding::Overloaded, lacking).private())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::answer::{refusal_response, written};

    #[test]
    fn a_request_that_meets_no_randomness_is_told_to_come_again() {
        let refusal = drawn::<12>(|_| Err(Unspecified)).unwrap_err();
        let answer = written(&refusal_response(&refusal, ConnectionId(1)).unwrap());
        let answer = String::from_utf8(answer).unwrap();
        let (head, content) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        assert!(head.contains("\r\nRetry-After: 1\r\n"), "{head}");
        assert!(content.contains("\"reason\":\"overloaded\""), "{content}");
        assert!(!content.contains("randomness"), "{content}");
    }
}
