//! A row on its way to the drives, while the next one is filled.

use std::io;
use std::sync::{Arc, Condvar, Mutex};

use coffer_base::AlignedBuf;
use coffer_base::drive::queue::Work;

use super::buffer::RowBuffer;
use super::lanes::{Lane, MemberFile, OpenSegment, reserve, take_out_failed};
use super::memory::RowSpace;
use super::row::RowPlace;
use crate::error::Error;
use crate::inner::Inner;

/// A row that is being written. When the last member is done, the lane goes back by itself, and
/// so does the row's memory if all is well.
pub(super) struct Writing {
    progress: Arc<Progress>,
    row: RowBuffer,
    segment: Arc<OpenSegment>,
    place: RowPlace,
    pub durably: bool,
}

/// What became of a row.
pub(super) enum Outcome {
    /// All members have it.
    Written(Arc<OpenSegment>, RowPlace),
    /// Drives failed and are out: write it to another lane.
    Elsewhere,
    /// It can't be written anywhere.
    Failed(Error),
}

struct Progress {
    inner: Arc<Inner>,
    state: Mutex<State>,
    ended: Condvar,
}

struct State {
    /// Members that are not done.
    left: usize,
    /// One a member; `None` until it is done. Shared with a write that a drive still has in hand
    /// though it was given up.
    done: Vec<Option<(Arc<AlignedBuf>, io::Result<()>)>>,
    /// The row's memory. Gone when the row has been written.
    space: Option<RowSpace>,
    lane: Option<Lane>,
    /// Set when all is done, the lane given back included.
    failure: Option<Result<(), Outcome>>,
}

impl Writing {
    pub fn start(
        inner: &Arc<Inner>,
        lane: Lane,
        mut row: RowBuffer,
        place: RowPlace,
        reserve_to: Option<u64>,
        durably: bool,
    ) -> Writing {
        let segment = lane.segment.clone();
        let cells = std::mem::take(&mut row.cells);
        let state = State {
            left: cells.len(),
            done: cells.iter().map(|_| None).collect(),
            space: row.space.take(),
            lane: Some(lane),
            failure: None,
        };
        let progress = Arc::new(Progress {
            inner: inner.clone(),
            state: Mutex::new(state),
            ended: Condvar::new(),
        });
        for (index, (file, cell)) in segment.files.iter().zip(cells).enumerate() {
            let (file, ending, cell) = (file.clone(), Ending(progress.clone()), Arc::new(cell));
            let written = cell.clone();
            let work = move || write_cell(&file, &written, place, reserve_to, durably);
            inner.set.queue(segment.members[index]).start(Work::Write, work, move |result| {
                let mut state = ending.0.state.lock().expect("no holder panics");
                state.done[index] = Some((cell, result));
                drop(state);
                drop(ending);
            });
        }
        Writing { progress, row, segment, place, durably }
    }

    /// Waits until all members are done; gives the row back, as it was if it was not written,
    /// hollow if it was.
    pub fn wait(mut self) -> (RowBuffer, Outcome) {
        let mut state = self.progress.state.lock().expect("no holder panics");
        let failure = loop {
            match state.failure.take() {
                Some(failure) => break failure,
                None => state = self.progress.ended.wait(state).expect("no holder panics"),
            }
        };
        let cells = state.done.drain(..).flatten().map(|(cell, _)| own(cell));
        self.row.cells = cells.collect();
        self.row.space = state.space.take();
        let outcome = match failure {
            Ok(()) => Outcome::Written(self.segment, self.place),
            Err(outcome) => outcome,
        };
        (self.row, outcome)
    }
}

/// The bytes of a cell for who goes on with them: a copy while a drive still has them in hand.
fn own(cell: Arc<AlignedBuf>) -> AlignedBuf {
    Arc::try_unwrap(cell).unwrap_or_else(|cell| {
        let mut copy = AlignedBuf::zeroed(cell.len());
        copy.copy_from_slice(&cell);
        copy
    })
}

fn write_cell(
    member: &MemberFile,
    cell: &AlignedBuf,
    place: RowPlace,
    reserve_to: Option<u64>,
    durably: bool,
) -> io::Result<()> {
    if let Some(len) = reserve_to {
        reserve(&*member.file, len)?;
    }
    let bytes = &cell[..place.stride() as usize];
    coffer_base::failpoint::pass("bulk.before-write");
    if durably {
        member.durably(|file| file.write_at(bytes, place.offset, true))?;
        coffer_base::failpoint::pass("bulk.written-durably");
    } else {
        member.file.write_at(bytes, place.offset, false)?;
        coffer_base::failpoint::pass("bulk.written");
    }
    Ok(())
}

/// Counts a member as done when dropped, so that a panicking job can't leave the writer waiting.
struct Ending(Arc<Progress>);

impl Drop for Ending {
    fn drop(&mut self) {
        let inner = &self.0.inner;
        let mut state = self.0.state.lock().expect("no holder panics");
        state.left -= 1;
        if state.left > 0 {
            return;
        }
        let mut lane = state.lane.take().expect("the last member gives it back");
        let mut failed = Vec::new();
        let mut panicked = false;
        for (member, done) in lane.segment.members.iter().zip(&mut state.done) {
            match done {
                None => panicked = true,
                Some((_, result)) => {
                    if let Err(e) = std::mem::replace(result, Ok(())) {
                        failed.push((*member, e));
                    }
                }
            }
        }
        if failed.is_empty() && !panicked {
            let cells = std::mem::take(&mut state.done).into_iter().flatten();
            if let Some(space) = state.space.take() {
                space.give_back(cells.map(|(cell, _)| own(cell)));
            }
        }
        drop(state);
        let failure = if panicked {
            Err(Outcome::Failed(Error::ReadOnly("a thread that wrote a row panicked".into())))
        } else if failed.is_empty() {
            Ok(())
        } else {
            Err(match take_out_failed(inner, failed) {
                Ok(()) => Outcome::Elsewhere,
                Err(error) => Outcome::Failed(error),
            })
        };
        if failure.is_err() {
            lane.fail();
        }
        inner.bulk.check_in(inner, lane);
        self.0.state.lock().expect("no holder panics").failure = Some(failure);
        self.0.ended.notify_one();
    }
}
