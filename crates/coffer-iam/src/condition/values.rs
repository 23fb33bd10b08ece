//! Values that conditions compare: numbers, dates, truth values, bytes, addresses.

use std::cmp::Ordering;
use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// A decimal number, exact.
#[derive(Clone, Debug)]
pub(crate) struct Number {
    negative: bool,
    /// Digits without leading zeros.
    whole: String,
    /// Digits without trailing zeros.
    fraction: String,
}

impl Number {
    fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }

    fn cmp_magnitude(&self, other: &Number) -> Ordering {
        let whole = self.whole.len().cmp(&other.whole.len());
        whole.then_with(|| self.whole.cmp(&other.whole)).then(self.fraction.cmp(&other.fraction))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        let negative = |n: &Number| n.negative && !n.is_zero();
        Some(match (negative(self), negative(other)) {
            (false, false) => self.cmp_magnitude(other),
            (true, true) => other.cmp_magnitude(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        })
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

/// Reads `-12`, `3.50`.
pub(crate) fn number(text: &str) -> Option<Number> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole = whole.trim_start_matches('0').to_owned();
    Some(Number { negative, whole, fraction: fraction.trim_end_matches('0').to_owned() })
}

/// Reads `true` or `false`, ignoring case.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Reads base64 with its padding.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

/// Reads the forms of a date that W3C's profile of ISO 8601 has, or seconds since the Unix epoch:
/// milliseconds since the epoch.
pub(crate) fn date_ms(text: &str) -> Option<i64> {
    if let Some(ms) = usual_date_ms(text.as_bytes()) {
        return Some(ms);
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() != 4 && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() {
        return text.parse::<i64>().ok()?.checked_mul(1000);
    }
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut fields = date.split('-');
    let year = field(fields.next()?, 4)?;
    let month = fields.next().map_or(Some(1), |m| field(m, 2))?;
    let day = fields.next().map_or(Some(1), |d| field(d, 2))?;
    if fields.next().is_some() {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=12).contains(&month) || !(1..=month_days).contains(&day) {
        return None;
    }
    let in_day_ms = match time {
        // With a time, the date is whole.
        Some(time) if date.len() == 10 => time_ms(time)?,
        Some(_) => return None,
        None => 0,
    };
    Some(days_from_1970(year, month, day) * 86_400_000 + in_day_ms)
}

/// The same of `2020-04-01T12:00:00Z` and `2020-04-01T12:00:00.000Z`, the forms that requests have,
/// without a detour; `None` for whatever is not so or needs a second look.
fn usual_date_ms(text: &[u8]) -> Option<i64> {
    let millis_at = match text {
        [.., b'Z'] if text.len() == 20 => None,
        [.., b'Z'] if text.len() == 24 && text[19] == b'.' => Some(20),
        _ => return None,
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| text[*at] != *mark) {
        return None;
    }
    let number = |at: usize, digits: usize| {
        text[at..at + digits].iter().try_fold(0_i64, |n, byte| {
            byte.is_ascii_digit().then(|| n * 10 + i64::from(byte - b'0'))
        })
    };
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let millis = millis_at.map_or(Some(0), |at| number(at, 3))?;
    // Days that only some months have are looked at twice.
    let fits = (1..=12).contains(&month)
        && (1..=28).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    fits.then(|| {
        days_from_1970(year, month, day) * 86_400_000
            + ((hour * 60 + minute) * 60 + second) * 1000
            + millis
    })
}

/// Reads `hh:mm`, `hh:mm:ss`, `hh:mm:ss.sss`, each with `Z` or an offset.
fn time_ms(text: &str) -> Option<i64> {
    let (clock, offset_minutes) = if let Some(clock) = text.strip_suffix('Z') {
        (clock, 0)
    } else {
        let at = text.rfind(['+', '-'])?;
        let (hours, minutes) = text[at + 1..].split_once(':')?;
        let minutes = field(hours, 2)? * 60 + field(minutes, 2)?;
        (&text[..at], if text[at..].starts_with('-') { -minutes } else { minutes })
    };
    let mut fields = clock.split(':');
    let hour = field(fields.next()?, 2)?;
    let minute = field(fields.next()?, 2)?;
    let (second, fraction) = match fields.next() {
        None => ("00", "0"),
        Some(second) => second.split_once('.').unwrap_or((second, "0")),
    };
    let second = field(second, 2)?;
    let decimals = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    if fields.next().is_some() || hour > 23 || minute > 59 || second > 59 || !decimals {
        return None;
    }
    let millis = field(&format!("{fraction:0<3}")[..3], 3)?;
    Some(((hour * 60 + minute - offset_minutes) * 60 + second) * 1000 + millis)
}

fn field(text: &str, digits: usize) -> Option<i64> {
    let fits = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

/// Days of the Gregorian calendar, years counted from March so that the leap day is the last.
fn days_from_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = (month + 9) % 12;
    let in_year = (153 * from_march + 2) / 5 + day - 1;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + in_year - 719_468
}

/// An address; one of IPv4 that is written as IPv6 is the same.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cidr {
    network: IpAddr,
    prefix_bits: u32,
}

impl Cidr {
    /// Reads `203.0.113.0/24`, `2001:db8::/32`, or one address. A range of IPv4 addresses in IPv6
    /// is that of IPv4, as a request's address is; one that holds others as well is none.
    pub(crate) fn read(text: &str) -> Option<Cidr> {
        let (address_text, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let network: IpAddr = address_text.parse().ok()?;
        let width = if network.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            None => width,
            Some(bits) => {
                let fits = bits.len() <= 3 && bits.bytes().all(|b| b.is_ascii_digit());
                if fits { bits.parse().ok()? } else { return None }
            }
        };
        if prefix_bits > width {
            return None;
        }
        match network {
            IpAddr::V6(v6) if let Some(v4) = v6.to_ipv4_mapped() => {
                let prefix_bits = u32::checked_sub(prefix_bits, 96)?;
                Some(Cidr { network: v4.into(), prefix_bits })
            }
            _ => Some(Cidr { network, prefix_bits }),
        }
    }

    /// Whether the address is in it.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        let shifted =
            |bits: u128, width: u32| bits.checked_shr(width - self.prefix_bits).unwrap_or(0);
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let (network, address) = (u32::from(network).into(), u32::from(address).into());
                shifted(network, 32) == shifted(address, 32)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                shifted(network.into(), 128) == shifted(address.into(), 128)
            }
            _ => false,
        }
    }

    /// Whether S3 counts it as everyone: wider than /8 of IPv4 or /32 of IPv6. No such range is
    /// within the private ones, wherever it begins.
    pub(crate) fn is_wide(&self) -> bool {
        match self.network {
            IpAddr::V4(_) => self.prefix_bits < 8,
            IpAddr::V6(_) => self.prefix_bits < 32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_exactly() {
        let n = |text: &str| number(text).unwrap();
        for (less, more) in [
            ("0", "1"),
            ("9", "10"),
            ("-10", "-9"),
            ("-1", "0"),
            ("1.05", "1.5"),
            ("1.5", "1.50001"),
            ("9007199254740992", "9007199254740993"),
            ("-0.1", "0.1"),
        ] {
            assert!(n(less) < n(more) && n(more) > n(less), "{less} {more}");
        }
        for (a, b) in [("1", "1.0"), ("-0", "0"), ("007", "7"), ("+3", "3"), ("0.10", "0.1")] {
            assert!(n(a) == n(b), "{a} {b}");
        }
        for wrong in ["", "-", ".", "1.", ".5", "1e3", "0x1", "1,0", " 1", "NaN", "∞"] {
            assert!(number(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn dates_have_several_forms() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970", 0),
            ("1970-01", 0),
            ("1970-01-02", 86_400_000),
            ("1970-01-01T01:00Z", 3_600_000),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1969-12-31T23:00:00-01:00", 0),
            ("2000-02-29T12:34:56.789Z", 951_827_696_789),
            ("2013-05-24T00:00:00Z", 1_369_353_600_000),
            ("1369353600", 1_369_353_600_000),
            ("0", 0),
            ("-1", -1000),
        ] {
            assert_eq!(date_ms(text), Some(ms), "{text}");
        }
        for wrong in [
            "",
            "x",
            "2001-02-29",
            "2000-13-01",
            "2000-00-01",
            "2000-1-1",
            "2000-01-01T",
            "2000-01-01T24:00Z",
            "2000-01-01T00:00:00",
            "2000-01T00:00Z",
            "2000-01-01T00:00:00.Z",
            "2000-01-01T00:00:00é",
            "99999999999999999999",
            "2000-01-01T00:00:00+é:00",
        ] {
            assert_eq!(date_ms(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_usual_forms_are_read_the_same_both_ways() {
        for day in ["2026-01-28", "1999-12-01", "1970-01-01", "2000-02-28"] {
            for time in ["00:00:00", "23:59:59", "12:34:56"] {
                let short = format!("{day}T{time}Z");
                let read = usual_date_ms(short.as_bytes());
                assert_eq!(read, date_ms(&format!("{day}T{time}+00:00")), "{short}");
                let long = format!("{day}T{time}.789Z");
                assert_eq!(usual_date_ms(long.as_bytes()), read.map(|ms| ms + 789), "{long}");
            }
        }
        for wrong in ["2026-01-28T24:00:00Z", "2026-13-28T00:00:00Z", "2026-01-28T00:00:00,000Z"] {
            assert_eq!(date_ms(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ranges_of_addresses() {
        let has = |range: &str, a: &str| Cidr::read(range).unwrap().has(address(a).unwrap());
        assert!(has("203.0.113.0/24", "203.0.113.255") && !has("203.0.113.0/24", "203.0.114.0"));
        assert!(has("203.0.113.7", "203.0.113.7") && !has("203.0.113.7", "203.0.113.6"));
        assert!(has("203.0.113.9/24", "203.0.113.7"), "bits of the host don't count");
        assert!(has("0.0.0.0/0", "203.0.113.7") && !has("0.0.0.0/0", "2001:db8::1"));
        assert!(has("203.0.113.0/24", "::ffff:203.0.113.7"), "IPv4 in IPv6");
        assert!(has("2001:db8::/32", "2001:db8:1::1") && !has("2001:db8::/32", "2001:db9::1"));
        assert!(has("::/0", "2001:db8::1"));
        assert!(has("::ffff:203.0.113.0/120", "203.0.113.9"), "IPv4 in IPv6, in the policy");
        assert!(!has("::ffff:203.0.113.0/120", "203.0.114.9"));
        let wrong = ["", "1.2.3", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/+1", "::/129", "a/8"];
        for wrong in wrong.into_iter().chain(["1.2.3.4/8/8", "::ffff:1.2.3.4/95"]) {
            assert!(Cidr::read(wrong).is_none(), "{wrong:?}");
        }
        let wide = ["0.0.0.0/1", "::/0", "10.0.0.0/7", "10.0.0.0/0", "172.16.0.0/1"];
        let narrow = ["8.0.0.0/8", "10.0.0.0/8", "2001:db8::/32"];
        let ranges = wide.map(|range| (range, true)).into_iter();
        for (range, wide) in ranges.chain(narrow.map(|range| (range, false))) {
            assert_eq!(Cidr::read(range).unwrap().is_wide(), wide, "{range}");
        }
    }
}
