//! `certs revoke`: the revocation list, kept and signed again (RFC 5280 section 5).

use super::{
    arguments::RevokeArguments,
    authority::{DevelopmentCa, Validity, entry},
    error::CertsError,
    files::{self, Readers},
    show::written,
};
use crate::{
    credential::pem::{Block, Label},
    policy::identity::name::hexadecimal,
};
use rcgen::{RevocationReason, RevokedCertParams, SerialNumber};
use std::{
    io::{self, Write},
    path::Path,
};
use time::{Duration, OffsetDateTime};
use x509_parser::{
    prelude::FromDer,
    revocation_list::{CertificateRevocationList, RevokedCertificate},
    x509::ReasonCode,
};

/// How long the list of a CA that had none is good for.
const FIRST_DAYS: u32 = 30;

/// What a list says.
struct List {
    number: Vec<u8>,
    /// How long the last one was good for, from thisUpdate to nextUpdate.
    life: Option<Duration>,
    entries: Vec<RevokedCertParams>,
}

/// Adds certificates to the list of a folder.
pub(super) fn revoke(
    arguments: &RevokeArguments,
    now: OffsetDateTime,
    output: &mut impl Write,
) -> Result<(), CertsError> {
    let authority = files::read_authority(&arguments.dir)?;
    let path = arguments.dir.join("ca.crl");
    let mut list = List::read(&path, &authority)?;
    for serial in serials(arguments, &authority)? {
        let text = hexadecimal(&serial);
        if list.holds(&serial) {
            writeln!(output, "{text} was revoked before")?;
            continue;
        }
        list.entries.push(RevokedCertParams {
            // RFC 5280 section 5.3.1: an unspecified reason is left out.
            reason_code: Some(arguments.reason.code())
                .filter(|code| *code != RevocationReason::Unspecified),
            ..entry(serial, now)
        });
        writeln!(output, "{text} revoked")?;
    }
    let validity = list.validity(arguments.days, now)?;
    let number = SerialNumber::from(list.number);
    let signed = authority.sign_crl(number, list.entries, validity)?;
    files::replace(&path, &signed.pem()?, Readers::Everybody)?;
    writeln!(output, "{}", path.display())?;
    // The list has whole seconds.
    let until = validity.not_after.replace_nanosecond(0);
    let until = written(until.unwrap_or(validity.not_after));
    let next = "`tidegate certs revoke --refresh` signs it again";
    writeln!(output, "good until {until}; {next}")?;
    Ok(())
}

impl List {
    /// The list of a file with its number raised; the first list, if there is no file.
    fn read(path: &Path, authority: &DevelopmentCa) -> Result<Self, CertsError> {
        let content = match files::read(path, "Move it away to begin a new list") {
            Ok(content) => content,
            Err(CertsError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(Self {
                    number: vec![1],
                    life: None,
                    entries: Vec::new(),
                });
            }
            Err(error) => return Err(error),
        };
        let wrong = |problem: &str| CertsError::Content {
            path: path.to_owned(),
            problem: format!("{problem}; move it away to begin a new list"),
        };
        let blocks =
            files::blocks(path, &content, Label::RevocationList).map_err(|error| match error {
                CertsError::Content { problem, .. } => wrong(&problem),
                other => other,
            })?;
        let [block] = blocks.as_slice() else {
            return Err(wrong("there is more than one revocation list in this file"));
        };
        let (_, parsed) = CertificateRevocationList::from_der(&block.der)
            .map_err(|_| wrong("this is not an X.509 revocation list"))?;
        if Some(parsed.issuer().as_raw()) != subject(authority).as_deref() {
            return Err(wrong("this revocation list is another CA's"));
        }
        let number = parsed.crl_number().cloned().unwrap_or_default();
        Ok(Self {
            number: (number + 1_u8).to_bytes_be(),
            life: life(&parsed),
            entries: parsed.iter_revoked_certificates().map(kept).collect(),
        })
    }

    /// As long as was asked for, otherwise as long as the last list was good for.
    fn validity(&self, days: Option<u32>, now: OffsetDateTime) -> Result<Validity, CertsError> {
        let standard = Validity::days(now, days.unwrap_or(FIRST_DAYS))?;
        let (None, Some(life)) = (days, self.life) else {
            return Ok(standard);
        };
        let not_after = standard.not_before.checked_add(life).ok_or_else(|| {
            let message = "the last list was good for too long to sign another like it; say with --days how long";
            CertsError::Argument(message.to_owned())
        })?;
        Ok(Validity {
            not_after,
            ..standard
        })
    }

