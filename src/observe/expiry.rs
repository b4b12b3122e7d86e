//! When certificates, CRLs and keys end.

use super::{
    event,
    label::ExpiryKind,
    series::{self, Exposition},
};
use std::collections::BTreeMap;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// One thing of the configuration that expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// What it is.
    pub kind: ExpiryKind,
    /// Its name in the configuration: a path or a key id.
    pub name: String,
    /// The last second at which it is valid, in Unix time.
    pub unix: i64,
}

impl Expiry {
    /// Logs a warning if the end is near or past at `now`, in Unix time.
    pub fn warn(&self, now: i64) {
        let left = self.unix - now;
        if left < 0 {
            event::expired(self.kind, &self.name);
        } else if left < self.kind.notice() {
            event::expires_soon(self.kind, &self.name, left / DAY, left / HOUR);
        }
    }
}

impl ExpiryKind {
    /// How long before the end the log should warn, in seconds. A CRL is replaced every few
    /// days, or hours; the rest lasts for months.
    const fn notice(self) -> i64 {
        match self {
            Self::Crl => 2 * DAY,
            Self::Server | Self::ClientCa | Self::IntegrityKey => 14 * DAY,
        }
    }
}

/// The family of `expiries`. Of several with one name (a file with many CAs), the first to end is reported.
pub(super) fn collect(expiries: &[Expiry], out: &mut Exposition) {
    let mut earliest = BTreeMap::new();
    for expiry in expiries {
        let unix = earliest
            .entry((expiry.kind, &expiry.name))
            .or_insert(expiry.unix);
        *unix = expiry.unix.min(*unix);
    }
    let mut family = out.family(series::EXPIRES);
    for ((kind, name), unix) in earliest {
        family.add(&[kind.label(), name], unix);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{LogFormat, log::lines_of};

    fn logged(kind: ExpiryKind, left: i64) -> String {
        let expiry = Expiry {
            kind,
            name: "it".to_owned(),
            unix: 1_000 + left,
        };
        lines_of(LogFormat::Json, "info", || expiry.warn(1_000)).concat()
    }

    #[test]
    fn there_is_a_warning_two_weeks_before_an_end_and_two_days_before_that_of_a_list() {
        let (crl, server) = (ExpiryKind::Crl, ExpiryKind::Server);
        assert!(logged(server, 13 * DAY).contains("expires soon"));
        assert_eq!(logged(server, 15 * DAY), "");
        assert_eq!(logged(crl, 3 * DAY), "");
        let soon = logged(crl, 30 * HOUR);
        for field in [r#""days":1"#, r#""hours":30"#] {
            assert!(soon.contains(field), "{soon}");
        }
    }

    #[test]
    fn what_has_ended_is_told_with_what_follows() {
        let ca = logged(ExpiryKind::ClientCa, -1);
        assert!(ca.contains("its clients are admitted"), "{ca}");
        let ended = logged(ExpiryKind::Crl, -1);
        assert!(
            ended.contains("has expired") && ended.contains("crl_expired"),
            "{ended}"
        );
        // The last second belongs to the validity.
        assert!(logged(ExpiryKind::Crl, 0).contains("expires soon"));
    }
}
