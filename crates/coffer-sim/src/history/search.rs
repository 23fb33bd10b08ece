//! Whether an order exists: Wing and Gong's search, done event by event as Lowe describes it.
//!
//! "Testing for linearizability", G. Lowe, Concurrency and Computation 29(4), 2017: walk through
//! the beginnings and ends of operations in time, and keep all *configurations* that are still
//! possible: what the object holds, and which of the operations under way had their moment
//! already. Only the end of an operation forces anything: configurations in which it had no
//! moment yet are extended by moments of operations under way, in any order, until it has one.
//! None left: there is no order, and what has been seen so far shows it. Where an operation with
//! unknown outcome ends, those in which it never happened stay, too.
//!
//! Three rules keep the configurations few; each keeps one that can do all that the others can:
//!
//! - An operation that never changes anything gets its moment as soon as it fits.
//! - Of two configurations that hold the same and differ in operations with unknown outcome only,
//!   the one that used fewer of them stays: it can use them later, or never.
//! - Equal ones are one.
//!
//! Operations that touch in time are taken as concurrent. With `n` operations on a key and `w`
//! writes under way at once, time is O(n · w² · 2^w) at worst and about O(n · w) in practice;
//! memory is the configurations, at most w · 2^w. Both are bounded: [`Limits`].

use std::collections::HashMap;

use super::collect::{Key, Operation};
use super::register::{State, Step, UploadId, step};

/// When the search is given up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Configurations looked at for one event.
    pub configurations: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { configurations: 1_000_000 }
    }
}

/// What the search found.
#[derive(Debug)]
pub struct Checked {
    /// Whether there is an order.
    pub verdict: Verdict,
    /// Most operations under way at once.
    pub overlap_max: usize,
    /// Most configurations kept at once.
    pub orders_max: usize,
}

/// Whether there is an order.
#[derive(Debug)]
pub enum Verdict {
    /// There is.
    Linearisable,
    /// There is none.
    Violated(Violation),
    /// It would take too much to find out.
    Undecided(String),
}

/// That there is no order, and the part that shows it.
#[derive(Clone, Debug)]
pub struct Violation {
    /// What the key may hold before the part.
    pub before: Vec<State>,
    /// The operations of the part, in the order of their beginnings; as places in what was
    /// searched.
    pub part: Vec<usize>,
    /// The one among them that can't have its answer.
    pub offending: usize,
}

/// Operations under way are known by the slots they have; as many as this.
const SLOTS: usize = 256;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Slots([u64; SLOTS / 64]);

impl Slots {
    fn with(mut self, slot: usize) -> Slots {
        self.0[slot / 64] |= 1 << (slot % 64);
        self
    }

    fn without(mut self, slot: usize) -> Slots {
        self.0[slot / 64] &= !(1 << (slot % 64));
        self
    }

    fn has(&self, slot: usize) -> bool {
        self.0[slot / 64] >> (slot % 64) & 1 == 1
    }

    fn is_within(&self, other: &Slots) -> bool {
        self.0.iter().zip(other.0).all(|(mine, theirs)| mine & !theirs == 0)
    }
}

/// What may be so: the state, and which operations under way had their moment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Configuration {
    state: State,
    /// Of those with an answer.
    answered: Slots,
    /// Of those with an unknown outcome.
    unknown: Slots,
}

/// Configurations, none of which can do all that another can.
#[derive(Default)]
struct Kept {
    by_state: HashMap<(State, Slots), Vec<Slots>>,
}

impl Kept {
    /// Whether it is new, and no other makes it superfluous.
    fn insert(&mut self, configuration: &Configuration) -> bool {
        let place = (configuration.state.clone(), configuration.answered);
        let unknowns = self.by_state.entry(place).or_default();
        if unknowns.iter().any(|unknown| unknown.is_within(&configuration.unknown)) {
            return false;
        }
        unknowns.retain(|unknown| !configuration.unknown.is_within(unknown));
        unknowns.push(configuration.unknown);
        true
    }

