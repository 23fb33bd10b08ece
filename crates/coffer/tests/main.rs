//! Runs the program as a person does.

mod errors;
mod life;
mod program;
mod users;
