//! Records split into the operations on each key.
//!
//! A copy is a read of its source and a write of its destination; the two have moments of their
//! own. A page of a listing is a read of every key in its range: of those it shows, that they
//! have that ETag; of those it does not show, that they do not exist. Its range is what lies
//! behind the key it began after, up to its last entry if it says that there is more, else to the
//! end of the prefix.

use std::collections::{BTreeMap, HashMap};

use super::record::{Action, Entry, Found, Outcome, Record, Value, When};
use super::register::{Call, Condition, Seen, TextId, UploadId, Version, VersionId};

/// One operation on one key.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// When it began.
    pub invoke_ns: u64,
    /// When it ended; of one with an unknown outcome, after which it can't take effect.
    pub end_ns: u64,
    /// What was asked.
    pub call: Call,
    /// What came of it.
    pub outcome: Outcome,
    /// Whether it is an entry of a listing, or the lack of one.
    pub listed: bool,
    /// Who asked.
    pub client: u32,
    /// Which file, and which line in it, from one.
    pub place: (u16, u32),
}

impl Operation {
    /// Whether it may not have happened.
    pub fn is_optional(&self) -> bool {
        self.outcome == Outcome::Unknown
    }

    /// Whether it changes nothing, in any state.
    pub fn is_pure(&self) -> bool {
        matches!(self.call, Call::Read(_) | Call::Source(_))
            || !matches!(self.outcome, Outcome::Done | Outcome::Unknown)
    }

    /// The upload it is about.
    pub fn upload(&self) -> Option<UploadId> {
        match self.call {
            Call::Complete(upload, ..) | Call::Abort(upload) => Some(upload),
            _ => None,
        }
    }
}

/// All that a history says of one key.
#[derive(Debug, Default)]
pub struct Key {
    /// What was asked of it, in the order of the records.
    pub operations: Vec<Operation>,
    /// What it may hold: version `n` is at `n - 1`.
    pub versions: Vec<Version>,
    version_ids: HashMap<Version, VersionId>,
    upload_ids: HashMap<String, UploadId>,
}

impl Key {
    /// All operations.
    pub fn all(&self) -> Vec<&Operation> {
        self.operations.iter().collect()
    }

    fn upload(&mut self, name: &str) -> UploadId {
        let next = self.upload_ids.len() as UploadId;
        *self.upload_ids.entry(name.to_owned()).or_insert(next)
    }

    fn version(&mut self, version: Version) -> VersionId {
        let next = self.versions.len() as VersionId + 1;
        let id = *self.version_ids.entry(version).or_insert(next);
        if id == next {
            self.versions.push(version);
        }
        id
    }
}

/// Texts by number.
#[derive(Debug, Default)]
pub struct Texts {
    ids: HashMap<String, TextId>,
    names: Vec<String>,
}

impl Texts {
    fn id(&mut self, text: &str) -> TextId {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = self.names.len() as TextId;
        self.ids.insert(text.to_owned(), id);
        self.names.push(text.to_owned());
        id
    }

    /// The text with this number.
    pub fn name(&self, id: TextId) -> &str {
        &self.names[id as usize]
    }
}

/// A page of a listing.
#[derive(Debug)]
struct Page {
    base: Operation,
    prefix: TextId,
    after: Option<TextId>,
    truncated: bool,
    /// Keys and what is said of them.
    entries: Vec<(TextId, Seen)>,
}

/// A history, key by key.
#[derive(Debug, Default)]
pub struct Collected {
    /// Each key with what was asked of it alone.
    pub keys: BTreeMap<String, Key>,
    /// The pages that listings can have. Once all records are in, those that speak of keys after
    /// the ones taken out only, the next one at the end.
    pages: Vec<Page>,
    /// Pages that may speak of the next key.
    open_pages: Vec<Page>,
    /// ETags and digests.
    pub texts: Texts,
    /// How many records there were.
    pub records: usize,
    /// How many of them have an unknown outcome.
    pub unknown: usize,
    /// The first moment of all.
    pub start_ns: u64,
    /// Pages that no listing has: keys out of order, twice, or out of range.
    pub broken_pages: Vec<String>,
    /// The files, as they were named.
    pub files: Vec<String>,
}

