//! `coffer user`: adds, lists, disables, enables and removes users; through the server if one
//! runs on the data directories, else by opening the store.

use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use coffer_iam::{Kind, Policy};
use coffer_identity::builtin::CANNED;

use crate::admin::client::{self, Request};
use crate::admin::users::{self, Made, User};
use crate::fault::Fault;
use crate::settings::{self, Scope, Settings};
use crate::store::{self, Purpose};

/// Its commands.
pub fn commands() -> Vec<Command> {
    let name = || Arg::new("name").value_name("NAME").required(true).help("The user's name");
    let json = || Arg::new("json").long("json").action(ArgAction::SetTrue).help("As JSON");
    let policy = Arg::new("policy")
        .long("policy")
        .value_name("readwrite|readonly|ARN|FILE")
        .required(true)
        .help("What the user may do: a name, an ARN, or a file with a policy document");
    let named = |command: &'static str, about: &'static str| {
        settings::flags(Command::new(command).about(about).arg(name()), Scope::Store)
    };
    vec![
        named("add", "Adds a user and prints its keys, this once").arg(policy).arg(json()),
        settings::flags(Command::new("list").about("Lists the users"), Scope::Store).arg(json()),
        named("disable", "Refuses a user's requests until it is enabled again"),
        named("enable", "Lets a disabled user in again"),
        named("remove", "Removes a user and its keys"),
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
        "add" => {
            let policy = matches.get_one::<String>("policy").expect("clap demands it");
            Request::UserAdd { name: name(), policy: read_policy(policy)? }
        }
        "list" => Request::UserList,
        "disable" => Request::UserDisable { name: name() },
        "enable" => Request::UserEnable { name: name() },
        "remove" => Request::UserRemove { name: name() },
        _ => unreachable!("clap refuses other commands"),
    };
    let reply = ask(&settings, &request)?;
    let json = matches.try_get_one::<bool>("json").ok().flatten().is_some_and(|json| *json);
    let mut out = std::io::stdout().lock();
    match (request, json) {
        (_, true) => writeln!(out, "{reply}")?,
        (Request::UserAdd { .. }, false) => {
            let made: Made = serde_json::from_value(reply)?;
            writeln!(out, "Added {}. Its secret key is shown only this once.\n", made.name)?;
            writeln!(out, "  Access key  {}", made.access_key)?;
            writeln!(out, "  Secret key  {}", made.secret_key)?;
        }
        (Request::UserList, false) => {
            let users: Vec<User> = serde_json::from_value(reply)?;
            print_list(&mut out, &users)?;
        }
        (Request::UserDisable { name }, false) => writeln!(out, "Disabled {name}.")?,
        (Request::UserEnable { name }, false) => writeln!(out, "Enabled {name}.")?,
        (Request::UserRemove { name }, false) => writeln!(out, "Removed {name}.")?,
        _ => unreachable!("no user command asks for it"),
    }
    Ok(ExitCode::SUCCESS)
}

fn print_list(out: &mut impl Write, users: &[User]) -> std::io::Result<()> {
    if users.is_empty() {
        return writeln!(out, "There are no users besides root.");
    }
    let width = users.iter().map(|u| u.name.chars().count()).max().unwrap_or(0);
    for user in users {
        let state = if user.enabled { "enabled" } else { "disabled" };
        let policies = user.policies.iter().map(|policy| match policy {
            serde_json::Value::String(name) => name.as_str(),
            _ => "(document)",
        });
        writeln!(
            out,
            "{:width$}  {state:8}  {:20}  {}",
            user.name,
            user.access_keys.join(" "),
            policies.collect::<Vec<_>>().join(" ")
        )?;
    }
    Ok(())
}

/// The name of one of Coffer's own policies or the ARN of a managed one as it is, else the
/// document in the file, checked.
fn read_policy(policy: &str) -> Result<String, Fault> {
    if CANNED.contains(&policy) || policy.starts_with("arn:") {
        return Ok(policy.to_owned());
    }
    let text = std::fs::read_to_string(policy).map_err(|e| {
        let names = CANNED.join(", ");
        Fault::Usage(format!("--policy {policy} is not one of {names}, nor a file: {e}"))
    })?;
    Policy::parse(&text, Kind::Identity).map_err(|e| Fault::Usage(format!("{policy}: {e}")))?;
    Ok(text)
}

/// Asks the server that runs on the data directories, else the store itself.
pub fn ask(settings: &Settings, request: &Request) -> anyhow::Result<serde_json::Value> {
    if let Some(mut server) = client::connect(&settings.data)? {
        return server.ask(request);
    }
    let looked = store::look(settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let opened = store::open(&looked, settings, Purpose::Change, runtime.handle())?;
    let answer = match store::open_identity(&opened, settings, None, runtime.handle()) {
        Ok(identity) => {
            runtime.block_on(users::answer(&opened.objects, &identity, request.clone()))
        }
        Err(error) => Err(error),
    };
    opened.close()?;
    answer
}
