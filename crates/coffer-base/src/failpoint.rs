//! Named points at which a test makes the process kill itself.
//!
//! [`pass`] stands wherever the state of durability changes. Without the cargo feature
//! `failpoints` it is nothing at all. With it, `COFFER_FAILPOINT=name` or `name:nth` makes the
//! process write the name to standard error and then end itself by SIGKILL when the point is
//! passed for the nth time: nothing is flushed, no destructor runs, as with `kill -9` from
//! outside, but at a known place.
//!
//! Each name stands in [`POINTS`] and in one place of the source; `cargo xtask tidy` compares.

/// Passes the point `name`, of [`POINTS`].
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn pass(_name: &'static str) {}

#[cfg(feature = "failpoints")]
pub use armed::{check, pass};

#[cfg(feature = "failpoints")]
mod armed {
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::POINTS;

    /// The variable that says where the process is to end.
    const VARIABLE: &str = "COFFER_FAILPOINT";

    #[derive(Debug)]
    struct Armed {
        name: String,
        /// How often it will still be passed, the last time included.
        left: AtomicU64,
    }

    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

    /// Passes the point `name`; if it is the one that the environment names, for the last time.
    pub fn pass(name: &'static str) {
        debug_assert!(POINTS.iter().any(|(known, _)| *known == name), "{name} is not in the table");
        let Some(armed) = ARMED.get_or_init(|| from_environment().unwrap_or(None)) else { return };
        if armed.name == name && armed.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            end(name);
        }
    }

    /// Refuses a variable that names no point.
    pub fn check() -> Result<(), String> {
        from_environment().map(|_| ())
    }

    fn from_environment() -> Result<Option<Armed>, String> {
        match std::env::var(VARIABLE) {
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(error) => Err(format!("{VARIABLE}: {error}")),
            Ok(text) => parse(&text).map(Some),
        }
    }

    fn parse(text: &str) -> Result<Armed, String> {
        let (name, nth) = match text.split_once(':') {
            None => (text, 1),
            Some((name, nth)) => {
                let nth = nth.parse().ok().filter(|nth| *nth > 0);
                (name, nth.ok_or_else(|| format!("{VARIABLE}={text}: which time?"))?)
            }
        };
        if !POINTS.iter().any(|(known, _)| *known == name) {
            return Err(format!("{VARIABLE}={text}: there is no such point"));
        }
        Ok(Armed { name: name.to_owned(), left: AtomicU64::new(nth) })
    }

    fn end(name: &str) -> ! {
        // One write, so that no line of another thread comes between. Whoever reads it notices
        // when it is not there.
        drop(std::io::stderr().write_all(format!("\nfailpoint {name}\n").as_bytes()));
        let own = rustix::process::getpid();
        let killed = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        panic!("SIGKILL to itself: {killed:?}");
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_point_is_named_with_the_time_it_counts() {
            let armed = parse("lane.synced:3").unwrap();
            assert_eq!((&*armed.name, armed.left.into_inner()), ("lane.synced", 3));
            assert_eq!(parse("lane.synced").unwrap().left.into_inner(), 1);
            for wrong in ["", "lane.synced:", "lane.synced:0", "lane.synced:-1", "no.such", "a:b"] {
                parse(wrong).unwrap_err();
            }
        }
    }
}