/// Takes records in, in any order.
#[derive(Debug, Default)]
pub struct Collector {
    collected: Collected,
}

impl Collector {
    /// The records from now on are of this file.
    pub fn begin_file(&mut self, name: &str) {
        self.collected.files.push(name.to_owned());
    }

    /// Takes in one record, of this line of the file.
    pub fn add(&mut self, line: u32, record: &Record) {
        let collected = &mut self.collected;
        if collected.records == 0 || record.invoke_ns < collected.start_ns {
            collected.start_ns = record.invoke_ns;
        }
        collected.records += 1;
        collected.unknown += usize::from(record.outcome == Outcome::Unknown);
        let base = Operation {
            invoke_ns: record.invoke_ns,
            end_ns: record.return_ns.or(record.until_ns).unwrap_or(u64::MAX),
            call: Call::Read(None),
            outcome: record.outcome,
            listed: false,
            client: record.client,
            place: (collected.files.len().saturating_sub(1) as u16, line),
        };
        self.act(base, &record.action);
    }

    fn act(&mut self, base: Operation, action: &Action) {
        let answered = base.outcome != Outcome::Unknown;
        match action {
            Action::Put { key, value, when } => {
                let condition = self.condition(when);
                let version = self.version(key, value, None);
                self.push(key, Operation { call: Call::Write(version, condition), ..base });
            }
            Action::Delete { key, when } => {
                let condition = self.condition(when);
                self.push(key, Operation { call: Call::Remove(condition), ..base });
            }
            Action::Get { key, found } => {
                let call = Call::Read(found.as_ref().map(|found| self.seen(found)));
                // A read that was not answered says nothing.
                if answered {
                    self.push(key, Operation { call, ..base });
                }
            }
            Action::Copy { key, source, source_etag, value } => {
                let etag = self.collected.texts.id(source_etag);
                let version = self.version(key, value, None);
                if answered {
                    self.push(source, Operation { call: Call::Source(etag), ..base });
                }
                if matches!(base.outcome, Outcome::Done | Outcome::Unknown) {
                    let call = Call::Write(version, Condition::Always);
                    self.push(key, Operation { call, ..base });
                }
            }
            Action::Complete { key, upload, value, when } => {
                let condition = self.condition(when);
                let upload = self.key(key).upload(upload);
                let version = self.version(key, value, Some(upload));
                let call = Call::Complete(upload, version, condition);
                self.push(key, Operation { call, ..base });
            }
            Action::Abort { key, upload } => {
                let upload = self.key(key).upload(upload);
                self.push(key, Operation { call: Call::Abort(upload), ..base });
            }
            Action::List { prefix, after, truncated, entries } => {
                if answered {
                    let after = after.as_deref();
                    match broken(prefix, after, *truncated, entries) {
                        None => self.page(base, (prefix, after, *truncated), entries),
                        Some(why) => self.broken_page(base, &why),
                    }
                }
            }
        }
    }

    /// The history, when all records are in.
    pub fn finish(mut self) -> Collected {
        let Collected { pages, texts, .. } = &mut self.collected;
        pages.sort_by(|a, b| b.start(texts).cmp(a.start(texts)));
        self.collected
    }

    fn page(&mut self, base: Operation, asked: (&str, Option<&str>, bool), shown: &[Entry]) {
        for entry in shown {
            // Keys that only listings know are keys, too.
            self.key(&entry.key);
        }
        let (prefix, after, truncated) = asked;
        let texts = &mut self.collected.texts;
        let (prefix, after) = (texts.id(prefix), after.map(|after| texts.id(after)));
        let entries = shown.iter().map(|e| (texts.id(&e.key), seen(texts, &e.found))).collect();
        self.collected.pages.push(Page { base, prefix, after, truncated, entries });
    }

