//! How much memory a policy takes.

use super::{Policy, Resources, Statement};
use crate::condition::{Condition, Test};
use crate::policy::Who;

/// What one element of a list takes besides its text: its place in the list, its parts, what the
/// allocator adds.
const ELEMENT_BYTES: usize = 192;

/// How often text of the document is there: as it was given, in patterns of two bytes a character,
/// and as it is written.
const COPIES_OF_TEXT: usize = 4;

impl Policy {
    /// How many elements its lists have: actions, resources, principals, conditions, values.
    pub fn elements(&self) -> usize {
        self.statements.iter().map(elements).sum()
    }

    /// How long the document is.
    pub fn document_bytes(&self) -> usize {
        self.source.len()
    }

    /// About how much memory it takes, rather too much than too little.
    pub fn weight_bytes(&self) -> usize {
        size_of::<Policy>() + COPIES_OF_TEXT * self.source.len() + ELEMENT_BYTES * self.elements()
    }
}

fn elements(statement: &Statement) -> usize {
    let who = match &statement.who {
        Who::Bearer => 0,
        Who::These(named) | Who::AllBut(named) => named.len(),
    };
    let resources = match &statement.resources {
        Resources::Own => 0,
        Resources::These(patterns) | Resources::AllBut(patterns) => patterns.len(),
    };
    let conditions: usize = statement.conditions.iter().map(|c| 1 + values(c)).sum();
    let whole = size_of::<Statement>().div_ceil(ELEMENT_BYTES);
    whole + who + resources + statement.actions.written().len() + conditions
}

fn values(condition: &Condition) -> usize {
    match &condition.test {
        Test::Strings { values, .. } => values.len(),
        Test::Numbers(_, values) => values.len(),
        Test::Dates(_, values) => values.len(),
        Test::Bools(values) | Test::Null(values) => values.len(),
        Test::Binaries(values) => values.len(),
        Test::Addresses(values) => values.len(),
        Test::Arns(values) => values.len(),
    }
}
