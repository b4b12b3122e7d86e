//! Shows rustls-webpki certificates and lists without what it refuses and this proxy checks itself.
//!
//! It refuses every certificate below a CA with name constraints for URIs, directory names or mail
//! addresses, whatever they say (rustls/webpki#19 and #514), every critical extension that it does
//! not know, delta lists, and lists that are for one kind of certificate without naming a point. So it is shown a
//! copy of the same length in which these bytes are others; [`path`](super::path) holds what they
//! really say against the path, and signatures are verified over what was really signed.

use super::der::Element;
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm,
};
use std::{borrow::Cow, collections::HashMap};

/// A certificate as rustls-webpki gets to see it.
pub(super) struct Disguised<'d> {
    pub(super) shown: CertificateDer<'d>,
    pub(super) original: &'d CertificateDer<'d>,
}

/// Verifies signatures over what was signed, where it is asked about what was shown.
#[derive(Debug)]
pub(super) struct Undisguised<'d> {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    signed: &'d [Signed],
}

/// What a certificate's signature is over: as shown, and as it is.
pub(super) type Signed = (Vec<u8>, Vec<u8>);

/// id-ce-certificatePolicies (RFC 5280 section 4.2.1.4), as the content of its OID.
const POLICIES: &[u8] = &[0x55, 0x1d, 0x20];
/// id-ce-nameConstraints (RFC 5280 section 4.2.1.10).
const CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
/// id-ce-issuingDistributionPoint (RFC 5280 section 5.2.5).
const ISSUING_POINT: &[u8] = &[0x55, 0x1d, 0x1c];
/// id-ce-deltaCRLIndicator (RFC 5280 section 5.2.4).
const DELTA: &[u8] = &[0x55, 0x1d, 0x1b];
/// The last byte of an OID below id-ce that nobody has.
const UNASSIGNED: u8 = 0x7f;

/// A byte of the copy that differs.
type Change = (usize, u8);

impl<'d> Disguised<'d> {
    pub(super) fn new(original: &'d CertificateDer<'d>) -> Self {
        let shown = match certificate(original) {
            Cow::Borrowed(_) => CertificateDer::from(&**original),
            Cow::Owned(copy) => CertificateDer::from(copy),
        };
        Self { shown, original }
    }

    /// What its signature is over: as shown, and as it is.
    fn signed(&self) -> Option<Signed> {
        Some((signed(&self.shown)?, signed(self.original)?))
    }
}

/// What the signatures of a chain are over; `None` where one is not a certificate, or where two
/// are shown alike and are not.
///
/// Of two that are shown alike, one was rewritten by its sender: its signature would be held
/// against what was signed of the other, and pass.
pub(super) fn all_signed(chain: &[Disguised<'_>]) -> Option<Vec<Signed>> {
    let signed: Vec<_> = chain.iter().map(Disguised::signed).collect::<Option<_>>()?;
    let mut originals = HashMap::new();
    let told_apart = signed
        .iter()
        .all(|(shown, original)| *originals.entry(shown).or_insert(original) == original);
    told_apart.then_some(signed)
}

impl<'d> Undisguised<'d> {
    pub(super) fn new(
        algorithm: &'static dyn SignatureVerificationAlgorithm,
        signed: &'d [Signed],
    ) -> Self {
        Self { algorithm, signed }
    }
}

impl SignatureVerificationAlgorithm for Undisguised<'_> {
    fn verify_signature(
        &self,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let original = self.signed.iter().find(|(shown, _)| shown == message);
        let message = original.map_or(message, |(_, original)| original);
        self.algorithm.verify_signature(key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }

    fn fips(&self) -> bool {
        self.algorithm.fips()
    }
}

/// A certificate without what is checked elsewhere.
///
/// Subtrees of URIs, directory names and mail addresses become such of forms that no name here has:
/// what constrains other names stays in force. Policies are not critical: with every policy
/// acceptable, as here, they decide nothing by themselves (RFC 5280 section 6.1).
pub(super) fn certificate(der: &[u8]) -> Cow<'_, [u8]> {
    changed(der, certificate_changes(der).unwrap_or_default())
}

/// A list without its scope, and without the word that it is a delta list.
pub(super) fn list(der: &[u8]) -> Cow<'_, [u8]> {
    changed(der, list_changes(der).unwrap_or_default())
}

fn changed(der: &[u8], changes: Vec<Change>) -> Cow<'_, [u8]> {
    if changes.is_empty() {
        return Cow::Borrowed(der);
    }
    let mut copy = der.to_vec();
    for (offset, byte) in changes {
        if let Some(found) = copy.get_mut(offset) {
            *found = byte;
        }
    }
    Cow::Owned(copy)
}

fn certificate_changes(der: &[u8]) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    for extension in extensions(der, 0xa3)? {
        match extension.oid.content {
            POLICIES => changes.extend(extension.uncritical()),
            CONSTRAINTS => changes.extend(renamed_subtrees(&extension.value)?),
            _ => {}
        }
    }
    Some(changes)
}

fn list_changes(der: &[u8]) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    for extension in extensions(der, 0xa0)? {
        if [ISSUING_POINT, DELTA].contains(&extension.oid.content) {
            let last = extension.oid.content_offset() + ISSUING_POINT.len() - 1;
            changes.push((last, UNASSIGNED));
            changes.extend(extension.uncritical());
        }
    }
    Some(changes)
}

/// Subtrees in forms that names here do not have: registeredID for what is a string, ediPartyName
/// for what is constructed.
fn renamed_subtrees(value: &Element<'_>) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    for subtrees in value.only_child()?.children()? {
        for subtree in subtrees.children()? {
            let base = *subtree.children()?.first()?;
            match base.tag {
                0x81 | 0x86 => changes.push((base.offset, 0x88)),
                0xa4 => changes.push((base.offset, 0xa5)),
                _ => {}
            }
        }
    }
    Some(changes)
}

/// An extension (RFC 5280 section 4.1).
struct Extension<'d> {
    oid: Element<'d>,
    critical: Option<Element<'d>>,
    value: Element<'d>,
}

impl Extension<'_> {
    fn uncritical(&self) -> impl Iterator<Item = Change> + use<> {
        let offset = self.critical.map(|critical| critical.content_offset());
        offset.into_iter().map(|offset| (offset, 0))
    }
}

/// The extensions of a certificate or list, which stand last in it under this tag.
fn extensions(der: &[u8], tag: u8) -> Option<Vec<Extension<'_>>> {
    let parts = Element::document(der)?.children()?;
    let fields = parts.first()?.children()?;
    let last = fields.last().filter(|last| last.tag == tag)?;
    let extensions = last.only_child()?.children()?;
    extensions.iter().map(extension).collect()
}

fn extension<'d>(element: &Element<'d>) -> Option<Extension<'d>> {
    match *element.children()?.as_slice() {
        [oid, value] => Some(Extension {
            oid,
            critical: None,
            value,
        }),
        [oid, critical, value] => Some(Extension {
            oid,
            critical: Some(critical).filter(|it| (it.tag, it.content) == (0x01, &[0xff])),
            value,
        }),
        _ => None,
    }
}

fn signed(der: &[u8]) -> Option<Vec<u8>> {
    let parts = Element::document(der)?.children()?;
    Some(parts.first()?.whole.to_vec())
}
