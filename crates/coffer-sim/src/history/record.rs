//! A line of a history file: JSON, one request of one client.
//!
//! ```json
//! {"client":3,"invoke_ns":10,"return_ns":25,"outcome":"done","op":"put","key":"k",
//!  "value":{"etag":"e1","body":"h1","size":5},"when":{"if_none_match":true}}
//! ```
//!
//! All times are of one monotonic clock. A request whose outcome is unknown has no `return_ns`;
//! its `until_ns`, if it has one, is the moment after which it can't take effect any more, as
//! when the process that had it is dead.

use serde::Deserialize;

/// One request.
#[derive(Clone, Debug, Deserialize)]
pub struct Record {
    /// Which client, for people.
    pub client: u32,
    /// Just before it was sent.
    pub invoke_ns: u64,
    /// Just after its answer was there, whole.
    #[serde(default)]
    pub return_ns: Option<u64>,
    /// The last moment at which one without an answer may take effect.
    #[serde(default)]
    pub until_ns: Option<u64>,
    /// What came of it.
    pub outcome: Outcome,
    /// What was asked, and what a read saw.
    #[serde(flatten)]
    pub action: Action,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was carried out; a read that finds nothing is, too.
    Done,
    /// Refused, since its condition does not hold for the object that is there.
    PreconditionFailed,
    /// Refused, since its condition wants an object and there is none.
    NotFound,
    /// Refused, since the upload has ended.
    NoSuchUpload,
    /// No answer, or one that does not tell: it happened once or never.
    Unknown,
}

/// What was asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Action {
    /// An object is written.
    Put {
        /// Onto this key.
        key: String,
        /// These bytes.
        value: Value,
        /// On this condition.
        #[serde(default)]
        when: When,
    },
    /// An object is deleted.
    Delete {
        /// The one of this key.
        key: String,
        /// On this condition.
        #[serde(default)]
        when: When,
    },
    /// An object, or its head, is read.
    Get {
        /// The one of this key.
        key: String,
        /// What came back; nothing if there is no object.
        found: Option<Found>,
    },
    /// An object is copied, if its source has a certain ETag.
    Copy {
        /// Onto this key.
        key: String,
        /// From this one.
        source: String,
        /// The ETag the source has to have.
        source_etag: String,
        /// What is written then.
        value: Value,
    },
    /// An upload is completed, with always the same parts.
    Complete {
        /// Onto this key.
        key: String,
        /// Which upload.
        upload: String,
        /// The object it makes.
        value: Value,
        /// On this condition.
        #[serde(default)]
        when: When,
    },
    /// An upload is given up.
    Abort {
        /// Of this key.
        key: String,
        /// Which upload.
        upload: String,
    },
    /// A page of a listing without a delimiter.
    List {
        /// Only keys that begin so.
        #[serde(default)]
        prefix: String,
        /// Only keys behind this one.
        #[serde(default)]
        after: Option<String>,
        /// Whether the page says that there is more.
        truncated: bool,
        /// What it shows, in its order.
        entries: Vec<Entry>,
    },
}

/// The bytes of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
pub struct Value {
    /// Its ETag, without quotes.
    pub etag: String,
    /// A digest of all its bytes, whichever the recorder likes.
    pub body: String,
    /// How many bytes.
    pub size: u64,
}

/// What a read saw: of a head, or in a listing, no bytes.
#[derive(Clone, Debug, Deserialize)]
pub struct Found {
    /// The ETag, without quotes.
    pub etag: String,
    /// The digest of the bytes that came.
    #[serde(default)]
    pub body: Option<String>,
    /// How many bytes.
    #[serde(default)]
    pub size: Option<u64>,
}

/// A line of a listing.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// What is said of its object.
    #[serde(flatten)]
    pub found: Found,
}

/// The condition of a write.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// `If-None-Match: *`: there is no object.
    #[serde(default)]
    pub if_none_match: bool,
    /// `If-Match`: there is one with this ETag; `*`: with any.
    #[serde(default)]
    pub if_match: Option<String>,
}

impl Record {
    /// Reads a line, and refuses what makes no sense.
    pub fn parse(line: &str) -> Result<Record, String> {
        let record: Record = serde_json::from_str(line).map_err(|e| e.to_string())?;
        let unknown = record.outcome == Outcome::Unknown;
        if unknown && record.return_ns.is_some() {
            return Err("an unknown outcome has no return_ns".to_owned());
        }
        if !unknown && record.until_ns.is_some() {
            return Err("only an unknown outcome has until_ns".to_owned());
        }
        if !unknown && record.return_ns.is_none() {
            return Err("return_ns is missing".to_owned());
        }
        if record.return_ns.or(record.until_ns).is_some_and(|end| end < record.invoke_ns) {
            return Err("it ends before it begins".to_owned());
        }
        record.check_outcome()?;
        Ok(record)
    }

    /// Whether an outcome can be of such a request at all.
    fn check_outcome(&self) -> Result<(), String> {
        let conditional = |when: &When| {
            if when.if_none_match && when.if_match.is_some() {
                return Err("a write has one condition at most".to_owned());
            }
            Ok(when.if_none_match || when.if_match.is_some())
        };
        let fits = match (&self.action, self.outcome) {
            (_, Outcome::Done | Outcome::Unknown) => match &self.action {
                Action::Put { when, .. }
                | Action::Delete { when, .. }
                | Action::Complete { when, .. } => conditional(when).map(|_| true)?,
                _ => true,
            },
            (Action::Copy { .. }, outcome) => outcome != Outcome::NoSuchUpload,
            (Action::Put { when, .. }, outcome) => {
                conditional(when)? && outcome != Outcome::NoSuchUpload
            }
            (Action::Delete { when, .. }, outcome) => {
                conditional(when)? && outcome != Outcome::NoSuchUpload
            }
            (Action::Complete { when, .. }, outcome) => {
                conditional(when)? || outcome == Outcome::NoSuchUpload
            }
            (Action::Abort { .. }, outcome) => outcome == Outcome::NoSuchUpload,
            (Action::Get { .. } | Action::List { .. }, _) => false,
        };
        if fits { Ok(()) } else { Err(format!("{:?} is no outcome of this", self.outcome)) }
    }
}
