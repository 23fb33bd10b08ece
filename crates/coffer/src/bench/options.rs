//! The flags of a load, and how sizes and times are written.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::sizes::Sizes;

/// What all loads have in common.
#[derive(Clone, Debug, clap::Args)]
pub struct Load {
    /// Where the server listens, as http://HOST:PORT.
    #[arg(long, default_value = "http://127.0.0.1:9000")]
    pub endpoint: String,
    /// Access key.
    #[arg(long, env = "AWS_ACCESS_KEY_ID")]
    pub access_key: String,
    /// Secret key.
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", hide_env_values = true)]
    pub secret_key: String,
    /// Region that requests are signed for.
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1")]
    pub region: String,
    /// Bucket; created if it is missing.
    #[arg(long, default_value = "coffer-bench")]
    pub bucket: String,
    /// Keys begin with this.
    #[arg(long, default_value = "bench/")]
    pub prefix: String,
    /// Size of the objects: 4KiB, 1KiB-1MiB (uniform), lognormal[:MEDIAN[:SIGMA]], or a list of
    /// size:weight such as 4KiB:70,1MiB:30.
    #[arg(long, default_value = "4KiB")]
    pub size: Sizes,
    /// Workers, each with one connection and one request at a time.
    #[arg(long, short = 'c', default_value_t = 16)]
    pub concurrency: usize,
    /// How long to run: 500ms, 10s, 2m. [default: 10s, unless --requests says when to end]
    #[arg(long, short = 'd', value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// How many requests (whole uploads with `multipart`) to send.
    #[arg(long, short = 'n')]
    pub requests: Option<u64>,
    /// How many objects to upload before the measured run (get, head, list, mixed, delete).
    #[arg(long, default_value_t = 1000)]
    pub objects: u64,
    /// Skips that upload: the objects are there from an earlier run with the same sizes and seed.
    #[arg(long)]
    pub no_prepare: bool,
    /// Number of the first object; another run's `put` can go on where one ended.
    #[arg(long, default_value_t = 0)]
    pub first: u64,
    /// Signs the hash of each body, or leaves bodies out of the signature.
    #[arg(long, value_enum, default_value_t = Payload::Signed)]
    pub payload: Payload,
    /// Size of a part (multipart).
    #[arg(long, default_value = "5MiB", value_parser = parse_bytes)]
    pub part_size: u64,
    /// Keys in a page (list, mixed).
    #[arg(long, default_value_t = 1000)]
    pub page: u32,
    /// Delimiter (list).
    #[arg(long)]
    pub delimiter: Option<String>,
    /// Asks for the first page again and again, instead of going on (list).
    #[arg(long)]
    pub first_page: bool,
    /// Bytes a second of uploaded bodies that all workers together don't exceed (put), as 200MB.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub rate: Option<u64>,
    /// Process id of the server, to measure its CPU time and memory.
    #[arg(long)]
    pub pid: Option<u32>,
    /// Writes the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Acknowledgement level of writes, sent as x-coffer-ack: all, quorum or primary.
    #[arg(long, value_parser = ["all", "quorum", "primary"])]
    pub ack: Option<String>,
    /// A header to send with each request, as "Name: value"; may be repeated.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    pub headers: Vec<(String, String)>,
    /// Seed of sizes, contents and choices.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Deletes the objects that the run wrote when it ends.
    #[arg(long)]
    pub clean: bool,
}

/// What a signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Payload {
    /// Headers and body.
    Signed,
    /// Headers only.
    Unsigned,
}

impl Payload {
    /// The word that flags and figures use.
    pub fn name(self) -> &'static str {
        match self {
            Payload::Signed => "signed",
            Payload::Unsigned => "unsigned",
        }
    }
}

/// Reads a count of bytes: 4096, 4KiB, 1.5MiB, 2GB.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| format!("`{text}` is no size"))?;
    let factor = match unit.trim() {
        "" | "B" => 1u64,
        "KiB" | "K" | "k" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        "GiB" | "G" => 1 << 30,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        other => {
            return Err(format!("`{other}` is no unit of size (B, KiB, MiB, GiB, kB, MB, GB)"));
        }
    };
    let bytes = number * factor as f64;
    if bytes.fract() != 0.0 || bytes > (1u64 << 50) as f64 {
        return Err(format!("`{text}` is no whole number of bytes below 1 PiB"));
    }
    Ok(bytes as u64)
}

/// Reads a length of time: 500ms, 10s, 2m, 1h, or bare seconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| format!("`{text}` is no length of time"))?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        other => return Err(format!("`{other}` is no unit of time (ms, s, m, h)")),
    };
    if seconds > 0.0 {
        Duration::try_from_secs_f64(seconds).map_err(|e| format!("`{text}`: {e}"))
    } else {
        Err("a run takes more than no time".to_owned())
    }
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is written \"Name: value\"")?;
    let name = http::HeaderName::try_from(name.trim()).map_err(|e| e.to_string())?;
    let value = value.trim();
    http::HeaderValue::try_from(value).map_err(|e| e.to_string())?;
    Ok((name.as_str().to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_with_their_units() {
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("4KiB"), Ok(4096));
        assert_eq!(parse_bytes("1.5 MiB"), Ok(3 << 19));
        assert_eq!(parse_bytes("2GB"), Ok(2_000_000_000));
        for wrong in ["", "KiB", "1.3B", "4Kib", "-1", "1e3", "9999999GiB", "1.2.3"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_read_with_their_units() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_duration("3"), Ok(Duration::from_secs(3)));
        for wrong in ["", "s", "0", "0s", "1d", "1.2.3s", "99999999999999999999h"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn headers_are_checked_where_they_are_written() {
        assert_eq!(parse_header("X-A: b c"), Ok(("x-a".to_owned(), "b c".to_owned())));
        assert!(parse_header("no colon").is_err());
        assert!(parse_header("bad name: x").is_err());
        assert!(parse_header("a: \u{7}").is_err());
    }
}
