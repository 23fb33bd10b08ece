//! Every setting. One table below makes the flag, the environment variable, the key of the
//! settings file, the default and the typed field.
//!
//! Precedence: flag, then environment variable (`COFFER_` and the key in capitals; an empty one
//! counts as not set), then file, then default. The file is the one named by `--config` or
//! `COFFER_CONFIG`, else `coffer.toml` in the working directory if there is one.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::fault::Fault;

mod file;
mod scheme;
mod value;

#[cfg(test)]
mod tests;

pub use scheme::{Erasure, erasure_for};
pub use value::{Address, LogFormat, TlsMode};

use value::{Kind, Value};

/// Which commands take a setting as a flag. The environment and the file may always hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Commands that open a store, and `serve`.
    Store,
    /// `serve` alone.
    Serve,
}

/// What the table says of one setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its key in the file.
    pub key: &'static str,
    /// What it does, for `--help`.
    help: &'static str,
    /// What stands for it when nobody sets it; empty: nothing.
    default: &'static str,
    kind: Kind,
    scope: Scope,
    /// Given as the command's arguments, without a flag.
    positional: bool,
    /// Never shown.
    pub secret: bool,
    /// Not in `--help`.
    hidden: bool,
}

impl Setting {
    /// The environment variable.
    pub fn variable(&self) -> String {
        format!("COFFER_{}", self.key.to_uppercase())
    }

    /// The flag without its dashes.
    fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// `values` as the file would say them.
    pub fn in_toml(&self, values: &[String]) -> String {
        let text = |value: &String| toml::Value::String(value.clone()).to_string();
        match (self.kind, values) {
            (Kind::List { .. }, values) => {
                format!("[{}]", values.iter().map(text).collect::<Vec<_>>().join(", "))
            }
            (Kind::Switch, [value]) => bool::parse(std::slice::from_ref(value))
                .map_or_else(|_| text(value), |on| on.to_string()),
            (_, [value]) => match value.parse::<u64>() {
                Ok(number) if number.to_string() == *value => value.clone(),
                _ => text(value),
            },
            (_, values) => text(&values.join(" ")),
        }
    }

    fn arg(&self) -> Arg {
        let default = match self.default {
            "" => String::new(),
            default => format!(" [default: {default}]"),
        };
        let help = format!("{}{default} [env: {}]", self.help.trim(), self.variable());
        let arg = Arg::new(self.key).help(help);
        if self.positional {
            return arg.value_name("DIR").num_args(0..).action(ArgAction::Append);
        }
        let arg = arg.long(self.flag()).value_name(self.kind.placeholder()).hide(self.hidden);
        match self.kind {
            Kind::One(_) => arg.num_args(1).action(ArgAction::Set),
            Kind::List { .. } => arg.num_args(1).action(ArgAction::Append),
            Kind::Switch => arg
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .action(ArgAction::Set),
        }
    }
}

/// Where the effective value of a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of the settings file.
    File(PathBuf, usize),
    /// An environment variable.
    Variable(String),
    /// The command line.
    Flag(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path, line) => write!(f, "{} line {line}", path.display()),
            Origin::Variable(name) => write!(f, "environment {name}"),
            Origin::Flag(flag) => write!(f, "command line {flag}"),
        }
    }
}

/// An effective value as text, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// One text for a single value, none for one that isn't set, any number for a list.
    pub values: Vec<String>,
    /// Who said so.
    pub origin: Origin,
}

