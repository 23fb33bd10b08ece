//! Bugs at the seam: syncs that succeed and do nothing, one kind at a time, on every drive. A
//! campaign that does not find them is worth nothing.
//!
//! Three syncs are missing here, because leaving them out loses nothing in the model of a drive:
//! that of a fresh copy (groups are found without its header, and each has its own sync), that of
//! copies and that of names at the start of recovery (what is believed is sealed into new, synced
//! cells before it is served).

use coffer_base::drive::{Faults, Forget};

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// None.
    Nothing,
    /// No sync does anything.
    AllSyncs,
    /// A group is written and not synced.
    GroupSync,
    /// The directory is not synced after a copy was created.
    CopyName,
    /// A superblock is written and not synced.
    Superblock,
    /// A cell is not synced before it is renamed.
    CellSync,
    /// The directory is not synced after a cell was renamed.
    CellName,
    /// Bulk rows are not synced.
    BulkRows,
    /// The directory is not synced after a bulk file was created.
    BulkName,
}

impl Plant {
    /// All bugs.
    pub const ALL: [Plant; 8] = [
        Plant::AllSyncs,
        Plant::GroupSync,
        Plant::CopyName,
        Plant::Superblock,
        Plant::CellSync,
        Plant::CellName,
        Plant::BulkRows,
        Plant::BulkName,
    ];

    /// The name for the command line.
    pub fn name(self) -> String {
        let camel = format!("{self:?}");
        let dashed = camel.char_indices().flat_map(|(i, c)| {
            let dash = (i > 0 && c.is_uppercase()).then_some('-');
            dash.into_iter().chain(c.to_lowercase())
        });
        dashed.collect()
    }

    /// The bug of this name.
    pub fn parse(name: &str) -> Option<Plant> {
        Plant::ALL.into_iter().find(|plant| plant.name() == name)
    }

    /// What a drive does then.
    pub fn faults(self) -> Faults {
        let copy = || ".copy".to_owned();
        let bulk = || "bulk-".to_owned();
        let forget = match self {
            Plant::Nothing => Vec::new(),
            Plant::AllSyncs => return Faults { forget_syncs: true, ..Faults::default() },
            Plant::GroupSync => vec![Forget::Writes(copy())],
            Plant::CopyName => vec![Forget::Created(copy())],
            Plant::Superblock => ["super."]
                .into_iter()
                .flat_map(|name| {
                    let name = name.to_owned();
                    [
                        Forget::Writes(name.clone()),
                        Forget::NewSyncs(name.clone()),
                        Forget::LaterSyncs(name),
                    ]
                })
                .collect(),
            Plant::CellSync => vec![Forget::NewSyncs(".new".to_owned())],
            Plant::CellName => vec![Forget::Renamed(".cell".to_owned())],
            Plant::BulkRows => vec![Forget::Writes(bulk()), Forget::NewSyncs(bulk())],
            Plant::BulkName => vec![Forget::Created(bulk())],
        };
        Faults { forget, ..Faults::default() }
    }
}
