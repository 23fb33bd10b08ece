//! `coffer account`: adds, lists and removes accounts (tenants); through the server if one runs on
//! the data directories, else by opening the store.

use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::admin::client::Request;
use crate::admin::users::{Account, MadeAccount};
use crate::settings::{self, Scope};
use crate::user;

/// Its commands.
pub fn commands() -> Vec<Command> {
    let name = || Arg::new("name").value_name("NAME").required(true).help("The account's name");
    let json = || Arg::new("json").long("json").action(ArgAction::SetTrue).help("As JSON");
    // The name comes before the directories.
    let command = |command: &'static str, about: &'static str, arguments: &[Arg]| {
        let command = Command::new(command).about(about).args(arguments);
        settings::flags(command, Scope::Store)
    };
    vec![
        command("add", "Adds an account and prints the keys of its root, this once", &[name()])
            .arg(json()),
        command("list", "Lists the accounts", &[]).arg(json()),
        command("remove", "Removes an account that has no buckets and identities", &[name()]),
    ]
}

/// Runs one of them.
pub fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let Some((command, matches)) = matches.subcommand() else {
        unreachable!("clap demands a command");
    };
    let settings = settings::from_matches(matches)?;
    let name = || matches.get_one::<String>("name").cloned().unwrap_or_default();
    let request = match command {
        "add" => Request::AccountAdd { name: name() },
        "list" => Request::AccountList,
        "remove" => Request::AccountRemove { name: name() },
        _ => unreachable!("clap refuses other commands"),
    };
    let reply = user::ask(&settings, &request)?;
    let json = matches.try_get_one::<bool>("json").ok().flatten().is_some_and(|json| *json);
    let mut out = std::io::stdout().lock();
    match request {
        _ if json => writeln!(out, "{reply}")?,
        Request::AccountAdd { .. } => {
            let made: MadeAccount = serde_json::from_value(reply)?;
            writeln!(
                out,
                "Added {}, {}. The secret key of its root is shown only this once.\n",
                made.name, made.id
            )?;
            writeln!(out, "  Access key  {}", made.access_key)?;
            writeln!(out, "  Secret key  {}", made.secret_key)?;
        }
        Request::AccountList => {
            let accounts: Vec<Account> = serde_json::from_value(reply)?;
            let width = accounts.iter().map(|a| a.name.chars().count()).max().unwrap_or(0);
            for Account { name, id, users, .. } in &accounts {
                writeln!(out, "{name:width$}  {id}  {users} users")?;
            }
        }
        Request::AccountRemove { name } => writeln!(out, "Removed {name}.")?,
        _ => unreachable!("no account command asks for it"),
    }
    Ok(ExitCode::SUCCESS)
}
