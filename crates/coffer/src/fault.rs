//! Failures that a script may want to tell apart.

use std::fmt;
use std::process::ExitCode;

/// A failure with an exit code of its own. Anything else ends with 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The command line, the environment or the settings file is wrong: exit code 2.
    Usage(String),
    /// The data directories can't be used as they are: exit code 3.
    Data(String),
    /// An address is taken or isn't this machine's: exit code 4.
    Address(String),
}

impl Fault {
    /// The exit code of `error`.
    pub fn exit_code(error: &anyhow::Error) -> ExitCode {
        match error.downcast_ref::<Fault>() {
            Some(Fault::Usage(_)) => ExitCode::from(2),
            Some(Fault::Data(_)) => ExitCode::from(3),
            Some(Fault::Address(_)) => ExitCode::from(4),
            None => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Usage(what) | Fault::Data(what) | Fault::Address(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Fault {}
