//! Lookbacks: how long before a conversion a touch still counts.

use crate::time::parse_duration;

/// A lookback: `all` is no limit, else a duration as of `parse_duration`.
///
/// # Errors
/// What is wrong with the text and what to write instead.
pub fn parse_lookback(text: &str) -> Result<Option<i64>, String> {
    if text.trim().eq_ignore_ascii_case("all") {
        return Ok(None);
    }
    parse_duration(text).map(Some).map_err(|e| format!("lookback {e}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::time::DAY_US;

    #[test]
    fn lookbacks() {
        assert_eq!(parse_lookback("ALL"), Ok(None));
        assert_eq!(parse_lookback("30 days"), Ok(Some(30 * DAY_US)));
        let message = parse_lookback("30 dais").unwrap_err();
        assert!(message.starts_with("lookback \"30 dais\"") && message.contains("did you mean days?"), "{message}");
    }
}
