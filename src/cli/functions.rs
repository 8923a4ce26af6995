//! `rejoin functions`: the manual of the SQL functions.

use super::output::Output;
use super::settings::Settings;
use crate::error::did_you_mean;
use crate::format::Format;
use crate::functions::{FunctionDoc, documentation};
use crate::{Error, Result};
use clap::Args;

/// The manual of the SQL functions
#[derive(Debug, Args)]
pub struct FunctionsArguments {
    /// Only this function, in full
    pub name: Option<String>,
}

/// Prints all functions, or one.
pub fn run(settings: &Settings, arguments: &FunctionsArguments) -> Result<()> {
    let mut all = documentation();
    if let Some(name) = &arguments.name {
        let hint = did_you_mean(name, all.iter().map(|f| f.name));
        all.retain(|f| f.name.eq_ignore_ascii_case(name));
        if all.is_empty() {
            return Err(Error::usage(format!("no SQL function {name} (all of them: rejoin functions){hint}")));
        }
    }
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        output.json(&all)?;
        return output.close();
    }
    for (kind, title) in [("table", "TABLE FUNCTIONS"), ("window", "WINDOW FUNCTIONS"), ("scalar", "SCALAR FUNCTIONS")]
    {
        let of_kind: Vec<&FunctionDoc> = all.iter().filter(|f| f.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        output.line(format!("{title}\n"))?;
        for function in of_kind {
            output.line(format!("  {}", function.signature))?;
            for line in wrapped(function.description, 94) {
                output.line(format!("      {line}"))?;
            }
            output.line(format!("      Example: {}\n", function.example))?;
        }
    }
    output.close()
}

fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.len() + word.len() >= columns {
            lines.push(word.to_string());
        } else {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}
