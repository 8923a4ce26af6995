//! Input is cut into backslash commands and complete statements.

use std::io::{self, BufRead};

use super::command::is_command;
use super::lexer;

/// Longest text without a statement's end.
const LONGEST_BYTES: usize = 64 << 20;

/// Cuts input into commands and runs of complete statements.
pub struct Reader<R> {
    input: R,
    line: usize,
    pending: String,
    /// Line on which `pending` begins.
    begun: usize,
}

impl<R: BufRead> Reader<R> {
    /// A reader at line 1.
    pub fn new(input: R) -> Self {
        Self { input, line: 0, pending: String::new(), begun: 1 }
    }

    /// The next piece and its line; a last statement needs no semicolon.
    pub fn next(&mut self) -> io::Result<Option<(usize, String)>> {
        loop {
            let mut line = String::new();
            if self.input.read_line(&mut line)? == 0 {
                let rest = std::mem::take(&mut self.pending);
                return Ok((!lexer::is_blank(&rest)).then_some((self.begun, rest)));
            }
            self.line += 1;
            if lexer::is_blank(&self.pending) {
                self.pending.clear();
                self.begun = self.line;
                if is_command(&line) {
                    return Ok(Some((self.line, line)));
                }
            }
            let ends = line.contains(';');
            self.pending.push_str(&line);
            if self.pending.len() > LONGEST_BYTES {
                return Err(io::Error::other("no statement ends within 64 MiB"));
            }
            if ends && let Some(end) = lexer::complete_until(&self.pending) {
                let rest = self.pending.split_off(end);
                let whole = std::mem::replace(&mut self.pending, rest);
                let begun = std::mem::replace(&mut self.begun, self.line);
                return Ok(Some((begun, whole)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn pieces(text: &str) -> Vec<(usize, String)> {
        let mut reader = Reader::new(text.as_bytes());
        std::iter::from_fn(|| reader.next().unwrap()).map(|(n, t)| (n, t.trim().to_string())).collect()
    }

    #[test]
    fn input_is_cut_into_statements_and_commands() {
        let text = "-- a comment\nSELECT 1;\n\\timing on\nSELECT\n  ';', 2; SELECT 3; SELECT\n4;\n\\d events\nSELECT 5";
        let found = pieces(text);
        let texts: Vec<&str> = found.iter().map(|(_, t)| t.as_str()).collect();
        assert_eq!(
            texts,
            ["SELECT 1;", "\\timing on", "SELECT\n  ';', 2; SELECT 3;", "SELECT\n4;", "\\d events", "SELECT 5"]
        );
        assert_eq!(found.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [2, 3, 4, 5, 7, 8]);
        assert!(pieces(" \n-- nothing\n").is_empty());
    }
}
