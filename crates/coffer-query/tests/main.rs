//! The query protocol over a store in memory.

mod doors;
mod life;
mod sessions;
mod simulated;
mod web;
mod world;