    fn broken_page(&mut self, base: Operation, why: &str) {
        let (file, line) = base.place;
        let file = self.collected.files.get(usize::from(file));
        let file = file.map_or("history", String::as_str);
        let client = base.client;
        self.collected
            .broken_pages
            .push(format!("BROKEN LISTING: {why} ({file}:{line}, client {client})"));
    }

    fn key(&mut self, name: &str) -> &mut Key {
        if !self.collected.keys.contains_key(name) {
            self.collected.keys.insert(name.to_owned(), Key::default());
        }
        self.collected.keys.get_mut(name).expect("it was inserted if it was not there")
    }

    fn push(&mut self, key: &str, operation: Operation) {
        self.key(key).operations.push(operation);
    }

    fn version(&mut self, key: &str, value: &Value, upload: Option<UploadId>) -> VersionId {
        let texts = &mut self.collected.texts;
        let (etag, body) = (texts.id(&value.etag), texts.id(&value.body));
        self.key(key).version(Version { etag, body, size: value.size, upload })
    }

    fn condition(&mut self, when: &When) -> Condition {
        match when.if_match.as_deref() {
            Some("*") => Condition::Present,
            Some(etag) => Condition::Matches(self.collected.texts.id(etag)),
            None if when.if_none_match => Condition::Absent,
            None => Condition::Always,
        }
    }

    fn seen(&mut self, found: &Found) -> Seen {
        seen(&mut self.collected.texts, found)
    }
}

fn seen(texts: &mut Texts, found: &Found) -> Seen {
    Seen {
        etag: texts.id(&found.etag),
        body: found.body.as_ref().map(|body| texts.id(body)),
        size: found.size,
    }
}

impl Collected {
    /// Takes out the next key, in their order, with what the pages of listings say of it.
    pub fn next_key(&mut self) -> Option<(String, Key)> {
        let (name, mut key) = self.keys.pop_first()?;
        let texts = &self.texts;
        while let Some(page) = self.pages.pop_if(|page| page.start(texts) <= name.as_str()) {
            self.open_pages.push(page);
        }
        self.open_pages.retain(|page| !page.is_before(texts, &name));
        key.operations.extend(self.open_pages.iter().filter_map(|page| page.read_of(texts, &name)));
        Some((name, key))
    }
}

impl Page {
    /// It speaks of no key before this.
    fn start<'a>(&self, texts: &'a Texts) -> &'a str {
        let prefix = texts.name(self.prefix);
        self.after.map_or(prefix, |after| prefix.max(texts.name(after)))
    }

    /// Whether it speaks neither of this key nor of any after it.
    fn is_before(&self, texts: &Texts, key: &str) -> bool {
        let prefix = texts.name(self.prefix);
        let last = self.entries.last().filter(|_| self.truncated);
        last.is_some_and(|(last, _)| texts.name(*last) < key)
            || (key > prefix && !key.starts_with(prefix))
    }

    /// What it says of a key, if anything.
    fn read_of(&self, texts: &Texts, key: &str) -> Option<Operation> {
        let last = self.entries.last().filter(|_| self.truncated).map(|(last, _)| *last);
        if !key.starts_with(texts.name(self.prefix))
            || self.after.is_some_and(|after| key <= texts.name(after))
            || last.is_some_and(|last| key > texts.name(last))
        {
            return None;
        }
        let place = self.entries.binary_search_by(|(entry, _)| texts.name(*entry).cmp(key));
        let call = Call::Read(place.ok().map(|place| self.entries[place].1));
        Some(Operation { call, listed: true, ..self.base })
    }
}

/// What no page of a listing may be, whatever the keys hold.
fn broken(prefix: &str, after: Option<&str>, truncated: bool, shown: &[Entry]) -> Option<String> {
    if truncated && shown.is_empty() {
        return Some("there is more, and nothing is shown".to_owned());
    }
    let mut last = after;
    for entry in shown {
        if !entry.key.starts_with(prefix) {
            return Some(format!("{:?} does not begin with {prefix:?}", entry.key));
        }
        if let Some(last) = last.filter(|last| entry.key.as_str() <= *last) {
            return Some(format!("{:?} comes after {last:?}", entry.key));
        }
        last = Some(&entry.key);
    }
    None
}
