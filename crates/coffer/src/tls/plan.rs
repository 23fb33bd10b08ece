//! What the settings ask for.

use std::net::SocketAddr;
use std::path::Path;

use crate::fault::Fault;
use crate::settings::{Settings, TlsMode};

use super::acme::Acme;
use super::files::Files;

/// How the S3 port speaks.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Plain HTTP.
    Plain,
    /// TLS with a certificate from files.
    Files(Files),
    /// TLS with a certificate of its own making.
    SelfSigned,
    /// TLS with certificates from an ACME server.
    Acme(Acme),
}

impl Plan {
    /// The one that `settings` ask for; an error if they ask for several.
    pub fn of(settings: &Settings) -> Result<Plan, Fault> {
        let wrong = |what: &str| Err(Fault::Usage(what.to_owned()));
        if settings.tls_cert.is_none() && settings.tls_key.is_some() {
            return wrong("tls_key is set without tls_cert, the file with its certificate");
        }
        let from_acme = !settings.acme_domain.is_empty();
        if settings.tls_cert.is_some() && from_acme {
            return wrong("tls_cert and acme_domain are both set: the certificate is from one");
        }
        let says_where = settings.tls_cert.is_some() || from_acme;
        match (settings.tls, &settings.tls_cert) {
            (TlsMode::Off, _) if says_where => wrong(
                "tls is off, and yet tls_cert or acme_domain says where a certificate is from",
            ),
            (TlsMode::Off, _) => Ok(Plan::Plain),
            (TlsMode::SelfSigned, _) if says_where => {
                wrong("tls is self-signed, and yet tls_cert or acme_domain is set")
            }
            (TlsMode::SelfSigned, _) => Ok(Plan::SelfSigned),
            (TlsMode::Auto, Some(cert)) => {
                let key = settings.tls_key.clone().unwrap_or_else(|| cert.clone());
                Ok(Plan::Files(Files { cert: cert.clone(), key }))
            }
            (TlsMode::Auto, None) if from_acme => Ok(Plan::Acme(Acme::of(settings)?)),
            (TlsMode::Auto, None) => Ok(Plan::Plain),
        }
    }

    /// What can be known to be wrong before anything is touched.
    pub fn check(&self) -> Result<(), Fault> {
        match self {
            Plan::Files(files) => files.load().map(drop).map_err(Fault::Usage),
            Plan::Plain | Plan::SelfSigned | Plan::Acme(_) => Ok(()),
        }
    }

    /// Whether a connection is by TLS.
    pub fn is_secure(&self) -> bool {
        !matches!(self, Plan::Plain)
    }

    /// Refuses to speak plainly where other machines hear it.
    pub fn check_address(&self, address: SocketAddr, settings: &Settings) -> Result<(), Fault> {
        if self.is_secure() || settings.allow_plaintext || address.ip().to_canonical().is_loopback()
        {
            return Ok(());
        }
        Err(Fault::Usage(format!(
            "listen: {address} is reached by other machines, and without TLS everybody on the way \
             reads and changes what is stored. Set tls_cert and tls_key (files), or acme_domain \
             (a certificate from an ACME server), or tls = \"self-signed\" (one that is made now); \
             or allow_plaintext = true if nothing but a proxy that speaks TLS, or a network that \
             you trust, is in front"
        )))
    }
}

/// A path among the settings, for messages.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn settings(said: &[(&str, &str)]) -> Settings {
        let flag = |key: &str| {
            let found = said.iter().find(|(said, _)| *said == key);
            found.map(|(_, value)| value.split(',').map(str::to_owned).collect())
        };
        crate::settings::resolve(flag, |_| None).unwrap()
    }

    fn refused(said: &[(&str, &str)]) -> String {
        Plan::of(&settings(said)).unwrap_err().to_string()
    }

    #[test]
    fn the_settings_choose_one_source() {
        assert!(matches!(Plan::of(&settings(&[])), Ok(Plan::Plain)));
        assert!(matches!(Plan::of(&settings(&[("tls", "off")])), Ok(Plan::Plain)));
        assert!(matches!(Plan::of(&settings(&[("tls", "self-signed")])), Ok(Plan::SelfSigned)));
        let Ok(Plan::Files(files)) = Plan::of(&settings(&[("tls_cert", "c")])) else { panic!() };
        assert_eq!(files.key, files.cert);
        let both = &[("tls_cert", "c"), ("tls_key", "k")];
        let Ok(Plan::Files(files)) = Plan::of(&settings(both)) else { panic!() };
        assert_eq!(files.key, PathBuf::from("k"));
        assert!(matches!(Plan::of(&settings(&[("acme_domain", "a.test")])), Ok(Plan::Acme(_))));
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        assert!(refused(&[("tls_key", "k")]).contains("without tls_cert"));
        let two = refused(&[("tls_cert", "c"), ("acme_domain", "a.test")]);
        assert!(two.contains("both set"), "{two}");
        assert!(refused(&[("tls", "off"), ("tls_cert", "c")]).contains("tls is off"));
        let two = refused(&[("tls", "self-signed"), ("acme_domain", "a.test")]);
        assert!(two.contains("tls is self-signed"), "{two}");
    }

    #[test]
    fn plaintext_stays_on_the_machine_unless_it_is_allowed() {
        let plain = settings(&[]);
        for fine in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            Plan::Plain.check_address(fine.parse().unwrap(), &plain).unwrap();
        }
        for open in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[2001:db8::1]:1"] {
            let open = open.parse().unwrap();
            let refused = Plan::Plain.check_address(open, &plain).unwrap_err().to_string();
            for named in ["tls_cert", "acme_domain", "self-signed", "allow_plaintext"] {
                assert!(refused.contains(named), "{refused}");
            }
            let allowed = settings(&[("allow_plaintext", "true")]);
            Plan::Plain.check_address(open, &allowed).unwrap();
            Plan::SelfSigned.check_address(open, &plain).unwrap();
        }
    }
}
