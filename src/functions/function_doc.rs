//! What a person reads of one SQL function. Each function's own stands in its file.

/// One SQL function for a person.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct FunctionDoc {
    /// Name in SQL.
    pub name: &'static str,
    /// `table`, `window` or `scalar`.
    pub kind: &'static str,
    /// Arguments, optional ones in brackets.
    pub signature: &'static str,
    /// What it gives.
    pub description: &'static str,
    /// A query or expression.
    pub example: &'static str,
}
