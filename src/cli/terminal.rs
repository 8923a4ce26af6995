//! What stdout is: a terminal or not, how wide, and whether colours are welcome (`NO_COLOR`, `TERM=dumb`).

use std::io::{IsTerminal, stdout};
use std::process::{Command, Stdio};

use super::format::Look;

/// How text on stdout is shown.
pub fn look() -> Look {
    if !stdout().is_terminal() {
        return Look::default();
    }
    Look { terminal: Some(columns().unwrap_or(100)), colour: colours(), ..Look::default() }
}

/// True where colours are welcome, if the output is a terminal.
pub fn colours() -> bool {
    let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    set("NO_COLOR").is_none() && set("TERM").as_deref() != Some("dumb")
}

/// Columns of the terminal: `COLUMNS`, else what `stty` says of it.
fn columns() -> Option<usize> {
    let exported = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let asked = || {
        let terminal = std::fs::File::open("/dev/tty").ok()?;
        let answer = Command::new("stty").arg("size").stdin(terminal).stderr(Stdio::null()).output().ok()?;
        std::str::from_utf8(&answer.stdout).ok()?.split_whitespace().nth(1)?.parse().ok()
    };
    exported.or_else(asked).filter(|&c: &usize| c > 0)
}
