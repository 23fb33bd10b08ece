//! From when until when a certificate is valid, read from its DER (RFC 5280, 4.1): the one thing
//! of it that the server needs to know and the TLS library does not tell.

use coffer_base::Timestamp;

/// Seconds since 1970, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// `notBefore`.
    pub from_secs: i64,
    /// `notAfter`.
    pub until_secs: i64,
}

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT Version`, which is optional.
const VERSION: u8 = 0xa0;

impl Validity {
    /// Of a certificate in DER; `None` if it isn't one.
    pub fn of(certificate: &[u8]) -> Option<Validity> {
        let (certificate, _) = element(certificate, SEQUENCE)?;
        let (signed, _) = element(certificate, SEQUENCE)?;
        let rest = match signed.first()? {
            &VERSION => element(signed, VERSION)?.1,
            _ => signed,
        };
        // serialNumber, signature, issuer
        let (_, rest) = element(rest, 0x02)?;
        let (_, rest) = element(rest, SEQUENCE)?;
        let (_, rest) = element(rest, SEQUENCE)?;
        let (validity, _) = element(rest, SEQUENCE)?;
        let (from_secs, rest) = time(validity)?;
        let (until_secs, _) = time(rest)?;
        Some(Validity { from_secs, until_secs })
    }

    /// Whether it includes `now`.
    pub fn includes(&self, now: Timestamp) -> bool {
        let now = now.seconds() as i64;
        (self.from_secs..=self.until_secs).contains(&now)
    }

    /// How much of it is over at `now`: 0 before it begins, 1 when it has ended.
    pub fn part_over(&self, now: Timestamp) -> f64 {
        let whole = (self.until_secs - self.from_secs).max(1) as f64;
        ((now.seconds() as i64 - self.from_secs) as f64 / whole).clamp(0.0, 1.0)
    }
}

/// The content of the element of type `tag` that `bytes` begin with, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&len, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (len, rest) = match len {
        0..=0x7f => (usize::from(len), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(len & 0x7f))?;
            (digits.iter().fold(0, |len, &digit| len << 8 | usize::from(digit)), rest)
        }
        // Indefinite, or longer than a certificate is.
        _ => return None,
    };
    rest.split_at_checked(len)
}

/// The time that `bytes` begin with, and what follows it. The forms are fixed (RFC 5280,
/// 4.1.2.5): `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (text, rest) = match *bytes.first()? {
        UTC_TIME => element(bytes, UTC_TIME)?,
        _ => element(bytes, GENERALIZED_TIME)?,
    };
    let digits = text.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0'));
    let (year, digits) = match digits.len() {
        12 => match number(&digits[..2]) {
            year @ 50.. => (1900 + year, &digits[2..]),
            year => (2000 + year, &digits[2..]),
        },
        14 => (number(&digits[..4]), &digits[4..]),
        _ => return None,
    };
    let field = |at: usize| number(&digits[at..at + 2]);
    let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(field);
    let fits = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !fits {
        return None;
    }
    Some((days_of(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second, rest))
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, by counting years from March on, so
/// that the leap day is a year's last.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days_before_month = (153 * month + 2) / 5;
    365 * year + leap_days + days_before_month + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        for ((year, month, day), days) in [
            ((1970, 1, 1), 0),
            ((1970, 3, 1), 59),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
            ((2026, 11, 24), 20_781),
            ((1969, 12, 31), -1),
        ] {
            assert_eq!(days_of(year, month, day), days, "{year}-{month}-{day}");
        }
    }

    fn time_of(tag: u8, text: &str) -> Option<i64> {
        let bytes = [&[tag, text.len() as u8][..], text.as_bytes()].concat();
        time(&bytes).map(|(secs, _)| secs)
    }

    #[test]
    fn both_forms_of_a_time_are_read() {
        assert_eq!(time_of(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(time_of(UTC_TIME, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(time_of(UTC_TIME, "500101000000Z"), Some(-631_152_000));
        assert_eq!(time_of(GENERALIZED_TIME, "20260101000000Z"), Some(1_767_225_600));
        for wrong in ["", "Z", "7001010000Z", "700101000000", "701301000000Z", "70010100000aZ"] {
            assert_eq!(time_of(UTC_TIME, wrong), None, "{wrong}");
        }
        assert_eq!(time_of(0x04, "700101000000Z"), None);
    }

    #[test]
    fn garbage_is_no_certificate_and_no_panic() {
        let made = crate::self_signed::make(&["localhost".to_owned()], Timestamp(0)).unwrap();
        let certificate = crate::Certificate::from_pem(made.chain.as_bytes(), made.key.as_bytes());
        let der = certificate.unwrap().key.cert[0].to_vec();
        assert!(Validity::of(&der).is_some());
        for len in 0..der.len() {
            assert_eq!(Validity::of(&der[..len]), None);
        }
        for at in 0..der.len().min(200) {
            for flip in [1, 0x80, 0xff] {
                let mut broken = der.clone();
                broken[at] ^= flip;
                let _ = Validity::of(&broken);
            }
        }
    }
}
