//! What one object does, one request after the other: the sequential specification.
//!
//! The state is the version that is there, if any, and which uploads have ended. S3's rules:
//!
//! - A write without a condition always succeeds. `If-None-Match: *` succeeds if there is no
//!   object, `If-Match` if there is one with that ETag; else nothing changes, and the answer is
//!   "precondition failed", or "not found" where a wanted object does not exist.
//! - A delete without a condition succeeds, whether there is an object or not.
//! - An upload is completed once. Asked again, the answer is as before while the object is the
//!   one it made, whatever the condition says; else there is no such upload. An aborted upload
//!   is never completed.
//! - A read sees the whole of the version that is there.
//!
//! A request with an unknown outcome, where it takes effect, does what it does when it succeeds.

use super::record::Outcome;

/// A version of the key, or none (0).
pub type VersionId = u32;
/// There is no object.
pub const ABSENT: VersionId = 0;
/// An upload of the key.
pub type UploadId = u32;
/// A text, known by number: an ETag or a digest.
pub type TextId = u32;

/// What a version is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// Its ETag.
    pub etag: TextId,
    /// The digest of its bytes.
    pub body: TextId,
    /// How many bytes.
    pub size: u64,
    /// The upload that made it.
    pub upload: Option<UploadId>,
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State {
    /// The current version.
    pub version: VersionId,
    /// Uploads that ended, in order; those that nobody asks for any more are left out.
    pub ended: Vec<UploadId>,
}

/// The condition of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// None.
    Always,
    /// There is no object.
    Absent,
    /// There is one.
    Present,
    /// There is one with this ETag.
    Matches(TextId),
}

/// What is asked of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Write this version; also the copy onto this key.
    Write(VersionId, Condition),
    /// Delete the object.
    Remove(Condition),
    /// Make this version of an upload.
    Complete(UploadId, VersionId, Condition),
    /// End an upload without an object.
    Abort(UploadId),
    /// Read, and find this, or nothing.
    Read(Option<Seen>),
    /// Be the source of a copy that wants this ETag. Its outcome is that of the copy.
    Source(TextId),
}

/// What a read saw; what is `None` it did not look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// The ETag.
    pub etag: TextId,
    /// The digest of the bytes.
    pub body: Option<TextId>,
    /// How many bytes.
    pub size: Option<u64>,
}

/// What an operation does in a state in which it can have had its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Stays,
    /// This is there afterwards.
    Becomes(State),
}

/// Carries out one operation; `None` if it can't have had this outcome in this state.
pub fn step(versions: &[Version], state: &State, call: Call, outcome: Outcome) -> Option<Step> {
    let at = At { current: current(versions, state), state };
    match call {
        Call::Read(seen) => at.read(seen).then_some(Step::Stays),
        Call::Source(etag) => at.source(etag, outcome).then_some(Step::Stays),
        Call::Write(version, condition) => at.write(version, condition, outcome),
        Call::Remove(condition) => at.write(ABSENT, condition, outcome),
        Call::Complete(upload, version, condition) => {
            at.complete(upload, version, condition, outcome)
        }
        Call::Abort(upload) => match (at.has_ended(upload), outcome) {
            (false, Outcome::Done | Outcome::Unknown) => Some(Step::Becomes(at.ending(upload))),
            (true, Outcome::NoSuchUpload) => Some(Step::Stays),
            _ => None,
        },
    }
}

/// The version with this number; they are counted from one.
pub fn current<'a>(versions: &'a [Version], state: &State) -> Option<&'a Version> {
    (state.version != ABSENT).then(|| &versions[state.version as usize - 1])
}

struct At<'a> {
    current: Option<&'a Version>,
    state: &'a State,
}

impl At<'_> {
    fn read(&self, seen: Option<Seen>) -> bool {
        match (self.current, seen) {
            (None, None) => true,
            (Some(version), Some(seen)) => {
                version.etag == seen.etag
                    && seen.body.is_none_or(|body| body == version.body)
                    && seen.size.is_none_or(|size| size == version.size)
            }
            _ => false,
        }
    }

    fn source(&self, wanted: TextId, outcome: Outcome) -> bool {
        match (self.current, outcome) {
            (Some(version), Outcome::Done) => version.etag == wanted,
            (Some(version), Outcome::PreconditionFailed) => version.etag != wanted,
            (None, Outcome::NotFound) => true,
            _ => false,
        }
    }

    /// The outcome of a write with this condition now.
    fn decide(&self, condition: Condition) -> Outcome {
        match (condition, self.current) {
            (Condition::Always, _) | (Condition::Absent, None) | (Condition::Present, Some(_)) => {
                Outcome::Done
            }
            (Condition::Absent, Some(_)) => Outcome::PreconditionFailed,
            (Condition::Present | Condition::Matches(_), None) => Outcome::NotFound,
            (Condition::Matches(etag), Some(version)) if version.etag == etag => Outcome::Done,
            (Condition::Matches(_), Some(_)) => Outcome::PreconditionFailed,
        }
    }

    fn write(&self, version: VersionId, condition: Condition, outcome: Outcome) -> Option<Step> {
        let decided = self.decide(condition);
        match (decided, outcome) {
            (Outcome::Done, Outcome::Done | Outcome::Unknown) => Some(self.becomes(version)),
            _ => (decided == outcome).then_some(Step::Stays),
        }
    }

    fn complete(
        &self,
        upload: UploadId,
        version: VersionId,
        condition: Condition,
        outcome: Outcome,
    ) -> Option<Step> {
        if self.has_ended(upload) {
            let is_its_object = self.state.version == version;
            return match outcome {
                Outcome::Done => is_its_object.then_some(Step::Stays),
                Outcome::NoSuchUpload => (!is_its_object).then_some(Step::Stays),
                _ => None,
            };
        }
        let decided = self.decide(condition);
        match (decided, outcome) {
            (Outcome::Done, Outcome::Done | Outcome::Unknown) => {
                Some(Step::Becomes(State { version, ..self.ending(upload) }))
            }
            _ => (decided == outcome).then_some(Step::Stays),
        }
    }

    fn has_ended(&self, upload: UploadId) -> bool {
        self.state.ended.binary_search(&upload).is_ok()
    }

    fn ending(&self, upload: UploadId) -> State {
        let mut state = self.state.clone();
        if let Err(place) = state.ended.binary_search(&upload) {
            state.ended.insert(place, upload);
        }
        state
    }

    fn becomes(&self, version: VersionId) -> Step {
        if version == self.state.version {
            return Step::Stays;
        }
        Step::Becomes(State { version, ended: self.state.ended.clone() })
    }
}
