//! How large the objects of a load are.

use std::str::FromStr;

use super::options::parse_bytes;
use super::pattern::mix;

const LARGEST_LOGNORMAL_BYTES: f64 = (64u64 << 20) as f64;

/// A distribution of sizes, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Sizes {
    /// All alike.
    Fixed(u64),
    /// Any size from the first to the second, each as likely.
    Uniform(u64, u64),
    /// The logarithm is normal: the median, and sigma of the natural logarithm; at most 64 MiB.
    LogNormal(f64, f64),
    /// Sizes with weights.
    Weighted(Vec<(u64, u64)>),
}

impl Sizes {
    /// The size of object `index`: always the same for the same seed.
    pub fn of(&self, seed: u64, index: u64) -> u64 {
        let draw = mix(mix(seed ^ 0x5173_0f0b_1ec7_5a11).wrapping_add(index));
        match self {
            Sizes::Fixed(size) => *size,
            Sizes::Uniform(min, max) => min + draw % (max - min + 1),
            Sizes::LogNormal(median, sigma) => {
                // Box-Muller: two uniform numbers make a normal one.
                let radius = (-2.0 * (1.0 - unit(draw)).ln()).sqrt();
                let normal = radius * (std::f64::consts::TAU * unit(mix(draw))).cos();
                (median * (sigma * normal).exp()).clamp(1.0, LARGEST_LOGNORMAL_BYTES) as u64
            }
            Sizes::Weighted(list) => {
                let mut left = draw % list.iter().map(|(_, weight)| weight).sum::<u64>();
                for (size, weight) in list {
                    if left < *weight {
                        return *size;
                    }
                    left -= weight;
                }
                unreachable!("the draw is below the sum of the weights")
            }
        }
    }
}

/// A number in [0, 1) from 64 random bits.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("lognormal") {
            let mut fields = rest.split(':');
            if fields.next() != Some("") {
                return Err(format!("`{text}` is no distribution"));
            }
            let median = fields.next().map_or(Ok(16 << 10), parse_bytes)?;
            let sigma = fields.next().map_or(Ok(2.0), |s| {
                s.parse().map_err(|_| format!("`{s}` is no number for sigma"))
            })?;
            if fields.next().is_some() || median == 0 || !(0.0..=10.0).contains(&sigma) {
                return Err("written lognormal[:MEDIAN[:SIGMA]], sigma from 0 to 10".to_owned());
            }
            return Ok(Sizes::LogNormal(median as f64, sigma));
        }
        if text.contains(':') {
            let mut list = Vec::new();
            for entry in text.split(',') {
                let (size, weight) = entry
                    .split_once(':')
                    .ok_or_else(|| format!("`{entry}` lacks a weight (size:weight)"))?;
                let weight: u32 =
                    weight.trim().parse().map_err(|_| format!("`{weight}` is no weight"))?;
                list.push((parse_bytes(size)?, u64::from(weight)));
            }
            if list.iter().all(|(_, weight)| *weight == 0) {
                return Err("all weights are 0".to_owned());
            }
            return Ok(Sizes::Weighted(list));
        }
        match text.split_once('-') {
            None => parse_bytes(text).map(Sizes::Fixed),
            Some((min, max)) => {
                let (min, max) = (parse_bytes(min)?, parse_bytes(max)?);
                if min > max {
                    return Err(format!("`{text}`: the smaller size comes first"));
                }
                Ok(Sizes::Uniform(min, max))
            }
        }
    }
}

impl std::fmt::Display for Sizes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Sizes::Fixed(size) => write!(f, "{}", written(*size)),
            Sizes::Uniform(min, max) => write!(f, "{}-{}", written(*min), written(*max)),
            Sizes::LogNormal(median, sigma) => {
                write!(f, "lognormal:{}:{sigma}", written(*median as u64))
            }
            Sizes::Weighted(list) => {
                for (i, (size, weight)) in list.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{weight}", written(*size))?;
                }
                Ok(())
            }
        }
    }
}

/// `bytes` in the largest unit that leaves no remainder.
fn written(bytes: u64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes > 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_back() {
        for text in ["4KiB", "0B", "1KiB-1MiB", "lognormal:64KiB:1.5", "4KiB:70,1MiB:30"] {
            assert_eq!(text.parse::<Sizes>().unwrap().to_string(), text);
        }
        assert_eq!("lognormal".parse(), Ok(Sizes::LogNormal(16384.0, 2.0)));
        for wrong in [
            "",
            "x",
            "2KiB-1KiB",
            "lognormalx",
            "lognormal:0",
            "lognormal:1KiB:-1",
            "lognormal:1KiB:NaN",
            "1KiB:0",
            "1KiB:1,2KiB",
            "1KiB:-1",
        ] {
            assert!(wrong.parse::<Sizes>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn drawn_sizes_follow_the_distribution_and_the_seed() {
        let of = |text: &str, n: u64| -> Vec<u64> {
            let sizes: Sizes = text.parse().unwrap();
            (0..n).map(|i| sizes.of(7, i)).collect()
        };
        assert!(of("1KiB-2KiB", 1000).iter().all(|s| (1024..=2048).contains(s)));
        let small = of("1B:70,2B:30", 10_000).iter().filter(|s| **s == 1).count();
        assert!((6500..7500).contains(&small), "{small}");
        let mut drawn = of("lognormal:64KiB:1", 10_001);
        drawn.sort_unstable();
        assert!((60_000..72_000).contains(&drawn[5000]), "median {}", drawn[5000]);
        assert_eq!(of("lognormal", 100), of("lognormal", 100));
    }
}