    fn holds(&self, serial: &[u8]) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.serial_number.as_ref() == serial)
    }
}

fn life(list: &CertificateRevocationList<'_>) -> Option<Duration> {
    let end = list.next_update()?.to_datetime();
    let life = end - list.last_update().to_datetime();
    life.is_positive().then_some(life)
}

/// An entry as it was.
fn kept(revoked: &RevokedCertificate<'_>) -> RevokedCertParams {
    let invalid_since = revoked.invalidity_date();
    RevokedCertParams {
        serial_number: SerialNumber::from(revoked.user_certificate.to_bytes_be()),
        revocation_time: revoked.revocation_date.to_datetime(),
        reason_code: revoked.reason_code().and_then(|(_, code)| reason(code)),
        invalidity_date: invalid_since.map(|(_, time)| time.to_datetime()),
    }
}

fn reason(code: ReasonCode) -> Option<RevocationReason> {
    Some(match code.0 {
        1 => RevocationReason::KeyCompromise,
        2 => RevocationReason::CaCompromise,
        3 => RevocationReason::AffiliationChanged,
        4 => RevocationReason::Superseded,
        5 => RevocationReason::CessationOfOperation,
        6 => RevocationReason::CertificateHold,
        8 => RevocationReason::RemoveFromCrl,
        9 => RevocationReason::PrivilegeWithdrawn,
        10 => RevocationReason::AaCompromise,
        _ => return None,
    })
}

fn serials(
    arguments: &RevokeArguments,
    authority: &DevelopmentCa,
) -> Result<Vec<Vec<u8>>, CertsError> {
    let mut serials = Vec::new();
    for path in &arguments.cert {
        serials.extend(serials_of_file(path, authority)?);
    }
    for text in &arguments.serial {
        serials.push(parse_serial(text)?);
    }
    Ok(serials)
}

/// Of every certificate in a file, but the CA's own, which a chain may end with.
fn serials_of_file(path: &Path, authority: &DevelopmentCa) -> Result<Vec<Vec<u8>>, CertsError> {
    let content = files::read(
        path,
        "Name the certificate's file, or its number with --serial",
    )?;
    let blocks = files::blocks(path, &content, Label::Certificate)?;
    let is_own = |block: &&Block| *block.der == authority.certificate().as_ref();
    let (own, issued): (Vec<_>, Vec<_>) = blocks.iter().partition(is_own);
    if issued.is_empty() && !own.is_empty() {
        return Err(CertsError::Content {
            path: path.to_owned(),
            problem: "this is the CA's own certificate, which no list of its own can revoke; \
                      take it out of tls.clients.ca"
                .to_owned(),
        });
    }
    let serials = issued
        .into_iter()
        .map(|block| serial_of(path, block, authority));
    serials.collect()
}

fn serial_of(path: &Path, block: &Block, authority: &DevelopmentCa) -> Result<Vec<u8>, CertsError> {
    let wrong = |problem: &str| CertsError::Content {
        path: path.to_owned(),
        problem: format!("line {}: {problem}", block.line),
    };
    let (_, parsed) = x509_parser::parse_x509_certificate(&block.der)
        .map_err(|_| wrong("this is not an X.509 certificate"))?;
    if Some(parsed.issuer().as_raw()) != subject(authority).as_deref() {
        return Err(wrong(
            "this certificate is of another CA; say with --dir in which folder that CA is",
        ));
    }
    Ok(parsed.tbs_certificate.serial.to_bytes_be())
}

fn subject(authority: &DevelopmentCa) -> Option<Vec<u8>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(authority.certificate()).ok()?;
    Some(parsed.subject().as_raw().to_vec())
}

/// Reads hexadecimal digits, with or without colons; RFC 5280 section 4.1.2.2 allows 20 bytes.
fn parse_serial(text: &str) -> Result<Vec<u8>, CertsError> {
    let refused = || {
        CertsError::Argument(format!(
            "{text:?} is not a serial number; write 1 to 40 hexadecimal digits, as `tidegate certs show` does"
        ))
    };
    let mut digits: Vec<u8> = text
        .chars()
        .filter(|character| *character != ':')
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        })
        .collect::<Option<_>>()
        .ok_or_else(refused)?;
    if digits.len() % 2 == 1 {
        digits.insert(0, 0);
    }
    let (pairs, _) = digits.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| high << 4 | low);
    let serial: Vec<u8> = bytes.skip_while(|byte| *byte == 0).collect();
    if (1..=20).contains(&serial.len()) {
        Ok(serial)
    } else {
        Err(refused())
    }
}
