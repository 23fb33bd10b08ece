//! A certificate that nobody vouches for, kept in the drive directories.

use std::net::IpAddr;
use std::path::PathBuf;

use coffer_base::{Clock as _, SystemClock};
use coffer_http::{Certificate, self_signed};

use crate::fault::Fault;
use crate::settings::Settings;
use crate::store::HeldDrive;

use super::kept::{Drives, names_of, pair_text};

/// Key and certificate.
const PAIR: &str = "tls-self-signed.pem";
/// The certificate alone, to be given to clients.
const PUBLIC: &str = "tls-self-signed.crt";

/// The kept certificate if it is for all names that the settings say, else a new one; and the
/// file that has it for clients.
pub fn certificate(
    settings: &Settings,
    held: &[HeldDrive],
) -> Result<(Certificate, PathBuf), Fault> {
    let drives = Drives::of(held);
    let wanted = wanted(settings);
    let now = SystemClock.now();
    for text in drives.read(PAIR) {
        let names = names_of(&text);
        if !wanted.iter().all(|name| names.contains(name)) {
            tracing::warn!(
                "the self-signed certificate is for {}, and the settings name {}: a new one is \
                 made, with another fingerprint",
                names.join(" "),
                wanted.join(" ")
            );
            continue;
        }
        match Certificate::from_pem(text.as_bytes(), text.as_bytes()) {
            Ok(certificate) if certificate.validity.includes(now) => {
                let chain = text.find("-----BEGIN CERTIFICATE").map_or("", |at| &text[at..]);
                keep(&drives, &text, chain)?;
                return Ok((certificate, drives.path(PUBLIC)));
            }
            Ok(_) => tracing::warn!("the self-signed certificate has expired: a new one is made"),
            Err(e) => tracing::warn!("{PAIR} can't be used, a new certificate is made: {e}"),
        }
    }
    let mut names = wanted;
    for name in also_likely() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let failed = |e: coffer_http::Unusable| Fault::Usage(format!("tls: {e}"));
    let made = self_signed::make(&names, now).map_err(failed)?;
    let text = pair_text(&names, &made.chain, &made.key);
    keep(&drives, &text, &made.chain)?;
    let certificate = Certificate::from_pem(made.chain.as_bytes(), made.key.as_bytes());
    Ok((certificate.map_err(failed)?, drives.path(PUBLIC)))
}

/// Writes what some directory lacks.
fn keep(drives: &Drives, pair: &str, chain: &str) -> Result<(), Fault> {
    for (name, text) in [(PAIR, pair), (PUBLIC, chain)] {
        if !drives.has_everywhere(name, text) {
            let path = drives.path(name);
            drives
                .write(name, text)
                .map_err(|e| Fault::Data(format!("{}: {e}", path.display())))?;
        }
    }
    Ok(())
}

/// The names by which the settings say that clients connect.
fn wanted(settings: &Settings) -> Vec<String> {
    let mut names = Vec::new();
    for domain in &settings.domain {
        names.push(domain.to_ascii_lowercase());
        names.push(format!("*.{}", domain.to_ascii_lowercase()));
    }
    for address in &settings.listen {
        let host = address.host();
        let any = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        if !any {
            names.push(host.to_ascii_lowercase());
        }
    }
    names.sort();
    names.dedup();
    names
}

/// Names that fit any machine.
fn also_likely() -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let system = rustix::system::uname();
    if let Ok(name) = system.nodename().to_str()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
        && !name.is_empty()
    {
        names.push(name.to_ascii_lowercase());
    }
    names
}
