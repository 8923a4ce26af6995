//! Lines of a text, of which only the beginning is kept when they are long.

use std::io::{self, BufRead, BufReader, Read};

use memchr::memchr;

/// Reads lines; Windows line ends and a missing last one are tolerated.
pub struct Lines<R> {
    input: BufReader<R>,
    number: u64,
}

/// What is known of a line beside its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Physical line, from 1.
    pub number: u64,
    /// True where not all of the line was kept.
    pub cut: bool,
}

impl<R: Read> Lines<R> {
    /// Reads nothing yet.
    pub fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(64 * 1024, input), number: 0 }
    }

    /// Puts the next line, without its end, or the first `keep` bytes of it, into `text`.
    pub fn next(&mut self, text: &mut Vec<u8>, keep: usize) -> io::Result<Option<Line>> {
        text.clear();
        let (mut any, mut cut) = (false, false);
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            any = true;
            let newline = memchr(b'\n', buffer);
            let part = &buffer[..newline.unwrap_or(buffer.len())];
            // One byte more than asked for, so that a carriage return at the edge still counts as line end.
            let kept = part.len().min(keep + 1 - text.len().min(keep + 1));
            cut |= kept < part.len();
            text.extend_from_slice(&part[..kept]);
            let used = part.len() + usize::from(newline.is_some());
            self.input.consume(used);
            if newline.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        if !cut && text.last() == Some(&b'\r') {
            text.pop();
        }
        cut |= text.len() > keep;
        text.truncate(keep);
        self.number += 1;
        Ok(Some(Line { number: self.number, cut }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lines(text: &str, keep: usize) -> Vec<(String, bool)> {
        let (mut lines, mut kept, mut all) = (Lines::new(text.as_bytes()), Vec::new(), Vec::new());
        while let Some(line) = lines.next(&mut kept, keep).unwrap() {
            all.push((String::from_utf8(kept.clone()).unwrap(), line.cut));
            assert_eq!(line.number, all.len() as u64);
        }
        all
    }

    #[test]
    fn keeps_what_was_asked_for() {
        let own = |list: &[(&str, bool)]| list.iter().map(|(t, c)| (t.to_string(), *c)).collect::<Vec<_>>();
        assert_eq!(
            lines("ab\r\n\nabc\nabcd\nabc\r\nx", 3),
            own(&[("ab", false), ("", false), ("abc", false), ("abc", true), ("abc", false), ("x", false)])
        );
        assert_eq!(lines("", 3), []);
        assert_eq!(lines("\n", 3), own(&[("", false)]));
        let long = "y".repeat(200_000);
        assert_eq!(lines(&format!("{long}\r\nz"), 4), own(&[("yyyy", true), ("z", false)]));
        assert_eq!(lines(&long, 300_000), own(&[(&long, false)]));
    }
}
