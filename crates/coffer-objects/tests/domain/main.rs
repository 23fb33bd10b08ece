//! The domain over simulated drives, the real log and the real catalog with its engine in
//! memory.

mod conditions;
mod copies;
mod damage;
mod listing;
mod million;
mod model;
mod multipart;
mod objects;
mod settings;
mod store;
mod threads;
mod versions;
mod versions_model;
