//! Name constraints for URIs, directory names and mail addresses (RFC 5280 section 4.2.1.10).
//!
//! rustls-webpki checks those for DNS names and IP addresses. What cannot be compared for certain
//! violates a constraint, whichever way round: a name that is not well-formed, a constraint that is
//! not, text that is not ASCII.

use x509_parser::{
    asn1_rs::{Any, Tag},
    certificate::X509Certificate,
    extensions::{GeneralName, GeneralSubtree},
    x509::{RelativeDistinguishedName, X509Name},
};

/// A certificate has a name that a CA above it may not give; or one of them cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Violation;

/// A name in a form that is checked here.
enum Name<'c> {
    Uri(&'c str),
    Email(&'c str),
    Directory(&'c X509Name<'c>),
}

/// Whether a name is below a subtree; `Err` where that cannot be decided.
type Below = Result<bool, Violation>;

/// Holds the names of every certificate of a path, leaf first, against the constraints of the CAs
/// above it; the trust anchor comes last.
pub(super) fn check(path: &[X509Certificate<'_>]) -> Result<(), Violation> {
    for (index, authority) in path.iter().enumerate().skip(1) {
        let constraints = authority.name_constraints().map_err(|_| Violation)?;
        let Some(constraints) = constraints else {
            continue;
        };
        let (permitted, excluded) = (
            constraints.value.permitted_subtrees.as_deref(),
            constraints.value.excluded_subtrees.as_deref(),
        );
        for subject in constrained(path.get(..index).unwrap_or_default()) {
            check_one(
                subject,
                permitted.unwrap_or_default(),
                excluded.unwrap_or_default(),
            )?;
        }
    }
    Ok(())
}

/// RFC 5280 section 6.1.3 (b): a self-issued certificate is passed over unless it is the leaf.
fn constrained<'p, 'c>(
    below: &'p [X509Certificate<'c>],
) -> impl Iterator<Item = &'p X509Certificate<'c>> {
    let self_issued = |it: &X509Certificate<'_>| it.subject().as_raw() == it.issuer().as_raw();
    let all = below.iter().enumerate();
    all.filter(move |(index, it)| *index == 0 || !self_issued(it))
        .map(|(_, it)| it)
}

fn check_one(
    subject: &X509Certificate<'_>,
    permitted: &[GeneralSubtree<'_>],
    excluded: &[GeneralSubtree<'_>],
) -> Result<(), Violation> {
    for name in names(subject)? {
        for subtree in excluded {
            if name.is_below(&subtree.base).unwrap_or(Ok(false))? {
                return Err(Violation);
            }
        }
        let mut same_form = permitted
            .iter()
            .filter_map(|subtree| name.is_below(&subtree.base))
            .peekable();
        if same_form.peek().is_some() && !same_form.any(|below| below == Ok(true)) {
            return Err(Violation);
        }
    }
    Ok(())
}

/// The names of a certificate in forms that are checked here. A mail address in the subject counts
/// as well, whether or not there are alternative names: RFC 5280 asks for it where there are none.
fn names<'c>(certificate: &'c X509Certificate<'_>) -> Result<Vec<Name<'c>>, Violation> {
    let subject = certificate.subject();
    let mut names: Vec<_> = Some(subject)
        .filter(|subject| subject.iter_rdn().next().is_some())
        .map(Name::Directory)
        .into_iter()
        .collect();
    for address in subject.iter_email() {
        names.push(Name::Email(address.as_str().map_err(|_| Violation)?));
    }
    let alternatives = certificate.subject_alternative_name();
    if let Some(alternatives) = alternatives.map_err(|_| Violation)? {
        for name in &alternatives.value.general_names {
            names.extend(Name::read(name)?);
        }
    }
    Ok(names)
}

impl<'c> Name<'c> {
    fn read(name: &'c GeneralName<'_>) -> Result<Option<Self>, Violation> {
        match name {
            GeneralName::URI(uri) => Ok(Some(Self::Uri(uri))),
            GeneralName::RFC822Name(address) => Ok(Some(Self::Email(address))),
            GeneralName::DirectoryName(name) => Ok(Some(Self::Directory(name))),
            GeneralName::Invalid(..) => Err(Violation),
            _ => Ok(None),
        }
    }

    /// `None` where the subtree is of another form.
    fn is_below(&self, base: &GeneralName<'_>) -> Option<Below> {
        match (self, base) {
            (Name::Uri(uri), GeneralName::URI(base)) => Some(uri_is_below(uri, base)),
            (Name::Email(address), GeneralName::RFC822Name(base)) => {
                Some(email_is_below(address, base))
            }
            (Name::Directory(name), GeneralName::DirectoryName(base)) => {
                Some(directory_is_below(name, base))
            }
            (_, GeneralName::Invalid(..)) => Some(Err(Violation)),
            _ => None,
        }
    }
}

/// The constraint is for the host; a URI without one, or with an IP address, is refused.
fn uri_is_below(uri: &str, base: &str) -> Below {
    let (_, rest) = uri.split_once(':').ok_or(Violation)?;
    let rest = rest.strip_prefix("//").ok_or(Violation)?;
    let authority = rest.split(['/', '?', '#']).next().ok_or(Violation)?;
    // RFC 3986 section 3.2: [ userinfo "@" ] host [ ":" port ].
    let host = authority.rsplit_once('@').map_or(authority, |(_, it)| it);
    let host = match host.split_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) => return Err(Violation),
        None => host,
    };
    let is_address = host.rsplit('.').next().is_none_or(is_number);
    if is_address {
        return Err(Violation);
    }
    host_is_below(host, base)
}

fn is_number(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_digit())
}

