//! What a person sees when a server is up.

use std::fmt::Write as _;
use std::path::Path;

use crate::credentials::{Credentials, Source};
use crate::settings::Origin;

/// What the banner tells.
pub struct Banner<'a> {
    /// `http://HOST:PORT` of S3, or `https://`.
    pub endpoint: &'a str,
    /// The certificate, with TLS.
    pub tls: Option<TlsLine<'a>>,
    /// The same of the admin port.
    pub admin: &'a str,
    /// Region of the store.
    pub region: &'a str,
    /// One line on drives and scheme.
    pub drives: &'a str,
    /// Root's keys.
    pub root: &'a Credentials,
    /// Where they are from.
    pub source: &'a Source,
}

/// What the banner tells of a certificate.
pub struct TlsLine<'a> {
    /// Where it is from.
    pub source: &'a str,
    /// SHA-256 of it.
    pub fingerprint: &'a str,
    /// The file that clients need to trust it, when nobody vouches for it.
    pub public_file: Option<&'a Path>,
}

impl Banner<'_> {
    /// The text, several lines, ending in an empty one.
    pub fn text(&self) -> String {
        let Banner { endpoint, tls, admin, region, drives, root, source } = self;
        let mut out = String::new();
        let mut line = |text: &str| {
            let _ = writeln!(out, "{text}");
        };
        line(&format!("Coffer {} on {drives}", env!("CARGO_PKG_VERSION")));
        line("");
        line(&format!("  S3          {endpoint}  (region {region})"));
        if let Some(tls) = tls {
            line(&format!("  TLS         {}", tls.source));
            line(&format!("              SHA-256 fingerprint {}", tls.fingerprint));
        }
        line(&format!("  Admin       {admin}/health  /ready  /metrics"));
        line(&format!("  Access key  {}", root.access_key));
        let access = quote(&root.access_key);
        let (access, secret) = match source {
            Source::Made(path) => {
                line(&format!("  Secret key  {}", root.secret_key));
                let file = path.display();
                line(&format!("              shown only this once, and kept in {file}"));
                (access, quote(&root.secret_key))
            }
            Source::File(path) => {
                line(&format!("  Secret key  in {}", path.display()));
                (access, secret_from_file(path))
            }
            Source::Settings(Origin::Variable(name)) => {
                line(&format!("  Secret key  as ${name} says"));
                (access, format!("\"${name}\""))
            }
            Source::Settings(origin) => {
                line(&format!("  Secret key  as set by the {origin}"));
                (access, "YOUR_SECRET_KEY".to_owned())
            }
        };
        line("");
        line("  To upload something, paste:");
        line("");
        line(&format!("    export AWS_ACCESS_KEY_ID={access} AWS_SECRET_ACCESS_KEY={secret} \\"));
        line(&format!("      AWS_DEFAULT_REGION={}", quote(region)));
        let trust = match tls.as_ref().and_then(|tls| tls.public_file) {
            Some(file) => format!(" --ca-bundle {}", quote(&file.display().to_string())),
            None => String::new(),
        };
        let aws = format!("aws --endpoint-url {endpoint}{trust}");
        line(&format!(
            "    {aws} s3 mb s3://demo && \
             echo hello | {aws} s3 cp - s3://demo/hello.txt"
        ));
        line("");
        line("  Ctrl-C stops.");
        line("");
        out
    }
}

/// A shell word that reads the secret from the file.
fn secret_from_file(path: &Path) -> String {
    let file = quote(&path.display().to_string());
    format!("\"$(sed -n 's/^secret_key = \"\\(.*\\)\"$/\\1/p' {file})\"")
}

/// `text` as one word of a shell.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banner(source: &Source) -> String {
        let root = Credentials { access_key: "KEY".into(), secret_key: "the-secret".into() };
        let banner = Banner {
            endpoint: "http://127.0.0.1:9000",
            tls: None,
            admin: "http://127.0.0.1:9001",
            region: "us-east-1",
            drives: "1 drive, 1+0",
            root: &root,
            source,
        };
        banner.text()
    }

    #[test]
    fn the_secret_is_shown_only_when_it_was_just_made() {
        assert!(banner(&Source::Made("d/credentials.toml".into())).contains("the-secret"));
        for source in [
            Source::File("d/credentials.toml".into()),
            Source::Settings(Origin::Variable("COFFER_ROOT_SECRET_KEY".into())),
            Source::Settings(Origin::Flag("--root-secret-key".into())),
        ] {
            assert!(!banner(&source).contains("the-secret"));
        }
    }

    #[test]
    fn a_certificate_is_shown_with_its_fingerprint() {
        let root = Credentials { access_key: "KEY".into(), secret_key: "the-secret".into() };
        let text = Banner {
            endpoint: "https://127.0.0.1:9000",
            tls: Some(TlsLine {
                source: "self-signed",
                fingerprint: "AA:BB",
                public_file: Some(Path::new("d/a b.crt")),
            }),
            admin: "http://127.0.0.1:9001",
            region: "us-east-1",
            drives: "1 drive, 1+0",
            root: &root,
            source: &Source::File("d/credentials.toml".into()),
        }
        .text();
        assert!(text.contains("SHA-256 fingerprint AA:BB"), "{text}");
        let pasted = "aws --endpoint-url https://127.0.0.1:9000 --ca-bundle 'd/a b.crt' s3 mb";
        assert!(text.contains(pasted), "{text}");
    }

    #[test]
    fn the_pasted_line_finds_the_secret_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("it's a file");
        std::fs::write(&path, "access_key = \"KEY\"\nsecret_key = \"the-secret\"\n").unwrap();
        let echo = format!("printf %s {}", secret_from_file(&path));
        let out = std::process::Command::new("sh").arg("-c").arg(echo).output().unwrap();
        assert_eq!(String::from_utf8(out.stdout).unwrap(), "the-secret");
    }
}
