//! Decisions: against AWS's documented cases, against an independent evaluator, and by properties.

mod cases;
mod dice;
mod properties;
mod reference;
mod setting;
