//! Which certificates a list is for: its issuing distribution point (RFC 5280 section 5.2.5).

use super::super::der::Element;
use x509_parser::{
    certificate::X509Certificate,
    extensions::X509Extension,
    oid_registry::{
        OID_X509_EXT_CRL_DISTRIBUTION_POINTS as POINTS,
        OID_X509_EXT_ISSUER_DISTRIBUTION_POINT as ISSUING_POINT, Oid,
    },
    revocation_list::CertificateRevocationList,
};

/// Which certificates of its issuer a list is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::tls) struct Scope {
    kind: Kind,
    /// The names of its distribution point, each a `GeneralName` in DER; empty: it is not divided by
    /// points.
    points: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Kind {
    #[default]
    All,
    Leaves,
    Authorities,
}

impl Scope {
    /// The scope of a list, or what of it cannot be used.
    pub(super) fn read(list: &CertificateRevocationList<'_>) -> Result<Self, &'static str> {
        let mut found = of_kind(list.extensions(), ISSUING_POINT);
        match (found.next(), found.next()) {
            (None, _) => Ok(Self::default()),
            (Some(point), None) => Self::parse(point.value),
            _ => Err(MALFORMED),
        }
    }

    fn parse(point: &[u8]) -> Result<Self, &'static str> {
        let mut scope = Self::default();
        let parts = Element::document(point).filter(|point| point.tag == 0x30);
        for part in parts.and_then(|point| point.children()).ok_or(MALFORMED)? {
            // Context-specific tags of the SEQUENCE; DER leaves out what is FALSE, some write it.
            match (part.tag, part.content) {
                (0xa0, _) => scope.points = names_of(&part).ok_or(RELATIVE)?,
                (0x81, [0xff]) => scope.narrow(Kind::Leaves)?,
                (0x82, [0xff]) => scope.narrow(Kind::Authorities)?,
                (0x83, _) => return Err("it is for some reasons of revocation alone"),
                (0x84, [0xff]) => return Err("it is indirect: for certificates of other issuers"),
                (0x85, [0xff]) => return Err("it is for attribute certificates"),
                (0x81 | 0x82 | 0x84 | 0x85, [0]) => {}
                _ => return Err(MALFORMED),
            }
        }
        Ok(scope)
    }

    /// RFC 5280 section 5.2.5: at most one of them is TRUE.
    fn narrow(&mut self, kind: Kind) -> Result<(), &'static str> {
        if self.kind != Kind::All {
            return Err(MALFORMED);
        }
        self.kind = kind;
        Ok(())
    }

    /// RFC 5280 section 6.3.3 (b)(2): the kind of certificate fits, and where the list is for some
    /// points alone, the certificate names one of them.
    ///
    /// So a part of a list says nothing of a certificate that names no point. rustls-webpki takes it
    /// for its issuer's whole list (`authoritative_for`, beside what rustls/webpki#228 is about).
    pub(super) fn covers(&self, certificate: &X509Certificate<'_>, is_leaf: bool) -> bool {
        let fits = match self.kind {
            Kind::All => true,
            Kind::Leaves => is_leaf,
            Kind::Authorities => !is_leaf,
        };
        fits && (self.points.is_empty()
            || points_of(certificate)
                .unwrap_or_default()
                .iter()
                .any(|name| self.points.contains(name)))
    }
}

const MALFORMED: &str = "its issuing distribution point is not as RFC 5280 section 5.2.5 has it";
const RELATIVE: &str = "its distribution point has no full name";

/// The names of a certificate's distribution points (RFC 5280 section 4.2.1.13) that are for all
/// reasons and whose list the certificate's own issuer signs.
fn points_of(certificate: &X509Certificate<'_>) -> Option<Vec<Vec<u8>>> {
    let extension = of_kind(certificate.extensions(), POINTS).next()?;
    let points = Element::document(extension.value)?.children()?;
    let names = points.iter().filter_map(|point| match &*point.children()? {
        [name] if name.tag == 0xa0 => names_of(name),
        _ => None,
    });
    Some(names.flatten().collect())
}

/// The `GeneralName`s of a `DistributionPointName`; `None` for a name relative to an issuer.
fn names_of(name: &Element<'_>) -> Option<Vec<Vec<u8>>> {
    let full = name.only_child().filter(|choice| choice.tag == 0xa0)?;
    let names = full.children().filter(|names| !names.is_empty())?;
    Some(names.iter().map(|name| name.whole.to_vec()).collect())
}

fn of_kind<'e, 'd>(
    extensions: &'e [X509Extension<'d>],
    oid: Oid<'static>,
) -> impl Iterator<Item = &'e X509Extension<'d>> {
    extensions.iter().filter(move |found| found.oid == oid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(parts: &[u8]) -> Result<Scope, &'static str> {
        let length = u8::try_from(parts.len()).unwrap();
        Scope::parse(&[&[0x30, length], parts].concat())
    }

    #[test]
    fn lists_for_one_kind_of_certificate_need_no_point() {
        let scope = |kind| Scope {
            kind,
            points: Vec::new(),
        };
        assert_eq!(parse(&[]), Ok(scope(Kind::All)));
        assert_eq!(parse(&[0x81, 1, 0xff]), Ok(scope(Kind::Leaves)));
        assert_eq!(parse(&[0x82, 1, 0xff]), Ok(scope(Kind::Authorities)));
        assert_eq!(parse(&[0x81, 1, 0]), Ok(scope(Kind::All)));
    }

    #[test]
    fn scopes_that_cannot_be_told_are_refused() {
        for parts in [
            &[0x81, 1, 0xff, 0x82, 1, 0xff][..],
            &[0x83, 2, 0, 0x80],
            &[0x84, 1, 0xff],
            &[0x85, 1, 0xff],
            &[0x81, 1, 1],
            &[0x86, 1, 0xff],
            &[0xa0, 2, 0xa1, 0],
            &[0xa0, 2, 0xa0, 0],
        ] {
            assert!(parse(parts).is_err(), "{parts:?}");
        }
    }
}
