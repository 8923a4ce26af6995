//! `rejoin user`: who may use the doors.

use std::io::{BufRead, IsTerminal, stdin};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::listing::Listing;
use super::output::{Output, note};
use super::serve::users;
use super::settings::Settings;
use crate::format::Format;
use crate::serve::{Role, User, Users};
use crate::{Error, Result};

/// Longest line that can be a password, bytes.
const LONGEST: u64 = 4096;

/// What was typed.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user, or give one another password
    #[command(after_help = "\
The password is asked for; where stdin is no terminal, its first line is the password.

Examples:
  rejoin user add ann
  rejoin user add loader --manager < password.txt")]
    Add(AddArguments),
    /// Make a token for a program; it is shown once
    #[command(after_help = "Example:\n  rejoin user token ann --name notebook")]
    Token(TokenArguments),
    /// List users and the names of their tokens
    List(ListArguments),
    /// Remove a user; what already runs may still finish
    Remove(RemoveArguments),
}

#[derive(Debug, Args)]
pub struct AddArguments {
    /// Name of the user
    pub name: String,
    /// May also change suites and sources, load files and rebuild
    #[arg(long)]
    pub manager: bool,
    #[command(flatten)]
    pub file: FileArguments,
}

#[derive(Debug, Args)]
pub struct TokenArguments {
    /// Name of the user
    pub user: String,
    /// What the token is for; it replaces an earlier one of that name
    #[arg(long, value_name = "NAME", default_value = "token")]
    pub name: String,
    #[command(flatten)]
    pub file: FileArguments,
}

#[derive(Debug, Args)]
pub struct ListArguments {
    #[command(flatten)]
    pub file: FileArguments,
}

#[derive(Debug, Args)]
pub struct RemoveArguments {
    /// Name of the user
    pub name: String,
    #[command(flatten)]
    pub file: FileArguments,
}

#[derive(Debug, Args)]
pub struct FileArguments {
    /// File of users [env: REJOIN_USERS] [default: ~/.config/rejoin/users.json]
    #[arg(long, value_name = "FILE", env = "REJOIN_USERS", hide_env = true)]
    pub users: Option<PathBuf>,
}

/// Does it.
pub fn run(settings: &Settings, command: &UserCommand) -> Result<()> {
    match command {
        UserCommand::Add(typed) => {
            let users = users(typed.file.users.as_ref())?;
            let role = if typed.manager { Role::Manager } else { Role::Reader };
            let new = users.add(&typed.name, &password(&typed.name)?, role)?;
            let done = if new { "is added to" } else { "has a new password in" };
            note(format!("{} {done} {}", typed.name, users.path().display()));
            Ok(())
        }
        UserCommand::Token(typed) => {
            let token = users(typed.file.users.as_ref())?.token(&typed.user, &typed.name)?;
            note("this token is not shown again:");
            let mut output = Output::stdout(Format::Table);
            output.line(token)?;
            output.close()
        }
        UserCommand::List(typed) => list(settings, &users(typed.file.users.as_ref())?),
        UserCommand::Remove(typed) => {
            let users = users(typed.file.users.as_ref())?;
            users.remove(&typed.name)?;
            note(format!("{} is out of {}", typed.name, users.path().display()));
            Ok(())
        }
    }
}

fn list(settings: &Settings, users: &Users) -> Result<()> {
    let all = users.list()?;
    let tokens = |user: &User| user.tokens.iter().map(|t| t.name.clone()).collect::<Vec<_>>();
    let role = |user: &User| if user.role == Role::Manager { "manager" } else { "reader" };
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        let rows: Vec<_> = all
            .iter()
            .map(|u| json!({"name": u.name, "role": role(u), "created": u.created, "tokens": tokens(u)}))
            .collect();
        output.json(&rows)?;
        return output.close();
    }
    if all.is_empty() {
        note(format!("there are no users in {}; add one: rejoin user add NAME", users.path().display()));
        return Ok(());
    }
    let listing = Listing::new()
        .text("user", all.iter().map(|u| &u.name))
        .text("role", all.iter().map(role))
        .time("created", all.iter().map(|u| Some(u.created)))
        .text("tokens", all.iter().map(|u| tokens(u).join(", ")));
    output.batch(&listing.batch()?)?;
    output.close()
}

/// Asks twice on a terminal, else takes the first line of stdin.
fn password(name: &str) -> Result<String> {
    if !stdin().is_terminal() {
        let mut line = String::new();
        std::io::Read::take(stdin().lock(), LONGEST).read_line(&mut line)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_string());
    }
    let ask = |what: &str| rpassword::prompt_password(what).map_err(|e| Error::usage(format!("password: {e}")));
    let first = ask(&format!("Password for {name}: "))?;
    if first != ask("Again: ")? {
        return Err(Error::usage("the two passwords differ"));
    }
    Ok(first)
}
