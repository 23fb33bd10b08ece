//! The types of settings: how each is read from text.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::scheme::Erasure;

/// The shape of a setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One value; what `--help` calls it.
    One(&'static str),
    /// Any number of them, separated so in an environment variable.
    List { name: &'static str, separator: char },
    /// On or off.
    Switch,
}

impl Kind {
    pub(super) fn placeholder(self) -> &'static str {
        match self {
            Kind::One(name) | Kind::List { name, .. } => name,
            Kind::Switch => "BOOL",
        }
    }

    /// The values that an environment variable says.
    pub(super) fn split(self, text: &str) -> Vec<String> {
        match self {
            Kind::List { separator, .. } => text
                .split(separator)
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect(),
            Kind::One(_) | Kind::Switch => vec![text.to_owned()],
        }
    }
}

/// A type that a setting can have.
pub trait Value: Sized {
    /// Its shape.
    const KIND: Kind;
    /// Reads the texts; the error is what is wrong, in words.
    fn parse(values: &[String]) -> Result<Self, String>;
}

/// A type of one text.
pub trait Text: Sized {
    /// What `--help` calls it.
    const NAME: &'static str;
    /// Between several in an environment variable.
    const SEPARATOR: char = ',';
    /// Reads it.
    fn read(text: &str) -> Result<Self, String>;
}

fn one(values: &[String]) -> Result<&str, String> {
    match values {
        [value] => Ok(value),
        [] => Err("a value is needed".to_owned()),
        _ => Err(format!("one value is needed, not {}", values.len())),
    }
}

macro_rules! single {
    ($($type:ty),*) => {$(
        impl Value for $type {
            const KIND: Kind = Kind::One(<$type as Text>::NAME);
            fn parse(values: &[String]) -> Result<Self, String> {
                <$type as Text>::read(one(values)?)
            }
        }
    )*};
}

single!(String, Address, u64, u8, LogFormat, TlsMode);

impl<T: Text> Value for Option<T> {
    const KIND: Kind = Kind::One(T::NAME);
    fn parse(values: &[String]) -> Result<Self, String> {
        if values.is_empty() { Ok(None) } else { T::read(one(values)?).map(Some) }
    }
}

impl<T: Text> Value for Vec<T> {
    const KIND: Kind = Kind::List { name: T::NAME, separator: T::SEPARATOR };
    fn parse(values: &[String]) -> Result<Self, String> {
        values.iter().map(|value| T::read(value)).collect()
    }
}

impl Value for bool {
    const KIND: Kind = Kind::Switch;
    fn parse(values: &[String]) -> Result<Self, String> {
        match one(values)? {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            other => Err(format!("{other:?} is neither true nor false")),
        }
    }
}

impl Text for String {
    const NAME: &'static str = "TEXT";
    fn read(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" => Err("it is empty".to_owned()),
            _ => Ok(text.to_owned()),
        }
    }
}

impl Text for PathBuf {
    const NAME: &'static str = "PATH";
    const SEPARATOR: char = ':';
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("a path is empty".to_owned()),
            _ => Ok(PathBuf::from(text)),
        }
    }
}

impl Text for Erasure {
    const NAME: &'static str = "K+M";
    fn read(text: &str) -> Result<Self, String> {
        Erasure::parse(text)
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Text for $type {
            const NAME: &'static str = "NUMBER";
            fn read(text: &str) -> Result<Self, String> {
                text.parse()
                    .map_err(|_| format!("{text:?} is not a number from 0 to {}", <$type>::MAX))
            }
        }
    )*};
}

numbers!(u8, u64);

/// A host or an IP address, and a port. Port 0 takes a free one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// The addresses it stands for, by name resolution where it isn't an IP address.
    pub fn resolve(&self) -> std::io::Result<Vec<SocketAddr>> {
        use std::net::ToSocketAddrs;
        Ok(self.0.to_socket_addrs()?.collect())
    }
}

impl Address {
    /// What stands before the port, without the brackets of IPv6.
    pub fn host(&self) -> &str {
        let host = self.0.rsplit_once(':').map_or(&*self.0, |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Text for Address {
    const NAME: &'static str = "ADDR";
    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not HOST:PORT, such as 127.0.0.1:9000 or [::1]:9000");
        if text.parse::<SocketAddr>().is_ok() {
            return Ok(Address(text.to_owned()));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        if host.is_empty() || !host.chars().all(is_name) || port.parse::<u16>().is_err() {
            return Err(wrong());
        }
        Ok(Address(text.to_owned()))
    }
}

/// How a server logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON lines elsewhere.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Text for LogFormat {
    const NAME: &'static str = "FORMAT";
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(LogFormat::Auto),
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(format!("{text:?} is neither auto, text nor json")),
        }
    }
}

/// How the S3 port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// TLS if the settings say where a certificate is from, else plainly.
    Auto,
    /// TLS with a certificate that is made.
    SelfSigned,
    /// Plainly.
    Off,
}

impl Text for TlsMode {
    const NAME: &'static str = "MODE";
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(TlsMode::Auto),
            "self-signed" => Ok(TlsMode::SelfSigned),
            "off" => Ok(TlsMode::Off),
            _ => Err(format!("{text:?} is neither auto, self-signed nor off")),
        }
    }
}