macro_rules! settings {
    ($($(#[doc = $help:literal])+ $key:ident: $type:ty = $default:literal
        in $scope:ident $(, $flag:ident)*;)*) => {
        /// The effective settings, checked.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $($(#[doc = $help])+ pub $key: $type,)*
            /// The same as text with their origins, in the order of [`TABLE`].
            pub effective: Vec<Effective>,
        }

        /// Every setting there is.
        pub const TABLE: &[Setting] = &[$(Setting {
            key: stringify!($key),
            help: concat!($($help),+),
            default: $default,
            kind: <$type as Value>::KIND,
            scope: Scope::$scope,
            positional: false $(|| settings!(@is positional $flag))*,
            secret: false $(|| settings!(@is secret $flag))*,
            hidden: false $(|| settings!(@is hidden $flag))*,
        },)*];

        impl Settings {
            fn check(effective: Vec<Effective>) -> Result<Settings, Fault> {
                let mut each = effective.iter();
                $(let $key = {
                    let this = each.next().expect("one for each of the table");
                    <$type as Value>::parse(&this.values).map_err(|what| {
                        Fault::Usage(format!("{}: {what} ({})", stringify!($key), this.origin))
                    })?
                };)*
                Ok(Settings { $($key,)* effective })
            }
        }
    };
    (@is positional positional) => { true };
    (@is secret secret) => { true };
    (@is hidden hidden) => { true };
    (@is $asked:ident $is:ident) => { false };
}

settings! {
    /// Data directories, each a drive of its own.
    data: Vec<PathBuf> = "./coffer-data" in Store, positional;
    /// Erasure scheme K+M when the store is made; by default the number of directories chooses.
    erasure: Option<Erasure> = "" in Store;
    /// Start although drives are missing; a majority must be there.
    degraded: bool = "false" in Store;
    /// For one start: fill empty directories in the places of missing, lost or fenced drives.
    replace: bool = "false" in Serve;
    /// Start even without a majority of the drives; what only the others know is lost for good.
    force: bool = "false" in Store;
    /// Where the index lives; by default "index" in the first data directory.
    index_dir: Option<PathBuf> = "" in Store;
    /// Address for S3; give it again for more.
    listen: Vec<Address> = "127.0.0.1:9000" in Serve;
    /// Address for health, readiness and metrics.
    admin_listen: Address = "127.0.0.1:9001" in Serve;
    /// How S3 is served: auto (TLS if tls_cert or acme_domain is set), self-signed (TLS with a certificate that is made once), off.
    tls: TlsMode = "auto" in Serve;
    /// File with the certificate chain, PEM; read again when it changes and on SIGHUP.
    tls_cert: Option<PathBuf> = "" in Serve;
    /// File with its private key, PEM; by default the same file.
    tls_key: Option<PathBuf> = "" in Serve;
    /// Serve S3 without TLS also where other machines reach it; whoever is on the way reads and changes everything.
    allow_plaintext: bool = "false" in Serve;
    /// Domain to get a certificate for from an ACME server, whose terms are thereby agreed to; give it again for more.
    acme_domain: Vec<String> = "" in Serve;
    /// Directory URL of the ACME server.
    acme_directory: String = "https://acme-v02.api.letsencrypt.org/directory" in Serve;
    /// Where the ACME server's operator may write to.
    acme_email: Option<String> = "" in Serve;
    /// File with the certificates to trust the ACME server by, PEM; by default the system's.
    acme_ca: Option<PathBuf> = "" in Serve;
    /// The region that buckets are in and that requests are signed for.
    region: String = "us-east-1" in Serve;
    /// Base domain of virtual-host addressing (BUCKET.DOMAIN); give it again for more.
    domain: Vec<String> = "" in Serve;
    /// Root's access key instead of the one in credentials.toml.
    root_access_key: Option<String> = "" in Serve;
    /// Root's secret key; rather set it in the environment, since others can see flags.
    root_secret_key: Option<String> = "" in Serve, secret;
    /// The file that holds the key of the secrets of users; by default secrets.key in each data directory.
    secrets_key_file: Option<PathBuf> = "" in Store;
    /// Ask identity providers also at addresses of this machine and of private networks.
    oidc_private_addresses: bool = "false" in Serve;
    /// Writes stop when fewer drives are live; by default the K of the erasure scheme.
    write_floor: Option<u8> = "" in Serve;
    /// A drive that does not answer for so long while others do is given up until the next start, in seconds.
    stall_limit_secs: u64 = "3" in Serve;
    /// How long requests under way may take to end after SIGTERM, in seconds.
    drain_secs: u64 = "10" in Serve;
    /// How much a search for silent damage in the background may read from all drives together, in MiB a second; 0: none is made.
    scrub_mib_per_sec: u64 = "16" in Serve;
    /// From the end of such a search to the beginning of the next, in seconds.
    scrub_pause_secs: u64 = "3600" in Serve;
    /// As scrub_mib_per_sec, while what a replaced drive lacks is rebuilt.
    rebuild_mib_per_sec: u64 = "256" in Serve;
    /// auto (text on a terminal, else json), text, or json.
    log_format: LogFormat = "auto" in Serve;
    /// What is logged: error, warn, info, debug, trace, or a filter such as info,coffer_log=debug.
    log_level: String = "info" in Serve;
    /// For tests: body bytes of a commit segment, so that segments fill within a few writes.
    test_segment_bytes: Option<u64> = "" in Store, hidden;
}

