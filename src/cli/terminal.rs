//! What stdout is: a terminal or not, how wide, and whether colours are welcome (`NO_COLOR`, `TERM=dumb`).

use std::io::{IsTerminal, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::format::{Expanded, TextStyle};

/// How text on stdout is shown.
pub fn text_style() -> TextStyle {
    if !stdout().is_terminal() {
        return TextStyle::default();
    }
    let (terminal, expanded) = (Some(columns().unwrap_or(100)), Expanded::Needed);
    TextStyle { terminal, expanded, colour: colours(), ..TextStyle::default() }
}

/// True where colours are welcome, if the output is a terminal.
pub fn colours() -> bool {
    let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    set("NO_COLOR").is_none() && set("TERM").as_deref() != Some("dumb")
}

/// Columns of the terminal: `COLUMNS`, else what `stty` says of it.
fn columns() -> Option<usize> {
    let exported = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    exported.or_else(|| Some(size()?.1)).filter(|&c: &usize| c > 0)
}

/// Rows and columns of the terminal, as `stty` says.
fn size() -> Option<(usize, usize)> {
    let terminal = std::fs::File::open("/dev/tty").ok()?;
    let answer = Command::new("stty").arg("size").stdin(terminal).stderr(Stdio::null()).output().ok()?;
    let mut numbers = std::str::from_utf8(&answer.stdout).ok()?.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Shows a text that is taller than the terminal in the user's pager (`PAGER`, else `less`). False where it fits, or no
/// pager runs: then it is to be printed.
pub fn paged(text: &str) -> bool {
    let rows = size().map_or(24, |(rows, _)| rows);
    let tall = text.lines().count() >= rows;
    if !tall || !stdout().is_terminal() {
        return false;
    }
    page(text)
}

/// Runs the pager on a text; false where there is none.
fn page(text: &str) -> bool {
    let Some(mut child) = pager() else { return false };
    if let Some(mut input) = child.stdin.take() {
        // who leaves the pager early has seen enough
        let _ = input.write_all(text.as_bytes());
    }
    child.wait().is_ok()
}

/// Starts the user's pager; None where none is wanted or installed.
pub fn pager() -> Option<Child> {
    let wanted = std::env::var("PAGER").unwrap_or_else(|_| "less".into());
    let program = wanted.split_whitespace().next().filter(|p| *p != "cat")?;
    let installed = |folder: PathBuf| folder.join(program).is_file();
    if !std::env::split_paths(&std::env::var_os("PATH")?).any(installed) && !Path::new(program).is_absolute() {
        return None;
    }
    // PAGER is a command line
    let mut command = Command::new("sh");
    command.arg("-c").arg(&wanted).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        // colours as they are, lines not wrapped, at once the end where all fits
        command.env("LESS", "-RSFX");
    }
    command.spawn().ok()
}
