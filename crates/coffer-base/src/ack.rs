//! When a write may be answered.

/// How many drives must hold a commit durably before its caller is told so.
///
/// Ordered from weakest to strongest. Only [`Ack::All`] carries the promise that any *m* lost
/// drives lose nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ack {
    /// One drive.
    Primary,
    /// Two drives (or the only one).
    Quorum,
    /// Every current member of the commit segment; the default.
    All,
}

impl Ack {
    /// The name users write in settings and headers.
    pub fn name(self) -> &'static str {
        match self {
            Ack::Primary => "primary",
            Ack::Quorum => "quorum",
            Ack::All => "all",
        }
    }

    /// Reads a name as [`Ack::name`] prints it.
    pub fn parse(name: &str) -> Option<Ack> {
        [Ack::Primary, Ack::Quorum, Ack::All].into_iter().find(|ack| ack.name() == name)
    }

    /// How many of `members` drives must have synced.
    pub fn copies(self, members: usize) -> usize {
        match self {
            Ack::Primary => 1,
            Ack::Quorum => members.min(2),
            Ack::All => members,
        }
    }
}
