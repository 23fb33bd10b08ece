//! A second checker: it tries every choice of unknown operations and every order, and shares no
//! code with the first. It works forwards: what would the answer be?

use std::collections::BTreeSet;

/// A request on the only key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Put(u8, If),
    Delete(If),
    Complete(u8, If),
    Abort(u8),
    Get,
    List,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum If {
    Nothing,
    None,
    Match(u8),
    Any,
}

/// The answer; of a read, what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    Failed,
    Missing,
    Ended,
    Found(Option<u8>),
}

/// A request as a client saw it; no answer: its outcome is unknown.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub begin: u64,
    /// For an unknown one: until when it may happen.
    pub end: u64,
    pub ask: Ask,
    pub answer: Option<Answer>,
}

/// ETags below this are those of puts; above it, of uploads.
pub const UPLOADS_FROM: u8 = 100;

/// The object and the uploads that ended.
#[derive(Clone, Debug, Default)]
pub struct Object {
    etag: Option<u8>,
    ended: BTreeSet<u8>,
}

impl Object {
    /// Carries a request out, and answers it.
    pub fn answer(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Get | Ask::List => Answer::Found(self.etag),
            Ask::Put(etag, when) => self.write(Some(etag), when),
            Ask::Delete(when) => self.write(None, when),
            Ask::Complete(upload, when) => {
                let etag = Some(UPLOADS_FROM + upload);
                if self.ended.contains(&upload) {
                    return if self.etag == etag { Answer::Done } else { Answer::Ended };
                }
                let answer = self.write(etag, when);
                if answer == Answer::Done {
                    self.ended.insert(upload);
                }
                answer
            }
            Ask::Abort(upload) if self.ended.insert(upload) => Answer::Done,
            Ask::Abort(_) => Answer::Ended,
        }
    }

    fn write(&mut self, etag: Option<u8>, when: If) -> Answer {
        let refused = match (when, self.etag) {
            (If::Nothing, _) | (If::None, None) | (If::Any, Some(_)) => None,
            (If::None, Some(_)) => Some(Answer::Failed),
            (If::Any | If::Match(_), None) => Some(Answer::Missing),
            (If::Match(wanted), Some(etag)) if wanted == etag => None,
            (If::Match(_), Some(_)) => Some(Answer::Failed),
        };
        refused.unwrap_or_else(|| {
            self.etag = etag;
            Answer::Done
        })
    }
}

/// Whether any order explains the history.
pub fn is_linearisable(history: &[Seen]) -> bool {
    let unknown: Vec<usize> = (0..history.len()).filter(|i| history[*i].answer.is_none()).collect();
    (0..1u32 << unknown.len()).any(|choice| {
        let left: Vec<Seen> = (0..history.len())
            .filter(|i| {
                let place = unknown.iter().position(|u| u == i);
                place.is_none_or(|place| choice >> place & 1 == 1)
            })
            .map(|i| history[i])
            .collect();
        some_order(&Object::default(), &left)
    })
}

fn some_order(object: &Object, left: &[Seen]) -> bool {
    left.is_empty()
        || (0..left.len()).any(|i| {
            let next = left[i];
            if left.iter().any(|other| other.end < next.begin) {
                return false;
            }
            let mut after = object.clone();
            let answer = after.answer(next.ask);
            if next.answer.is_some_and(|seen| seen != answer) {
                return false;
            }
            let rest: Vec<Seen> =
                left.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, seen)| *seen).collect();
            some_order(&after, &rest)
        })
}
