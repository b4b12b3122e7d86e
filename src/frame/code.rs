//! Close codes (RFC 6455 section 7.4).

/// The purpose of the connection is fulfilled.
pub const NORMAL_CLOSURE: u16 = 1000;
/// The endpoint goes away: a server shuts down, a browser leaves the page.
pub const GOING_AWAY: u16 = 1001;
/// The peer broke the protocol.
pub const PROTOCOL_ERROR: u16 = 1002;
/// The peer sent a type of data that cannot be accepted.
pub const UNSUPPORTED_DATA: u16 = 1003;
/// Never sent: stands for a Close without a code.
pub const NO_STATUS_RECEIVED: u16 = 1005;
/// Never sent: stands for a transport that ended without a Close.
pub const ABNORMAL_CLOSURE: u16 = 1006;
/// A message was not what its type says, such as text that is not UTF-8.
pub const INVALID_FRAME_PAYLOAD_DATA: u16 = 1007;
/// A message goes against the receiver's policy.
pub const POLICY_VIOLATION: u16 = 1008;
/// A message is too big to be processed.
pub const MESSAGE_TOO_BIG: u16 = 1009;
/// The client expected an extension that the server did not agree to.
pub const MANDATORY_EXTENSION: u16 = 1010;
/// The server met a condition that kept it from going on.
pub const INTERNAL_ERROR: u16 = 1011;
/// The service restarts (IANA registry).
pub const SERVICE_RESTART: u16 = 1012;
/// A gateway got an invalid answer from the server behind it (IANA registry).
pub const BAD_GATEWAY: u16 = 1014;
/// Never sent: stands for a failed TLS handshake.
pub const TLS_HANDSHAKE: u16 = 1015;

/// Whether a Close may carry this code: those that RFC 6455 section 7.4.1 and its IANA registry
/// define for sending, and the ranges that section 7.4.2 leaves to libraries and applications.
pub const fn may_be_sent(code: u16) -> bool {
    matches!(
        code,
        NORMAL_CLOSURE..=UNSUPPORTED_DATA
            | INVALID_FRAME_PAYLOAD_DATA..=BAD_GATEWAY
            | 3000..=4999
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_on_the_wire_are_the_defined_and_the_private_ones() {
        let refused = [0..=999, 1004..=1006, 1015..=2999, 5000..=u16::MAX];
        for code in 0..=u16::MAX {
            let expected = !refused.iter().any(|range| range.contains(&code));
            assert_eq!(may_be_sent(code), expected, "{code}");
        }
    }
}