fn email_is_below(address: &str, base: &str) -> Below {
    if !address.is_ascii() || !base.is_ascii() {
        return Err(Violation);
    }
    let (local, host) = address.rsplit_once('@').ok_or(Violation)?;
    match base.rsplit_once('@') {
        Some((own, of)) => Ok(host_is_below(host, of)? && own == local),
        None => host_is_below(host, base),
    }
}

/// A constraint that begins with a period is for the hosts below it, any other for this one host.
fn host_is_below(host: &str, base: &str) -> Below {
    let labels = base.strip_prefix('.').unwrap_or(base);
    if !is_host(host) || !is_host(labels) {
        return Err(Violation);
    }
    let (host, base) = (host.to_ascii_lowercase(), base.to_ascii_lowercase());
    if base.starts_with('.') {
        return Ok(host.len() > base.len() && host.ends_with(&base));
    }
    Ok(host == base)
}

fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let mut labels = text.split('.');
    labels.all(|label| !label.is_empty() && label.bytes().all(plain))
}

fn directory_is_below(name: &X509Name<'_>, base: &X509Name<'_>) -> Below {
    if base.iter_rdn().count() > name.iter_rdn().count() {
        return Ok(false);
    }
    let pairs = name.iter_rdn().zip(base.iter_rdn());
    all(pairs.map(|(name, base)| same_part(name, base)))
}

fn same_part(name: &RelativeDistinguishedName<'_>, base: &RelativeDistinguishedName<'_>) -> Below {
    if name.iter().count() != base.iter().count() {
        return Ok(false);
    }
    all(base.iter().map(|wanted| {
        let mut of_type = name
            .iter()
            .filter(|found| found.attr_type() == wanted.attr_type());
        let found = of_type.next().ok_or(Violation).ok();
        found.map_or(Ok(false), |found| {
            same_text(found.attr_value(), wanted.attr_value())
        })
    }))
}

/// RFC 5280 section 7.1: upper and lower case, and how many spaces there are, are all the same.
fn same_text(one: &Any<'_>, other: &Any<'_>) -> Below {
    if one.tag() == other.tag() && one.data == other.data {
        return Ok(true);
    }
    match (folded(one), folded(other)) {
        (Some(one), Some(other)) => Ok(one == other),
        _ => Err(Violation),
    }
}

fn folded(value: &Any<'_>) -> Option<String> {
    let plain = [
        Tag::Utf8String,
        Tag::PrintableString,
        Tag::Ia5String,
        Tag::NumericString,
    ];
    if !plain.contains(&value.tag()) || !value.data.is_ascii() {
        return None;
    }
    let text = std::str::from_utf8(value.data).ok()?.to_ascii_lowercase();
    let words: Vec<_> = text.split_ascii_whitespace().collect();
    Some(words.join(" "))
}

/// `Ok(false)` if anything is certainly not so, else what is uncertain.
fn all(parts: impl Iterator<Item = Below>) -> Below {
    let mut whole = Ok(true);
    for part in parts {
        match part {
            Ok(false) => return Ok(false),
            Ok(true) => {}
            Err(violation) => whole = Err(violation),
        }
    }
    whole
}

#[cfg(test)]
mod tests;
