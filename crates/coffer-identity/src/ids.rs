//! Names that machines give: account numbers, unique ids, access keys, secrets, ARNs.

use std::fmt;

use coffer_base::Rng;
use ring::digest::{SHA256, digest};

#[cfg(test)]
mod tests;

/// The number of an account: 12 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub(crate) u64);

/// Below this all account numbers are.
const ACCOUNTS_END: u64 = 1_000_000_000_000;
/// Numbers that are made do not begin with a zero, which some tools drop.
const ACCOUNTS_BEGIN: u64 = 100_000_000_000;

impl AccountId {
    /// Reads 12 digits.
    pub fn parse(text: &str) -> Option<AccountId> {
        let digits = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok().map(AccountId)).flatten()
    }

    /// The number that follows from `text`, for the account that a store has from its beginning.
    pub fn derived(text: &str) -> AccountId {
        let hash = digest(&SHA256, text.as_bytes());
        let number = hash.as_ref().iter().take(8).fold(0, |n, b| n << 8 | u64::from(*b));
        AccountId::within(number)
    }

    /// A random one.
    pub(crate) fn random(rng: &dyn Rng) -> AccountId {
        AccountId::within(rng.next_u64())
    }

    fn within(number: u64) -> AccountId {
        AccountId(ACCOUNTS_BEGIN + number % (ACCOUNTS_END - ACCOUNTS_BEGIN))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}

/// What has a name in an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A person or a program with keys.
    User,
    /// Users that share policies.
    Group,
    /// Policies that others may take on for a time.
    Role,
    /// A managed policy.
    Policy,
    /// An issuer of OpenID Connect tokens.
    Provider,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [Kind::User, Kind::Group, Kind::Role, Kind::Policy, Kind::Provider];

    /// Its byte in rows and keys.
    pub(crate) fn tag(self) -> u8 {
        match self {
            Kind::User => b'u',
            Kind::Group => b'g',
            Kind::Role => b'r',
            Kind::Policy => b'p',
            Kind::Provider => b'o',
        }
    }

    pub(crate) fn of_tag(tag: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.tag() == tag)
    }

    /// What its unique ids begin with.
    fn id_prefix(self) -> &'static str {
        match self {
            Kind::User => "AIDA",
            Kind::Group => "AGPA",
            Kind::Role => "AROA",
            Kind::Policy => "ANPA",
            // AWS shows none for providers.
            Kind::Provider => "AOPA",
        }
    }

    /// The word in ARNs.
    pub(crate) fn in_arn(self) -> &'static str {
        match self {
            Kind::User => "user",
            Kind::Group => "group",
            Kind::Role => "role",
            Kind::Policy => "policy",
            Kind::Provider => "oidc-provider",
        }
    }
}

/// The ARN of what is called `name` under `path`, which begins and ends with a slash.
pub fn arn(account: AccountId, kind: Kind, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:{}{path}{name}", kind.in_arn())
}

/// Splits the ARN of an entity: account, kind, path, name. `None`: it is not one. The account of
/// what comes with Coffer is `None`.
pub fn parse_arn(arn: &str) -> Option<(Option<AccountId>, Kind, &str, &str)> {
    let rest = arn.strip_prefix("arn:aws:iam::")?;
    let (account, rest) = rest.split_once(':')?;
    let account = match account {
        "aws" => None,
        digits => Some(AccountId::parse(digits)?),
    };
    let slash = rest.find('/')?;
    let (word, rest) = rest.split_at(slash);
    let kind = Kind::ALL.into_iter().find(|kind| kind.in_arn() == word)?;
    if kind == Kind::Provider {
        // Its name is a URL and has slashes.
        let name = &rest[1..];
        return (!name.is_empty()).then_some((account, kind, "/", name));
    }
    let (path, name) = rest.split_at(rest.rfind('/')? + 1);
    (!name.is_empty()).then_some((account, kind, path, name))
}

const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A new unique id: four letters for the kind, 85 random bits.
pub(crate) fn random_id(rng: &dyn Rng, kind: Kind) -> String {
    draw(rng, kind.id_prefix(), BASE32, 17)
}

/// The unique id of a policy that comes with Coffer, the same in every store.
pub(crate) fn fixed_id(kind: Kind, name: &str) -> String {
    let hash = digest(&SHA256, name.as_bytes());
    let letter = |b: &u8| char::from(BASE32[usize::from(*b) % BASE32.len()]);
    format!("{}{}", kind.id_prefix(), hash.as_ref().iter().take(17).map(letter).collect::<String>())
}

/// What the access keys of sessions begin with.
pub(crate) const SESSION_KEY_PREFIX: &str = "ASIA";

/// A new access key: `AKIA` and 80 random bits.
pub fn random_access_key(rng: &dyn Rng) -> String {
    draw(rng, "AKIA", BASE32, 16)
}

/// A new access key of a session.
pub(crate) fn random_session_key(rng: &dyn Rng) -> String {
    draw(rng, SESSION_KEY_PREFIX, BASE32, 16)
}

/// A new secret: 40 of 64 characters, 240 random bits.
pub fn random_secret(rng: &dyn Rng) -> String {
    draw(rng, "", b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-", 40)
}

/// `prefix` and `count` characters of `alphabet`, whose length divides 256, so that all are
/// equally likely.
fn draw(rng: &dyn Rng, prefix: &str, alphabet: &[u8], count: usize) -> String {
    assert_eq!(256 % alphabet.len(), 0, "an alphabet of {} is not even", alphabet.len());
    let mut random = vec![0; count];
    rng.fill(&mut random);
    let letters = random.iter().map(|b| char::from(alphabet[usize::from(*b) % alphabet.len()]));
    prefix.chars().chain(letters).collect()
}
