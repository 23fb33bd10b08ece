//! The forms of a date: HTTP's (RFC 9110, 5.6.7), ISO 8601 as S3's XML has it, and the compact
//! ISO 8601 of SigV4. All UTC.

use coffer_base::Timestamp;

const DAY_SECONDS: u64 = 86_400;
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]; // from 1970-01-01
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment as a calendar has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Civil {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    millis: u64,
}

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: u64 = 719_468;

/// Days from 0000-03-01 to the first of March of `year`. Years are counted from March, so that
/// the leap day is the last of its year.
fn days_before_march(year: u64) -> u64 {
    year * 365 + year / 4 - year / 100 + year / 400
}

impl Civil {
    fn from_timestamp(at: Timestamp) -> Civil {
        let days = at.seconds() / DAY_SECONDS;
        let in_day = at.seconds() % DAY_SECONDS;
        // Year from March: start from an estimate that is never too small.
        let from_zero = days + DAYS_TO_1970;
        let mut year = from_zero / 365;
        while days_before_march(year) > from_zero {
            year -= 1;
        }
        let in_year = from_zero - days_before_march(year);
        let from_march = (5 * in_year + 2) / 153;
        let day = in_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Civil {
            year: if month <= 2 { year + 1 } else { year },
            month,
            day,
            hour: in_day / 3600,
            minute: in_day / 60 % 60,
            second: in_day % 60,
            millis: at.0 % 1000,
        }
    }

    /// `None` when it isn't a moment between 1970 and 9999. A leap second counts as the next one.
    fn timestamp(self) -> Option<Timestamp> {
        let leap = self.year.is_multiple_of(4)
            && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let month_days = match self.month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let fits = (1970..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=month_days).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60
            && self.millis < 1000;
        if !fits {
            return None;
        }
        let (year, from_march) = if self.month <= 2 {
            (self.year - 1, self.month + 9)
        } else {
            (self.year, self.month - 3)
        };
        let in_year = (153 * from_march + 2) / 5 + self.day - 1;
        let days = (days_before_march(year) + in_year).checked_sub(DAYS_TO_1970)?;
        let seconds = days * DAY_SECONDS + self.hour * 3600 + self.minute * 60 + self.second;
        Some(Timestamp(seconds * 1000 + self.millis))
    }
}

/// Appends `n` in decimal with exactly `width` digits. Dates are written for every request, and
/// formatting them by `format!` was a tenth of what a small one cost.
fn push(out: &mut String, n: u64, width: u32) {
    for place in (0..width).rev() {
        out.push(char::from(b'0' + (n / 10_u64.pow(place) % 10) as u8));
    }
}