/// Adds the flags of all settings up to `scope`, and `--config`.
pub fn flags(command: Command, scope: Scope) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help("Settings file [default: coffer.toml if there is one] [env: COFFER_CONFIG]");
    command.arg(config).args(TABLE.iter().filter(|s| s.scope <= scope).map(Setting::arg))
}

/// Works out the effective settings from what the command line said.
pub fn from_matches(matches: &ArgMatches) -> Result<Settings, Fault> {
    let flag = |key: &str| -> Option<Vec<String>> {
        let values = matches.try_get_many::<String>(key).ok().flatten()?;
        let values: Vec<String> = values.cloned().collect();
        (!values.is_empty()).then_some(values)
    };
    resolve(flag, |name| std::env::var_os(name))
}

/// As [`from_matches`], with the sources as functions.
pub(crate) fn resolve(
    flag: impl Fn(&str) -> Option<Vec<String>>,
    variable: impl Fn(&str) -> Option<std::ffi::OsString>,
) -> Result<Settings, Fault> {
    let variable = |name: &str| match variable(name).map(std::ffi::OsString::into_string) {
        Some(Ok(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(Err(_)) => Err(Fault::Usage(format!("{name} is not UTF-8"))),
        None => Ok(None),
    };
    let named = match flag("config") {
        Some(path) => path.into_iter().next(),
        None => variable("COFFER_CONFIG")?,
    };
    let mut in_file = file::read(named.map(PathBuf::from))?;
    let mut effective = Vec::new();
    for setting in TABLE {
        let said = if let Some(values) = flag(setting.key) {
            let what = match setting.positional {
                true => "arguments".to_owned(),
                false => format!("--{}", setting.flag()),
            };
            Effective { values, origin: Origin::Flag(what) }
        } else if let Some(text) = variable(&setting.variable())? {
            let origin = Origin::Variable(setting.variable());
            Effective { values: setting.kind.split(&text), origin }
        } else if let Some(said) = in_file.remove(setting.key) {
            said
        } else {
            let values = match setting.default {
                "" => Vec::new(),
                default => vec![default.to_owned()],
            };
            Effective { values, origin: Origin::Default }
        };
        effective.push(said);
    }
    let settings = Settings::check(effective)?;
    if settings.data.is_empty() {
        return Err(Fault::Usage("data: name at least one directory".to_owned()));
    }
    if settings.listen.is_empty() {
        return Err(Fault::Usage("listen: name at least one address".to_owned()));
    }
    Ok(settings)
}

impl Settings {
    /// The erasure scheme that is asked for, or the one for the number of directories.
    pub fn scheme(&self) -> Result<Erasure, Fault> {
        let drives = self.data.len();
        match self.erasure {
            Some(erasure) if erasure.drives() == drives => Ok(erasure),
            Some(erasure) => Err(Fault::Usage(format!(
                "erasure {erasure} needs {} data directories, and there are {drives}",
                erasure.drives()
            ))),
            None => erasure_for(drives).ok_or_else(|| {
                Fault::Usage(format!("a store has 1 to 24 data directories, not {drives}"))
            }),
        }
    }

    /// The data directories, for messages.
    pub fn dirs(&self) -> String {
        let dirs: Vec<String> = self.data.iter().map(|dir| dir.display().to_string()).collect();
        dirs.join(", ")
    }
}
