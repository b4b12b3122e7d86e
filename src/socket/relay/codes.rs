//! What each peer is told when a rule is broken or the proxy ends it.

use super::channel::Fault;
use crate::{
    ending::{Ending, SocketEnding},
    frame::{ControlFrame, Violation, close},
    integrity::Failure,
    observe::Direction,
};

/// The Close for the client that says why.
pub(super) fn close_for_client(ending: SocketEnding) -> ControlFrame {
    let code = ending.close_code().unwrap_or(close::INTERNAL_ERROR);
    ControlFrame::close(code, ending.sentence())
}

/// The Close for the backend that says why the client goes; `code` where the ending has none.
pub(super) fn close_for_backend(ending: SocketEnding, code: u16) -> ControlFrame {
    let code = ending.close_code().unwrap_or(code);
    ControlFrame::close(code_for_backend(code), ending.sentence())
}

/// The Close for the peer that broke a rule: which one (RFC 6455 section 7.1.7).
pub(super) fn close_for_offender(fault: Fault) -> ControlFrame {
    ControlFrame::close(fault.code(), fault.sentence())
}

/// The ending that a broken rule comes to; `direction` is the one in which its frame travelled.
pub(super) fn ending_of(direction: Direction, fault: Fault) -> SocketEnding {
    use Violation::{CloseReasonNotUtf8, FrameTooLarge, LengthTopBit, MessageTooLarge};
    match (direction, fault) {
        (_, Fault::Integrity(Failure::Mismatch)) => SocketEnding::IntegrityMismatch,
        (_, Fault::Integrity(Failure::Missing)) => SocketEnding::IntegrityMissing,
        (_, Fault::Exhausted) => SocketEnding::Internal,
        (_, Fault::NotUtf8) => SocketEnding::NotUtf8,
        (Direction::ToBackend, Fault::Violation(violation)) => match violation {
            FrameTooLarge | LengthTopBit => SocketEnding::FrameTooLarge,
            MessageTooLarge => SocketEnding::MessageTooLarge,
            CloseReasonNotUtf8 => SocketEnding::NotUtf8,
            _ => SocketEnding::ClientProtocol,
        },
        (Direction::ToClient, Fault::Violation(violation)) => match violation {
            FrameTooLarge | LengthTopBit => SocketEnding::BackendFrameTooLarge,
            MessageTooLarge => SocketEnding::BackendMessageTooLarge,
            _ => SocketEnding::BackendProtocol,
        },
    }
}

/// Codes that only a server has a use for become "going away" (RFC 6455 section 7.4.1).
fn code_for_backend(code: u16) -> u16 {
    match code {
        close::INTERNAL_ERROR | close::SERVICE_RESTART => close::GOING_AWAY,
        code => code,
    }
}