/// Appends `hour`, `minute` and `second`, parted by `between`.
fn push_clock(out: &mut String, at: &Civil, between: &str) {
    push(out, at.hour, 2);
    out.push_str(between);
    push(out, at.minute, 2);
    out.push_str(between);
    push(out, at.second, 2);
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn http_date(at: Timestamp) -> String {
    let civil = Civil::from_timestamp(at);
    let mut out = String::with_capacity("Sun, 06 Nov 1994 08:49:37 GMT".len());
    out.push_str(WEEKDAYS[(at.seconds() / DAY_SECONDS % 7) as usize]);
    out.push_str(", ");
    push(&mut out, civil.day, 2);
    out.push(' ');
    out.push_str(MONTHS[civil.month as usize - 1]);
    out.push(' ');
    push(&mut out, civil.year, 4);
    out.push(' ');
    push_clock(&mut out, &civil, ":");
    out.push_str(" GMT");
    out
}

/// `2009-10-12T17:50:30.000Z`.
pub fn iso8601(at: Timestamp) -> String {
    let civil = Civil::from_timestamp(at);
    let mut out = String::with_capacity("2009-10-12T17:50:30.000Z".len());
    push(&mut out, civil.year, 4);
    out.push('-');
    push(&mut out, civil.month, 2);
    out.push('-');
    push(&mut out, civil.day, 2);
    out.push('T');
    push_clock(&mut out, &civil, ":");
    out.push('.');
    push(&mut out, civil.millis, 3);
    out.push('Z');
    out
}

/// `20130524T000000Z`, the date of a SigV4 signature.
pub fn amz_date(at: Timestamp) -> String {
    let civil = Civil::from_timestamp(at);
    let mut out = String::with_capacity("20130524T000000Z".len());
    push(&mut out, civil.year, 4);
    push(&mut out, civil.month, 2);
    push(&mut out, civil.day, 2);
    out.push('T');
    push_clock(&mut out, &civil, "");
    out.push('Z');
    out
}

/// Reads any of the three forms that RFC 9110 asks recipients to accept.
pub fn parse_http_date(text: &str) -> Option<Timestamp> {
    let words: Vec<&str> = text.split([' ', '-']).filter(|w| !w.is_empty()).collect();
    let (year, month, day, clock) = match words[..] {
        // Sun Nov  6 08:49:37 1994
        [weekday, month, day, clock, year] if !weekday.ends_with(',') => {
            (digits(year, 4)?, month, digits(day, day.len().min(2))?, clock)
        }
        // Sunday, 06-Nov-94 08:49:37 GMT: a year that seems more than 50 years ahead is past.
        [_, day, month, year, clock, "GMT"] if year.len() == 2 => {
            let year = digits(year, 2)?;
            (if year < 70 { 2000 + year } else { 1900 + year }, month, digits(day, 2)?, clock)
        }
        // Sun, 06 Nov 1994 08:49:37 GMT
        [_, day, month, year, clock, "GMT" | "UTC" | "+0000"] => {
            (digits(year, 4)?, month, digits(day, day.len().min(2))?, clock)
        }
        _ => return None,
    };
    let month = MONTHS.iter().position(|m| *m == month)? as u64 + 1;
    let mut clock = clock.split(':');
    let (hour, minute, second) = (clock.next()?, clock.next()?, clock.next()?);
    if clock.next().is_some() {
        return None;
    }
    Civil {
        year,
        month,
        day,
        hour: digits(hour, 2)?,
        minute: digits(minute, 2)?,
        second: digits(second, 2)?,
        millis: 0,
    }
    .timestamp()
}

/// Reads `2009-10-12T17:50:30Z` with any number of decimals of a second.
pub fn parse_iso8601(text: &str) -> Option<Timestamp> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let (clock, decimals) = clock.split_once('.').unwrap_or((clock, "0"));
    if decimals.is_empty() || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let date: Vec<&str> = date.split('-').collect();
    let clock: Vec<&str> = clock.split(':').collect();
    let ([year, month, day], [hour, minute, second]) = (&date[..], &clock[..]) else {
        return None;
    };
    let millis = format!("{decimals:0<3}");
    Civil {
        year: digits(year, 4)?,
        month: digits(month, 2)?,
        day: digits(day, 2)?,
        hour: digits(hour, 2)?,
        minute: digits(minute, 2)?,
        second: digits(second, 2)?,
        millis: digits(&millis[..3], 3)?,
    }
    .timestamp()
}

/// Reads `20130524T000000Z`.
pub fn parse_amz_date(text: &str) -> Option<Timestamp> {
    let bytes_fit = text.len() == 16 && text.is_ascii();
    if !bytes_fit || &text[8..9] != "T" || &text[15..] != "Z" {
        return None;
    }
    Civil {
        year: digits(&text[..4], 4)?,
        month: digits(&text[4..6], 2)?,
        day: digits(&text[6..8], 2)?,
        hour: digits(&text[9..11], 2)?,
        minute: digits(&text[11..13], 2)?,
        second: digits(&text[13..15], 2)?,
        millis: 0,
    }
    .timestamp()
}

/// Exactly `n` decimal digits, at least one.
fn digits(text: &str, n: usize) -> Option<u64> {
    let fits = n > 0 && text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
