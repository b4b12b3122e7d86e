//! What each peer is told when a rule is broken or the proxy ends it.

use super::channel::Fault;
use crate::{
    ending::Ending,
    frame::{ControlFrame, Violation, close},
    integrity::Failure,
    observe::Direction,
};

/// The Close for the client that says why.
pub(super) fn close_for_client(ending: Ending) -> ControlFrame {
    let code = ending.close_code().unwrap_or(close::INTERNAL_ERROR);
    ControlFrame::close(code, ending.sentence())
}

/// The Close for the backend that says why the client goes; `code` where the ending has none.
pub(super) fn close_for_backend(ending: Ending, code: u16) -> ControlFrame {
    let code = ending.close_code().unwrap_or(code);
    ControlFrame::close(code_for_backend(code), ending.sentence())
}

/// The Close for the peer that broke a rule: which one (RFC 6455 section 7.1.7).
pub(super) fn close_for_offender(fault: Fault) -> ControlFrame {
    ControlFrame::close(fault.code(), fault.sentence())
}

/// The ending that a broken rule comes to; `direction` is the one in which its frame travelled.
pub(super) fn ending_of(direction: Direction, fault: Fault) -> Ending {
    use Violation::{CloseReasonNotUtf8, FrameTooLarge, LengthTopBit, MessageTooLarge};
    match (direction, fault) {
        (_, Fault::Integrity(Failure::Mismatch)) => Ending::IntegrityMismatch,
        (_, Fault::Integrity(Failure::Missing)) => Ending::IntegrityMissing,
        (_, Fault::Exhausted) => Ending::Internal,
        (_, Fault::NotUtf8) => Ending::NotUtf8,
        (Direction::ToBackend, Fault::Violation(violation)) => match violation {
            FrameTooLarge | LengthTopBit => Ending::FrameTooLarge,
            MessageTooLarge => Ending::MessageTooLarge,
            CloseReasonNotUtf8 => Ending::NotUtf8,
            _ => Ending::ClientProtocol,
        },
        (Direction::ToClient, Fault::Violation(violation)) => match violation {
            FrameTooLarge | LengthTopBit => Ending::BackendFrameTooLarge,
            MessageTooLarge => Ending::BackendMessageTooLarge,
            _ => Ending::BackendProtocol,
        },
    }
}

/// Codes that only a server has a use for become "going away" (RFC 6455 section 7.4.1).
fn code_for_backend(code: u16) -> u16 {
    match code {
        close::INTERNAL_ERROR | close::SERVICE_RESTART | close::TRY_AGAIN_LATER => {
            close::GOING_AWAY
        }
        code => code,
    }
}