    fn into_list(self) -> Vec<Configuration> {
        let mut list = Vec::new();
        for ((state, answered), unknowns) in self.by_state {
            for unknown in unknowns {
                list.push(Configuration { state: state.clone(), answered, unknown });
            }
        }
        list
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// Before ends of the same moment: operations that touch are concurrent.
    Begin,
    End,
}

/// Searches for an order of these operations of a key that holds one of `before` at first.
pub fn search(before: &[State], key: &Key, operations: &[&Operation]) -> Checked {
    search_within(before, key, operations, Limits::default())
}

/// The same, with limits of one's own.
pub fn search_within(
    before: &[State],
    key: &Key,
    operations: &[&Operation],
    limits: Limits,
) -> Checked {
    Search::new(before, key, operations, limits).run()
}

struct Search<'a> {
    key: &'a Key,
    operations: &'a [&'a Operation],
    limits: Limits,
    configurations: Vec<Configuration>,
    /// Which operation has a slot.
    under_way: Vec<Option<usize>>,
    /// Slots in use.
    busy: Vec<usize>,
    /// How many operations of each upload have not ended.
    upload_uses: HashMap<UploadId, usize>,
    /// The last moment from which on the rest can be told without what was before: the states,
    /// the operations under way that had no moment yet, and how many operations had begun.
    narrow: (Vec<State>, Vec<usize>, usize),
    begun: Vec<usize>,
    overlap_max: usize,
    orders_max: usize,
}

