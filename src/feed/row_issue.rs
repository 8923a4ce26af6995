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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_at_a_character() {
        let issue = RowIssue::new(1, "", "", &"é".repeat(3000));
        assert_eq!(issue.text.len(), 4096);
        assert_eq!(clip("aé", 2), "a");
        assert_eq!(clip("ab", 9), "ab");
    }
}
