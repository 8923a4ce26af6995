//! `rejoin functions`: the manual of the SQL functions.

use clap::Args;
use datafusion::functions::all_default_functions;
use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::functions_nested::all_default_nested_functions;
use datafusion::functions_window::all_default_window_functions;

use super::output::Output;
use super::settings::Settings;
use crate::error::did_you_mean;
use crate::format::Format;
use crate::functions::{FunctionDoc, documentation};
use crate::{Error, Result};

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
        if all.is_empty() && is_usual(name) {
            return Err(Error::usage(format!(
                "{name} is a usual function of SQL: it works, and the manual of Apache DataFusion explains it; \
                 rejoin functions lists those of Rejoin's own"
            )));
        }
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

/// True for a function that needs no manual of ours.
fn is_usual(name: &str) -> bool {
    let name = name.to_lowercase();
    let is_it = |own: &str, aliases: &[String]| own == name || aliases.contains(&name);
    all_default_functions().iter().any(|f| is_it(f.name(), f.aliases()))
        || all_default_nested_functions().iter().any(|f| is_it(f.name(), f.aliases()))
        || all_default_aggregate_functions().iter().any(|f| is_it(f.name(), f.aliases()))
        || all_default_window_functions().iter().any(|f| is_it(f.name(), f.aliases()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_functions_are_known() {
        for name in ["to_date", "COALESCE", "array_length", "list_length", "stddev", "row_number"] {
            assert!(is_usual(name), "{name}");
        }
        assert!(!is_usual("attribution") && !is_usual("to_dat"));
    }
}
