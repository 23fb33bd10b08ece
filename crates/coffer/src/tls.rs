//! TLS as the settings say: which certificate the S3 port shows, where it is from, and what keeps
//! it fresh.
//!
//! | module | concept |
//! |---|---|
//! | [`plan`] | what the settings ask for, and what they must not |
//! | [`files`] | a pair of files, read again when they change |
//! | [`kept`] | what is kept in the drive directories |
//! | [`own`] | a certificate that nobody vouches for |
//! | [`acme`] | certificates from an ACME server |

pub mod acme;
mod files;
mod kept;
mod own;
pub mod plan;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use coffer_base::{Clock as _, SystemClock};
use coffer_http::{Certificate, Certificates};
use tokio::task::JoinSet;

use crate::fault::Fault;
use crate::settings::Settings;
use crate::status::TlsReport;
use crate::store::HeldDrive;

use plan::Plan;

/// The certificate of a running server, and what is told of it.
pub struct Shown {
    /// What the port shows.
    pub certificates: Arc<Certificates>,
    /// Where it is from, in words.
    pub source: String,
    /// The file with the certificate, for clients that must be told whom to trust.
    pub public_file: Option<PathBuf>,
    /// What was shown first only stands in for one that an ACME server has yet to give.
    stands_in: bool,
    /// Why the newest could not be taken, so that an older one is shown.
    refused: Mutex<Option<String>>,
}

impl Shown {
    /// What there is to say of it.
    pub fn report(&self) -> TlsReport {
        let shown = self.certificates.shown();
        TlsReport {
            source: self.source.clone(),
            fingerprint: shown.as_ref().map(|c| c.fingerprint.clone()).unwrap_or_default(),
            valid_until_secs: shown.map_or(0, |c| c.validity.until_secs),
            refused: self.refused.lock().expect("no holder panics").clone(),
        }
    }

    /// Shows `certificate` from now on.
    fn take(&self, certificate: Certificate) {
        tracing::info!(
            event = "certificate",
            source = self.source,
            fingerprint = certificate.fingerprint,
            valid_until_secs = certificate.validity.until_secs,
            "the certificate that is shown from now on"
        );
        if !certificate.validity.includes(SystemClock.now()) {
            tracing::error!(
                fingerprint = certificate.fingerprint,
                "the certificate has expired or is not valid yet: clients will refuse it"
            );
        }
        self.certificates.show(certificate);
        *self.refused.lock().expect("no holder panics") = None;
    }

    /// Keeps what is shown, since the newest is of no use.
    fn refuse(&self, why: String) {
        tracing::error!(
            event = "certificate_refused",
            source = self.source,
            "the new certificate can't be used, the old one is still shown: {why}"
        );
        *self.refused.lock().expect("no holder panics") = Some(why);
    }
}

/// The certificate that `plan` asks for, made if need be. Blocks.
pub fn open(
    plan: &Plan,
    settings: &Settings,
    held: &[HeldDrive],
) -> Result<Option<Arc<Shown>>, Fault> {
    let mut stands_in = false;
    let (first, source, public_file) = match plan {
        Plan::Plain => return Ok(None),
        Plan::Files(files) => (files.load().map_err(Fault::Usage)?, files.name(), None),
        Plan::SelfSigned => {
            let (certificate, public_file) = own::certificate(settings, held)?;
            let source = format!("self-signed, {}", public_file.display());
            (certificate, source, Some(public_file))
        }
        Plan::Acme(acme) => match acme.kept(held)? {
            Some(certificate) => (certificate, acme.name(), None),
            None => {
                stands_in = true;
                (own::certificate(settings, held)?.0, acme.name(), None)
            }
        },
    };
    let certificates = Arc::new(Certificates::default());
    let shown = Shown { certificates, source, public_file, stands_in, refused: Mutex::default() };
    shown.take(first);
    Ok(Some(Arc::new(shown)))
}

/// Keeps what is shown fresh until the tasks are dropped.
pub fn keep_fresh(plan: Plan, shown: &Arc<Shown>, held: &[HeldDrive], tasks: &mut JoinSet<()>) {
    match plan {
        Plan::Plain | Plan::SelfSigned => {}
        Plan::Files(files) => {
            tasks.spawn(files::watch(files, shown.clone()));
        }
        Plan::Acme(acme) => {
            tasks.spawn(acme::renew(acme, shown.clone(), kept::Drives::of(held)));
        }
    }
}
