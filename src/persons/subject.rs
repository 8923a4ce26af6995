//! What a rule is about, and what a person is called: `id:` and a customer ID, or `visitor:` and a visitor's id.

use std::fmt;
use std::str::FromStr;

/// Bytes that an ID may have.
const LONGEST: usize = 1024;

/// A customer ID or a visitor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A customer ID, as rows bear it, without blanks at its ends.
    Id(String),
    /// A visitor's id.
    Visitor(String),
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            let shown: String = text.chars().take(40).collect();
            Err(format!("{shown:?}: {why}; write id:ID for a customer ID, visitor:ID for a visitor"))
        };
        let Some((kind, id)) = text.split_once(':') else { return wrong("it does not say what it is") };
        if id.trim().is_empty() {
            return wrong("the ID is empty");
        }
        if id.len() > LONGEST {
            return wrong(&format!("an ID has at most {LONGEST} bytes, not {}", id.len()));
        }
        if id.contains('\0') {
            return wrong("an ID has no NUL character");
        }
        match kind.trim().to_lowercase().as_str() {
            "id" => Ok(Self::Id(id.trim().to_string())),
            "visitor" => Ok(Self::Visitor(id.to_string())),
            _ => wrong("it is neither of the two kinds"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "id:{id}"),
            Self::Visitor(id) => write!(f, "visitor:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn subjects() {
        for (text, expected) in [
            ("id: Bob ", Subject::Id("Bob".into())),
            ("ID:a:b", Subject::Id("a:b".into())),
            ("visitor:1_2", Subject::Visitor("1_2".into())),
        ] {
            assert_eq!(text.parse::<Subject>().unwrap(), expected, "{text}");
        }
        let long = format!("id:{}", "x".repeat(5000));
        for wrong in ["Bob", "id:", "id:  ", "person:Bob", "id:a\0b", &long] {
            let message = wrong.parse::<Subject>().unwrap_err();
            assert!(message.contains("write id:ID") && message.len() < 200, "{message}");
        }
    }
}
