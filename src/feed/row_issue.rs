//! One row that was not taken, or was taken in part: where it is and why.

/// Longest text of a row that is kept with its issue, in bytes.
pub const MAX_TEXT_BYTES: usize = 4096;

/// A rejected row (or, among warnings, a row of which something was left out).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowIssue {
    /// Physical line of the row's start, or the row's number where the format has no lines, from 1.
    pub line: u64,
    /// The input's column, empty where the row as a whole is bad.
    pub column: String,
    /// What is wrong and what to do, a lower-case fragment.
    pub reason: String,
    /// The row as it stands in the input, at most [`MAX_TEXT_BYTES`] of it.
    pub text: String,
}

impl RowIssue {
    /// Keeps what fits of `text`.
    pub fn new(line: u64, column: impl Into<String>, reason: impl Into<String>, text: &str) -> Self {
        Self { line, column: column.into(), reason: reason.into(), text: clip(text, MAX_TEXT_BYTES).to_owned() }
    }
}

/// The longest prefix of `text` that has at most `bytes` bytes and whole characters.
pub fn clip(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// `message` without what it quotes of `input` at length: of a piece of at least `bytes` bytes so many halves stay.
pub fn without_long_pieces(message: &str, input: &str, bytes: usize) -> String {
    let (mut out, mut at) = (String::new(), 0);
    while let Some(next) = message[at..].chars().next() {
        let piece = clip(&message[at..], bytes);
        let found =
            (piece.len() + 4 > bytes).then(|| memchr::memmem::find(input.as_bytes(), piece.as_bytes())).flatten();
        let Some(found) = found else {
            out.push(next);
            at += next.len_utf8();
            continue;
        };
        let same = message[at..].bytes().zip(input[found..].bytes()).take_while(|(a, b)| a == b).count();
        out.push_str(clip(piece, bytes / 2));
        out.push('…');
        at = message.floor_char_boundary(at + same);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_pieces_are_shortened() {
        let (key, rest) = ("a long key ".repeat(40), "é".repeat(300));
        let input = format!("{key}= 1\n{rest}");
        let said = without_long_pieces(&format!("unknown key {key}; known: kind, {rest}"), &input, 100);
        assert!(said.starts_with("unknown key a long key a long"), "{said}");
        assert!(said.contains("; known: kind, é") && said.ends_with("é…"), "{said}");
        assert!(said.len() < 160, "{said}");
        assert_eq!(without_long_pieces("kind is missing", &input, 100), "kind is missing");
    }

    #[test]
    fn clips_at_a_character() {
        let issue = RowIssue::new(1, "", "", &"é".repeat(3000));
        assert_eq!(issue.text.len(), 4096);
        assert_eq!(clip("aé", 2), "a");
        assert_eq!(clip("ab", 9), "ab");
    }
}
