//! `coffer iam`: why a request would be allowed or denied; through the server if one runs on the
//! data directories, else by opening the store.

use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::admin::client::Request;
use crate::admin::explain::{Question, Statement, Told};
use crate::fault::Fault;
use crate::settings::{self, Scope};
use crate::user;

/// Its commands.
pub fn commands() -> Vec<Command> {
    let option = |name: &'static str, value: &'static str, about: &'static str| {
        Arg::new(name).long(name).value_name(value).help(about)
    };
    let explain = Command::new("explain")
        .about("Says whether a request would be allowed, and which statement decides it")
        .arg(
            option("principal", "ARN", "Who asks: a user's or a role's ARN, or anonymous")
                .required(true),
        )
        .arg(option("action", "NAME", "What for, such as s3:GetObject").required(true))
        .arg(option("resource", "ARN", "On what: an ARN, BUCKET or BUCKET/KEY").required(true))
        .arg(
            option("context", "KEY=VALUE", "A condition key of the request; may be repeated")
                .action(ArgAction::Append),
        )
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("As JSON"));
    vec![settings::flags(explain, Scope::Store)]
}

/// Runs one of them.
pub fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let Some(("explain", matches)) = matches.subcommand() else {
        unreachable!("clap demands a command");
    };
    let settings = settings::from_matches(matches)?;
    let given = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let context = matches
        .get_many::<String>("context")
        .unwrap_or_default()
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
            None => Err(Fault::Usage(format!("--context {pair} is not of the form KEY=VALUE"))),
        })
        .collect::<Result<_, _>>()?;
    let question = Question {
        principal: given("principal"),
        action: given("action"),
        resource: given("resource"),
        context,
    };
    let reply = user::ask(&settings, &Request::IamExplain { question })?;
    let mut out = std::io::stdout().lock();
    if matches.get_flag("json") {
        writeln!(out, "{reply}")?;
    } else {
        print(&mut out, &serde_json::from_value(reply)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(out: &mut impl Write, told: &Told) -> std::io::Result<()> {
    let by = told.decided_by.as_deref().unwrap_or("");
    match (told.decision.as_str(), &told.statement) {
        ("allowed", Some(statement)) => writeln!(out, "Allowed by {}.", named(statement))?,
        ("allowed", None) => writeln!(out, "Allowed: the root of an account needs no policy.")?,
        ("explicitDeny", Some(statement)) => writeln!(out, "Denied by {}.", named(statement))?,
        (_, _) if by.is_empty() => {
            writeln!(out, "Denied: the action does not apply to such a resource.")?;
        }
        (_, _) => writeln!(out, "Denied: no {by} allows it.")?,
    }
    writeln!(out)?;
    for verdict in &told.verdicts {
        let says = match (verdict.present, verdict.decision.as_str()) {
            (false, _) => "there is none",
            (true, "allowed") => "allows",
            (true, "explicitDeny") => "denies",
            (true, _) => "says nothing",
        };
        writeln!(out, "{:24}{says}", verdict.layer)?;
        for statement in &verdict.statements {
            writeln!(out, "  {:6}{}", statement.effect, named(statement))?;
        }
    }
    if told.restricted {
        writeln!(
            out,
            "\nRestrictPublicBuckets: what the bucket's policy allows counts for its own account only."
        )?;
    }
    Ok(())
}

fn named(statement: &Statement) -> String {
    let sid = statement.sid.as_ref().map_or_else(String::new, |sid| format!(" {sid:?}"));
    format!("statement {}{sid} of {} {:?}", statement.statement, statement.layer, statement.policy)
}
