//! Why a whole input was refused: which file, where in it, what is wrong, and the next step.

use std::fmt;

/// A whole input that cannot be taken. Bad rows are [`super::RowIssue`]s instead.
#[derive(Debug, thiserror::Error)]
#[error("{}{message}", Place(file, *line, column.as_deref()))]
pub struct FeedError {
    /// The input as the user knows it; empty where the reader was not told.
    pub file: String,
    /// Physical line, from 1.
    pub line: Option<u64>,
    /// The column's header.
    pub column: Option<String>,
    /// What is wrong and what to do, a lower-case fragment.
    pub message: String,
    /// True where more of the input may still come: what is there is right, and has no end.
    pub is_unfinished: bool,
    /// The failed read, where that was the reason.
    pub source: Option<std::io::Error>,
}

impl FeedError {
    /// An error about a file as a whole.
    pub fn new(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: None,
            column: None,
            message: message.into(),
            is_unfinished: false,
            source: None,
        }
    }

    /// A read that failed (a broken archive, a lost connection).
    pub fn unreadable(file: impl Into<String>, source: std::io::Error) -> Self {
        Self { source: Some(source), ..Self::new(file, "") }.describe_source()
    }

    /// Says on which line.
    pub fn on_line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    /// Says that more of the input may still come.
    pub fn unfinished(mut self) -> Self {
        self.is_unfinished = true;
        self
    }

    /// Says in which column.
    pub fn in_column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }

    fn describe_source(mut self) -> Self {
        if let Some(source) = &self.source {
            self.message = format!("cannot be read to its end: {source}");
        }
        self
    }
}

struct Place<'a>(&'a str, Option<u64>, Option<&'a str>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(file, line, column) = self;
        let mut separator = "";
        if !file.is_empty() {
            f.write_str(file)?;
            separator = " ";
        }
        if let Some(line) = line {
            write!(f, "{separator}line {line}")?;
            separator = ", ";
        }
        if let Some(column) = column {
            write!(f, "{separator}column {column}")?;
            separator = ", ";
        }
        f.write_str(if separator.is_empty() { "" } else { ": " })
    }
}

/// A whole input that cannot be read is refused.
impl From<FeedError> for crate::Error {
    fn from(error: FeedError) -> Self {
        crate::Error::refused(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_and_where() {
        let error = FeedError::new("hit_data.tsv", "1143 fields, expected 1168").on_line(812);
        assert_eq!(error.to_string(), "hit_data.tsv line 812: 1143 fields, expected 1168");
        let error = FeedError::new("a.txt", "unknown").on_line(2).in_column("Evar 9");
        assert_eq!(error.to_string(), "a.txt line 2, column Evar 9: unknown");
        assert_eq!(FeedError::new("", "empty").to_string(), "empty");
        let error = FeedError::unreadable("x.gz", std::io::Error::other("corrupt"));
        assert_eq!(error.to_string(), "x.gz: cannot be read to its end: corrupt");
        assert!(std::error::Error::source(&error).is_some());
    }
}
