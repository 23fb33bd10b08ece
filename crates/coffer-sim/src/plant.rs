//! Bugs at the seam: syncs that succeed and do nothing, one kind at a time, on every drive. A
//! campaign that does not find them is worth nothing.

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
    /// A fresh copy is not synced.
    CopyCreation,
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
    /// Recovery reads copies that it did not sync.
    RecoverySync,
    /// Recovery believes names that it did not sync.
    RecoveryNames,
}

impl Plant {
    /// All bugs.
    pub const ALL: [Plant; 11] = [
        Plant::AllSyncs,
        Plant::GroupSync,
        Plant::CopyCreation,
        Plant::CopyName,
        Plant::Superblock,
        Plant::CellSync,
        Plant::CellName,
        Plant::BulkRows,
        Plant::BulkName,
        Plant::RecoverySync,
        Plant::RecoveryNames,
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
            Plant::CopyCreation => vec![Forget::NewSyncs(copy())],
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
            Plant::RecoverySync => vec![Forget::LaterSyncs(copy())],
            Plant::RecoveryNames => vec![Forget::NamesOfBefore],
        };
        Faults { forget, ..Faults::default() }
    }
}
