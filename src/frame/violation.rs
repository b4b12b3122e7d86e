//! Every way in which a peer's frames can be against the rules.

use super::code;

macro_rules! violations {
    ($($variant:ident $label:literal $code:ident $sentence:literal)*) => {
        /// The rule that a frame broke.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Violation {
            $(#[doc = $sentence] $variant,)*
        }

        impl Violation {
            /// Every violation, in the order of the table.
            pub const ALL: &[Violation] = &[$(Violation::$variant),*];

            /// A short name, fit for a metric label or a log field.
            pub const fn label(self) -> &'static str {
                match self { $(Violation::$variant => $label,)* }
            }

            /// The close code that reports it to the sender: 1002, 1007 or 1009.
            pub const fn code(self) -> u16 {
                match self { $(Violation::$variant => code::$code,)* }
            }

            /// One sentence for people, short enough for the reason of a Close.
            pub const fn sentence(self) -> &'static str {
                match self { $(Violation::$variant => $sentence,)* }
            }
        }
    };
}

// A length of 2^63 or more breaks section 5.2 and is beyond every limit as well; the sender
// learns more from "too big" than from "protocol error".
violations! {
    ReservedBits             "reserved_bits"              PROTOCOL_ERROR             "reserved bit set without an extension (RFC 6455 5.2)"
    UnknownOpcode            "unknown_opcode"             PROTOCOL_ERROR             "unknown opcode (RFC 6455 5.2)"
    Unmasked                 "unmasked"                   PROTOCOL_ERROR             "a client must mask its frames (RFC 6455 5.1)"
    Masked                   "masked"                     PROTOCOL_ERROR             "a server must not mask its frames (RFC 6455 5.1)"
    ControlFragmented        "control_fragmented"         PROTOCOL_ERROR             "fragmented control frame (RFC 6455 5.5)"
    ControlTooLong           "control_too_long"           PROTOCOL_ERROR             "control frame over 125 bytes (RFC 6455 5.5)"
    ContinuationWithoutStart "continuation_without_start" PROTOCOL_ERROR             "continuation without a message to continue (RFC 6455 5.4)"
    StartInsideMessage       "start_inside_message"       PROTOCOL_ERROR             "new message before the last one ended (RFC 6455 5.4)"
    LengthNotMinimal         "length_not_minimal"         PROTOCOL_ERROR             "length in more bytes than it needs (RFC 6455 5.2)"
    LengthTopBit             "length_top_bit"             MESSAGE_TOO_BIG            "64-bit length with its top bit set (RFC 6455 5.2)"
    ClosePayloadTooShort     "close_payload_too_short"    PROTOCOL_ERROR             "Close with a payload of one byte (RFC 6455 5.5.1)"
    CloseCode                "close_code"                 PROTOCOL_ERROR             "close code that may not be sent (RFC 6455 7.4)"
    CloseReasonNotUtf8       "close_reason_not_utf8"      INVALID_FRAME_PAYLOAD_DATA "close reason is not UTF-8 (RFC 6455 5.5.1)"
    FrameTooLarge            "frame_too_large"            MESSAGE_TOO_BIG            "frame larger than the limit (RFC 6455 10.4)"
    MessageTooLarge          "message_too_large"          MESSAGE_TOO_BIG            "message larger than the limit (RFC 6455 10.4)"
}

impl std::fmt::Display for Violation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.sentence())
    }
}

impl std::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn labels_are_unique_and_fit_a_metric() {
        let labels: HashSet<_> = Violation::ALL.iter().map(|v| v.label()).collect();
        assert_eq!(labels.len(), Violation::ALL.len());
        for label in labels {
            assert!(
                label
                    .bytes()
                    .all(|o| o == b'_' || o.is_ascii_lowercase() || o.is_ascii_digit())
            );
        }
    }

    #[test]
    fn sentences_name_the_section_and_fit_a_sealed_close() {
        for violation in Violation::ALL {
            let sentence = violation.sentence();
            assert!(sentence.contains("(RFC 6455 "), "{violation:?}");
            assert!(sentence.len() <= 80, "{violation:?}");
        }
    }

    #[test]
    fn codes_are_those_that_the_interface_promises() {
        for violation in Violation::ALL {
            assert!(
                matches!(violation.code(), 1002 | 1007 | 1009),
                "{violation:?}"
            );
        }
    }
}
