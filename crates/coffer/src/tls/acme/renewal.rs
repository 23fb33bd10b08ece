//! When a certificate is renewed, and what happens when that fails.

use std::time::Duration;

use coffer_base::{Rng, Timestamp};
use coffer_http::Certificate;

use crate::tls::Shown;

/// A certificate is renewed when so much of its time is over.
const RENEW_AT_PART: f64 = 2.0 / 3.0;
/// How often that is looked at.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(3600);
/// After a failure; doubled after each further one. Servers allow few failures an hour.
const PAUSE: Duration = Duration::from_secs(120);
const PAUSE_MAX: Duration = Duration::from_secs(12 * 3600);

/// For how long `certificate` need not be renewed.
fn fresh_for(certificate: &Certificate, now: Timestamp) -> Duration {
    let validity = certificate.validity;
    let whole_secs = (validity.until_secs - validity.from_secs) as f64;
    let renew_secs = validity.from_secs as f64 + whole_secs * RENEW_AT_PART;
    let left_secs = renew_secs - now.0 as f64 / 1000.0;
    Duration::try_from_secs_f64(left_secs).unwrap_or_default()
}

/// When the next certificate is ordered.
pub(super) struct Renewal {
    /// After the next failure.
    pause: Duration,
    /// What is shown is from the server, and not something that only stands in for it.
    ordered: bool,
}

impl Renewal {
    /// Before anything was ordered.
    pub(super) fn new(shown: &Shown) -> Renewal {
        Renewal { pause: PAUSE, ordered: !shown.stands_in }
    }

    /// How long to wait before asking this again; `None`: one is to be ordered now.
    pub(super) fn wait(&self, shown: &Shown, now: Timestamp) -> Option<Duration> {
        let due = match shown.certificates.shown() {
            Some(certificate) if self.ordered => fresh_for(&certificate, now),
            _ => Duration::ZERO,
        };
        // In steps, since clocks are set and machines sleep.
        (!due.is_zero()).then(|| due.min(LOOK_EVERY_MAX))
    }

    /// Shows what was ordered; when that failed with a reason, what is shown stays. How long to
    /// wait before anything else.
    pub(super) fn ended(
        &mut self,
        shown: &Shown,
        result: Result<Certificate, String>,
        now: Timestamp,
        rng: &dyn Rng,
    ) -> Duration {
        let failure = match result {
            Ok(certificate) => {
                let is_fresh = !fresh_for(&certificate, now).is_zero();
                shown.take(certificate);
                self.ordered = true;
                if is_fresh {
                    self.pause = PAUSE;
                    return Duration::ZERO;
                }
                "the server gave a certificate that is about to expire, or a clock is wrong".into()
            }
            Err(why) => why,
        };
        shown.refuse(failure);
        // Others that failed at the same time come back at other times.
        let jitter = rng.below(1000) as f64 / 1000.0;
        let pause = self.pause.mul_f64(1.0 + jitter / 4.0);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        pause
    }
}

#[cfg(test)]
mod tests;
