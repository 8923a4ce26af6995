//! The question of a page: names with values, as a form sends them and an address holds them. Every link is made of it, so that
//! each holds its question.

use serde::Deserialize;
use url::form_urlencoded;

/// What is asked of a page about a question, and is no part of it.
const NO_PART: [&str; 2] = ["to", "list"];

/// Names and values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Question(Vec<(String, String)>);

impl Question {
    /// Of the text that an address has after its `?`.
    pub fn parse(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The value of a name without blanks around it; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.exact(name).trim()
    }

    /// The value of a name as it is; of several the last.
    pub fn exact(&self, name: &str) -> &str {
        self.0.iter().rev().find(|(n, _)| n == name).map_or("", |(_, value)| value.as_str())
    }

    /// All values of a name.
    pub fn all<'q>(&'q self, name: &str) -> Vec<&'q str> {
        let values = self.0.iter().filter(|(n, _)| n == name).map(|(_, value)| value.trim());
        values.filter(|value| !value.is_empty()).collect()
    }

    /// True where the name has a value.
    pub fn has(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    /// Gives a name a value in place of those that it has; an empty one takes them away.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(n, _)| n != name);
        if !value.is_empty() {
            self.0.push((name.to_string(), value.to_string()));
        }
    }

    /// Gives a name a value where it has none.
    pub fn or(&mut self, name: &str, value: &str) {
        if !self.has(name) {
            self.set(name, value);
        }
    }

    /// The same question with other values.
    pub fn with(&self, changes: &[(&str, &str)]) -> Self {
        let mut question = self.clone();
        changes.iter().for_each(|(name, value)| question.set(name, value));
        question
    }

    /// As an address has it after its `?`.
    pub fn text(&self) -> String {
        let parts = self.0.iter().filter(|(name, value)| !value.is_empty() && !NO_PART.contains(&name.as_str()));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(parts).finish()
    }

    /// The address that asks it of a page.
    pub fn link(&self, page: &str) -> String {
        format!("{page}?{}", self.text())
    }

    /// The address of the answer as a file.
    pub fn file(&self, page: &str, kind: &str) -> String {
        format!("{}&to={kind}", self.link(page))
    }
}

#[cfg(test)]
mod tests {
    use super::Question;

    #[test]
    fn a_link_holds_its_question() {
        let question = Question::parse("metric=revenue&item=+a%26b%3C&beside=linear&beside=u_shaped&to=csv&touches=");
        assert_eq!((question.get("item"), question.exact("item"), question.get("other")), ("a&b<", " a&b<", ""));
        assert_eq!(question.all("beside"), ["linear", "u_shaped"]);
        let other = question.with(&[("metric", "orders"), ("item", "")]);
        assert_eq!(other.link("/reports"), "/reports?beside=linear&beside=u_shaped&metric=orders");
        assert_eq!(Question::parse(&other.text()).text(), other.text());
        assert!(other.file("/reports", "html").ends_with("&to=html"));
    }
}
