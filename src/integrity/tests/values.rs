//! Values of the configuration, and labels.

use super::super::{Algorithm, Failure, Mode, Outcome};

#[test]
fn modes_and_algorithms_are_read_as_they_are_written() {
    for mode in Mode::ALL {
        assert_eq!(mode.to_string().parse(), Ok(mode));
    }
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
    }
}

#[test]
fn a_wrong_mode_or_algorithm_is_told_the_right_ones() {
    let error = "on".parse::<Mode>().unwrap_err();
    let expected = "\"on\" is not an integrity mode; write one of off, optional, report, required";
    assert_eq!(error.to_string(), expected);
    let error = "HMAC-SHA-256".parse::<Algorithm>().unwrap_err();
    assert_eq!(error.hint, "write one of hmac-sha-256, sha-256");
}

#[test]
fn a_failure_is_the_reason_of_its_close_and_the_label_of_its_outcome() {
    assert_eq!(Failure::Mismatch.to_string(), "frame-integrity: mismatch");
    assert_eq!(Failure::Missing.to_string(), "frame-integrity: missing");
    for failure in [Failure::Mismatch, Failure::Missing] {
        assert_eq!(Outcome::from(failure).label(), failure.label());
    }
    assert_eq!(
        Outcome::ALL.map(Outcome::label),
        ["ok", "mismatch", "missing", "sealed"]
    );
}