/// Every point, and what has just happened when it is passed.
#[cfg(any(test, feature = "failpoints"))]
pub const POINTS: &[(&str, &str)] = &[
    ("superblock.created", "a drive's new superblock file has its name in memory and no bytes"),
    ("superblock.new-written", "its bytes are written, not synced"),
    ("superblock.new-synced", "its bytes are durable, its name is not"),
    ("superblock.named", "the new superblock file is durable"),
    ("superblock.before-write", "the older of a drive's two superblocks is to be overwritten"),
    ("superblock.written", "it is overwritten, not synced"),
    ("superblock.synced", "it is durable"),
    ("format.drive", "a drive of a new set has its superblock of this pass"),
    ("format.done", "all drives of a new set have theirs"),
    ("supers.drive", "a change of the superblocks is on one drive more"),
    ("supers.recorded", "it is on all live drives"),
    ("recovery.superblocks", "a start has read all superblocks"),
    ("recovery.drive-scanned", "it has looked at the files of one drive more"),
    ("recovery.history", "it knows where history ends; nothing is changed yet"),
    ("recovery.bulk", "it has taken a bulk segment into the table and cut its files"),
    ("recovery.sealed", "it has sealed a segment that was open"),
    ("recovery.joined", "an empty drive says which place in the set it is to take"),
    ("recovery.recorded", "its epoch and end are on all live drives"),
    ("recovery.complete", "all live drives know that all have the epoch"),
    ("recovery.dead-removed", "it has removed a file that is not part of history"),
    ("recovery.done", "it has removed all of them"),
    ("copy.created", "a copy of the next segment has its name in memory"),
    ("copy.allocated", "its space is reserved"),
    ("copy.header", "its header is written"),
    ("copy.synced", "all of it is synced, its name is not durable"),
    ("copy.named", "its name is durable"),
    ("copy.removed", "a copy is removed, which is not durable"),
    ("lane.prepared", "the next segment is made"),
    ("lane.before-write", "a member is to write a group"),
    ("lane.synced", "one member has written and synced a group"),
    ("lane.submitted", "a group is queued on all members"),
    ("lane.wave", "as many members have synced it as its level asks for"),
    ("lane.committed", "the lane takes it as committed"),
    ("lane.roll-fresh", "a full segment is to be left, and the next one is there"),
    ("lane.roll-installed", "the next segment is the open one, the full one is not sealed"),
    ("lane.reform-recorded", "a drive that was taken out is recorded on the others"),
    ("lane.reform-sealed", "the segment that had it is sealed over the others"),
    ("lane.reform-installed", "a segment without it is the open one"),
    ("lane.settled", "it is recorded that drives that left are not needed any more"),
    ("lane.close-sealed", "a clean stop has sealed the open segment"),
    ("lane.closed", "a clean stop has given back what was reserved"),
    ("seal.temporaries", "the temporary files of all cells are created"),
    ("seal.stripe", "a stripe of all cells is written"),
    ("seal.before-header", "a cell is written but for its header"),
    ("seal.header", "its header is written"),
    ("seal.synced", "it is synced, still under its temporary name"),
    ("seal.encoded", "all cells are"),
    ("seal.read-back", "all of them read back right"),
    ("seal.renamed", "one has its name in memory; the copies are still there"),
    ("seal.named", "its name is durable"),
    ("seal.published", "readers use the cells, the copies are removed"),
    ("bulk.created", "a file of a new bulk segment has its name in memory"),
    ("bulk.header", "its header is written"),
    ("bulk.header-synced", "its header is durable, its name is not"),
    ("bulk.named", "its name is durable"),
    ("bulk.before-write", "a member is to write a cell"),
    ("bulk.written", "it has written the cell, not durably"),
    ("bulk.written-durably", "it has written the only cell of a payload durably"),
    ("bulk.synced", "one member has synced the cells of a payload"),
    ("bulk.finished", "all cells of a payload are durable, nothing names it"),
    ("bulk.trimmed", "a file that takes no more rows is cut to what it holds"),
    ("heal.before-write", "pages of a file are wrong, and what they must be is to be written"),
    ("heal.written", "they are written durably"),
    ("heal.read-back", "they read back right; nobody is told"),
    ("heal.file-created", "a file that was missing has its temporary name in memory"),
    ("heal.file-written", "a piece of it is written"),
    ("heal.file-synced", "it is synced, still under its temporary name"),
    ("heal.file-renamed", "it read back right and has its name in memory"),
    ("heal.file-named", "its name is durable"),
    ("heal.superblock-written", "a wrong superblock is written over, not synced"),
    ("heal.superblock-synced", "it is durable"),
    ("sequencer.plans", "the plans of a group have run"),
    ("sequencer.committed", "the group is durable and not in the index"),
    ("sequencer.applied", "it is in the index, nobody is answered"),
    ("sequencer.answered", "one of its callers is answered"),
    ("checkpoint.begun", "a checkpoint has its snapshot"),
    ("checkpoint.range", "a range of it is written"),
    ("checkpoint.ranges", "all its ranges are durable"),
    ("checkpoint.root", "its root is durable and named nowhere"),
    ("checkpoint.recorded", "its root is in the superblocks"),
    ("index.table-full", "a table in memory takes no more"),
    ("index.before-flush", "the index is to write its full tables"),
    ("index.flushed", "it has written them"),
    ("index.merged", "it has merged tables, the old ones are still there"),
    ("index.let-go", "it has moved readers to the newest files and freed the old ones"),
    ("index.persisted", "a clean stop has written all of the index"),
    ("index.wipe-renamed", "a damaged index has the name of an old one"),
    ("index.wiped", "it is removed, the mark of the damage is not"),
    ("rebuild.loaded", "a checkpoint is loaded into the empty index"),
    ("rebuild.batch", "a batch of replayed groups is applied"),
    ("rebuild.done", "the index is at the end of the log"),
    ("roaming.opened", "the index is opened in another place, empty"),
    ("roaming.filled", "it is made there, beside commits"),
    ("roaming.moved", "it has taken over there"),
    ("catalog.stopped", "a clean stop has ended the last commit"),
    ("put.stored", "a large body is durable, its commit is to come"),
    ("complete.joined", "the parts of an upload are joined, the commit is to come"),
    ("complete.committed", "the upload is completed, the client does not know"),
    ("users.committed", "a user is added, changed or removed, its administrator does not know"),
    ("reply.before", "a request has its answer, the client does not"),
    ("credentials.written", "a drive's new keys are written under their temporary name"),
    ("credentials.renamed", "they have their name in memory"),
    ("credentials.done", "they are durable on one drive more"),
    ("secrets.written", "the key of a drive's secrets is written under its temporary name"),
    ("secrets.renamed", "it has its name in memory"),
    ("secrets.done", "it is durable on one drive more"),
    ("serve.opened", "a server has opened its store and is to listen"),
    ("serve.drained", "a clean stop has ended the last request"),
    ("serve.closed", "a clean stop has closed everything"),
];
