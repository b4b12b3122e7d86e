//! `certs revoke`: the revocation list, kept and signed anew (RFC 5280 section 5).

use std::{
    io::{self, Write},
    path::Path,
};

use rcgen::{RevocationReason, RevokedCertParams, SerialNumber};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, pem::PemObject};
use time::OffsetDateTime;
use x509_parser::{
    prelude::FromDer,
    revocation_list::{CertificateRevocationList, RevokedCertificate},
    x509::ReasonCode,
};

use super::{
    CertsError, DevelopmentCa, RevokeArguments, Validity,
    authority::entry,
    files::{self, Readers},
    hexadecimal,
    show::written,
};

/// What a list says.
struct List {
    number: Vec<u8>,
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
    let validity = Validity::days(now, arguments.days)?;
    let number = SerialNumber::from(list.number);
    let signed = authority.sign_crl(number, list.entries, validity)?;
    files::replace(&path, &signed.pem()?, Readers::Everybody)?;
    writeln!(output, "{}", path.display())?;
    // The list has whole seconds.
    let until = validity.not_after.replace_nanosecond(0);
    let until = written(until.unwrap_or(validity.not_after));
    let next = "`tidegate certs revoke --refresh` signs it anew";
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
                    entries: Vec::new(),
                });
            }
            Err(error) => return Err(error),
        };
        let wrong = |problem: &str| CertsError::Content {
            path: path.to_owned(),
            problem: format!("{problem}; move it away to begin a new list"),
        };
        let der = CertificateRevocationListDer::from_pem_slice(&content)
            .map_err(|_| wrong("this is not a revocation list in PEM"))?;
        let (_, parsed) = CertificateRevocationList::from_der(&der)
            .map_err(|_| wrong("this is not an X.509 revocation list"))?;
        if Some(parsed.issuer().as_raw()) != subject(authority).as_deref() {
            return Err(wrong("this revocation list is another CA's"));
        }
        let number = parsed.crl_number().cloned().unwrap_or_default();
        Ok(Self {
            number: (number + 1_u8).to_bytes_be(),
            entries: parsed.iter_revoked_certificates().map(kept).collect(),
        })
    }

    fn holds(&self, serial: &[u8]) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.serial_number.as_ref() == serial)
    }
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
    let of_files = arguments
        .cert
        .iter()
        .map(|path| serial_of_file(path, authority));
    let of_texts = arguments.serial.iter().map(|text| parse_serial(text));
    of_files.chain(of_texts).collect()
}

fn serial_of_file(path: &Path, authority: &DevelopmentCa) -> Result<Vec<u8>, CertsError> {
    let wrong = |problem: &str| CertsError::Content {
        path: path.to_owned(),
        problem: problem.to_owned(),
    };
    let content = files::read(
        path,
        "Name the certificate's file, or its number with --serial",
    )?;
    let der = CertificateDer::from_pem_slice(&content)
        .map_err(|_| wrong("this is not a certificate in PEM"))?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&der)
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

/// Reads hexadecimal digits, with or without colons; RFC 5280 section 4.1.2.2 allows 20 octets.
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
    let octets = pairs.iter().map(|[high, low]| high << 4 | low);
    let serial: Vec<u8> = octets.skip_while(|octet| *octet == 0).collect();
    if (1..=20).contains(&serial.len()) {
        Ok(serial)
    } else {
        Err(refused())
    }
}