impl<'a> Search<'a> {
    fn new(
        before: &[State],
        key: &'a Key,
        operations: &'a [&'a Operation],
        limits: Limits,
    ) -> Search<'a> {
        let configurations = before.iter().map(|state| Configuration {
            state: state.clone(),
            answered: Slots::default(),
            unknown: Slots::default(),
        });
        let mut upload_uses = HashMap::new();
        for upload in operations.iter().filter_map(|operation| operation.upload()) {
            *upload_uses.entry(upload).or_default() += 1;
        }
        Search {
            key,
            operations,
            limits,
            configurations: configurations.collect(),
            under_way: Vec::new(),
            busy: Vec::new(),
            upload_uses,
            narrow: (before.to_vec(), Vec::new(), 0),
            begun: Vec::new(),
            overlap_max: 0,
            orders_max: 0,
        }
    }

    fn run(mut self) -> Checked {
        let mut events = Vec::with_capacity(self.operations.len() * 2);
        for (i, operation) in self.operations.iter().enumerate() {
            events.push((operation.invoke_ns, Event::Begin, i));
            if operation.end_ns != u64::MAX {
                events.push((operation.end_ns, Event::End, i));
            }
        }
        events.sort_unstable();
        let mut verdict = Verdict::Linearisable;
        for (_, event, i) in events {
            let done = match event {
                Event::Begin => self.begin(i),
                Event::End => self.end(i),
            };
            if let Err(found) = done {
                verdict = found;
                break;
            }
        }
        Checked { verdict, overlap_max: self.overlap_max, orders_max: self.orders_max }
    }

    fn begin(&mut self, i: usize) -> Result<(), Verdict> {
        let free = self.under_way.iter().position(Option::is_none);
        let slot = free.unwrap_or_else(|| {
            self.under_way.push(None);
            self.under_way.len() - 1
        });
        if slot >= SLOTS {
            return Err(Verdict::Undecided(format!("more than {SLOTS} operations at once")));
        }
        self.under_way[slot] = Some(i);
        self.busy.push(slot);
        self.begun.push(i);
        self.overlap_max = self.overlap_max.max(self.busy.len());
        Ok(())
    }

    fn end(&mut self, i: usize) -> Result<(), Verdict> {
        let slot = self.under_way.iter().position(|other| *other == Some(i));
        let slot = slot.expect("an operation begins before it ends");
        if self.operations[i].is_optional() {
            // This was its last chance: it had its moment, or has it now, or never.
            let never = self.configurations.clone();
            self.give_moment(slot)?;
            let mut kept = Kept::default();
            for mut configuration in never.into_iter().chain(self.configurations.drain(..)) {
                configuration.unknown = configuration.unknown.without(slot);
                kept.insert(&configuration);
            }
            self.configurations = kept.into_list();
        } else {
            self.give_moment(slot)?;
            if self.configurations.is_empty() {
                return Err(Verdict::Violated(self.violation(i)));
            }
        }
        self.under_way[slot] = None;
        self.busy.retain(|other| *other != slot);
        self.forget_upload(i);
        self.orders_max = self.orders_max.max(self.configurations.len());
        self.note_if_narrow();
        Ok(())
    }

    /// Extends the configurations until the operation in `slot` had its moment in each, and takes
    /// the slot out of them.
    fn give_moment(&mut self, slot: usize) -> Result<(), Verdict> {
        let mut queue = std::mem::take(&mut self.configurations);
        queue.iter_mut().for_each(|configuration| self.settle(configuration));
        if let [only] = queue.as_mut_slice()
            && only.answered.has(slot)
        {
            // The common case: a read, alone.
            only.answered = only.answered.without(slot);
            self.configurations = queue;
            return Ok(());
        }
        let (mut seen, mut kept) = (Kept::default(), Kept::default());
        queue.retain(|configuration| seen.insert(configuration));
        let mut looked_at = 0;
        let mut next = 0;
        while next < queue.len() {
            let configuration = queue[next].clone();
            next += 1;
            looked_at += 1;
            if looked_at > self.limits.configurations {
                let limit = self.limits.configurations;
                return Err(Verdict::Undecided(format!("more than {limit} orders at once")));
            }
            if configuration.answered.has(slot) || configuration.unknown.has(slot) {
                let answered = configuration.answered.without(slot);
                let unknown = configuration.unknown.without(slot);
                kept.insert(&Configuration { answered, unknown, ..configuration });
                continue;
            }
            for &other in &self.busy {
                if let Some(mut after) = self.moment(&configuration, other) {
                    self.settle(&mut after);
                    if seen.insert(&after) {
                        queue.push(after);
                    }
                }
            }
        }
        self.configurations = kept.into_list();
        Ok(())
    }

    /// The configuration after the operation in `slot` had its moment.
    fn moment(&self, configuration: &Configuration, slot: usize) -> Option<Configuration> {
        if configuration.answered.has(slot) || configuration.unknown.has(slot) {
            return None;
        }
        let operation = self.operation(slot);
        let mut after = configuration.clone();
        match (self.step(configuration, operation)?, operation.is_optional()) {
            // As good as never.
            (Step::Stays, true) => return None,
            (Step::Stays, false) => after.answered = after.answered.with(slot),
            (Step::Becomes(state), true) => {
                after.state = state;
                after.unknown = after.unknown.with(slot);
            }
            (Step::Becomes(state), false) => {
                after.state = state;
                after.answered = after.answered.with(slot);
            }
        }
        Some(after)
    }

    /// Gives its moment to every operation under way that fits here and never changes anything.
    /// (One that changes nothing here, as a delete of nothing, may be needed later.)
    fn settle(&self, configuration: &mut Configuration) {
        for &slot in &self.busy {
            let operation = self.operation(slot);
            if operation.is_pure()
                && !configuration.answered.has(slot)
                && self.step(configuration, operation) == Some(Step::Stays)
            {
                configuration.answered = configuration.answered.with(slot);
            }
        }
    }

    fn operation(&self, slot: usize) -> &'a Operation {
        let i = self.under_way[slot].expect("a busy slot has an operation");
        self.operations[i]
    }

    fn step(&self, configuration: &Configuration, operation: &Operation) -> Option<Step> {
        step(&self.key.versions, &configuration.state, operation.call, operation.outcome)
    }

    /// An upload that nobody asks for any more need not be remembered.
    fn forget_upload(&mut self, i: usize) {
        let Some(upload) = self.operations[i].upload() else { return };
        let uses = self.upload_uses.get_mut(&upload).expect("all uploads were counted");
        *uses -= 1;
        if *uses == 0 {
            let mut kept = Kept::default();
            for mut configuration in std::mem::take(&mut self.configurations) {
                configuration.state.ended.retain(|ended| *ended != upload);
                kept.insert(&configuration);
            }
            self.configurations = kept.into_list();
        }
    }

    /// If all configurations agree on what had its moment, the rest stands for itself.
    fn note_if_narrow(&mut self) {
        let first = &self.configurations[0];
        let (answered, unknown) = (first.answered, first.unknown);
        if self.configurations.iter().any(|c| (c.answered, c.unknown) != (answered, unknown)) {
            return;
        }
        let (states, pending, begun) = &mut self.narrow;
        states.clear();
        states.extend(self.configurations.iter().map(|c| c.state.clone()));
        pending.clear();
        for slot in self.busy.iter().filter(|s| !answered.has(**s) && !unknown.has(**s)) {
            pending.extend(self.under_way[*slot]);
        }
        *begun = self.begun.len();
    }

    fn violation(&self, offending: usize) -> Violation {
        let (states, pending, begun) = &self.narrow;
        let mut part: Vec<usize> = pending.iter().chain(&self.begun[*begun..]).copied().collect();
        part.sort_by_key(|i| self.operations[*i].invoke_ns);
        let mut before = states.clone();
        before.sort();
        Violation { before, part, offending }
    }
}
