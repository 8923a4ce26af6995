//! The manual: topics in Markdown, of texts that are compiled in and of what the program knows of itself.
//!
//! In: the `.md` files next to this one, and the documentation of functions, settings, tables, reports and exit codes, which is
//! kept where those are made. Out: [`topics`]. A fact stands in one place only.

use std::fmt::Write;

use datafusion::common::config::ExtensionOptions;

use crate::ErrorKind;
use crate::export::fields::{self, Form};
use crate::export::target::Target;
use crate::functions::documentation;
use crate::lake::records;
use crate::options::RejoinOptions;
use crate::report::reports;
use crate::shell;

/// A chapter of the manual.
#[derive(Clone, Copy)]
pub struct Topic {
    /// What it is called in `rejoin help NAME`.
    pub name: &'static str,
    /// What it is about, in a line.
    pub about: &'static str,
    text: &'static str,
    generated: Option<fn() -> String>,
}

impl Topic {
    /// The chapter, in Markdown.
    pub fn markdown(&self) -> String {
        let generated = self.generated.map(|make| make()).unwrap_or_default();
        [self.text.trim(), generated.trim()].join("\n\n").trim().to_string() + "\n"
    }
}

macro_rules! topic {
    ($name:literal, $about:literal) => {
        topic!($name, $about, include_str!(concat!($name, ".md")), None)
    };
    ($name:literal, $about:literal, $make:ident) => {
        topic!($name, $about, include_str!(concat!($name, ".md")), Some($make))
    };
    ($name:literal, $about:literal, $text:expr, $generated:expr) => {
        Topic { name: $name, about: $about, text: $text, generated: $generated }
    };
}

const TOPICS: &[Topic] = &[
    topic!("start", "The first ten minutes, and the words used here"),
    topic!("suites", "Settings of a suite: transaction IDs, expiry, rules, visits"),
    topic!("sources", "Data sources, and the files that they take"),
    topic!("ingest", "Loading, replacing and removing files"),
    topic!("feeds", "Data feeds: online hits as Adobe delivers them"),
    topic!("mapping", "Any other clickstream", of_mapping),
    topic!("persistence", "Values that persist: allocation and expiry"),
    topic!("matching", "How offline records are tied to visitors"),
    topic!("rebuild", "Integrating what is new, and tables of your own"),
    topic!("participation", "Which items took part, within a visit or across visits"),
    topic!("attribution", "Sharing a conversion among its touches: the models"),
    topic!("questions", "Filters and breakdowns: which conversions, whose, which touches, by what"),
    topic!("sequences", "Funnels, flows and paths: what happens in which order"),
    topic!("segments", "Visitors, persons or visits saved under a name, to ask about them alone"),
    topic!("persons", "The devices of one customer as one journey"),
    topic!("exports", "Sending ad platforms the conversions that are new, changed or gone", of_exports),
    topic!("bindings", "Values that belong to a product: merchandising"),
    topic!("reports", "Reports by name", of_reports),
    topic!("schedule", "Loading and rebuilding by the clock"),
    topic!("serve", "BI tools, notebooks, browsers, assistants: users, limits, Postgres, Flight SQL, web page, MCP"),
    topic!("cluster", "Many machines for one lake: scheduler, executors, certificates"),
    topic!("storage", "The lake on a folder or on S3"),
    topic!("time", "As-of, history, vacuum, forgetting"),
    topic!("shell", "The interactive shell", of_shell),
    topic!("tables", "Tables and their columns", of_tables),
    topic!("functions", "SQL functions", "# SQL functions", Some(of_functions)),
    topic!("settings", "Options, variables, and SET", of_settings),
    topic!("exit-codes", "What a command's exit code says", "# Exit codes", Some(of_exit_codes)),
];

/// All chapters, in the order of reading.
pub fn topics() -> &'static [Topic] {
    TOPICS
}

/// The chapter of a name; `exit codes` and `exit_codes` are `exit-codes`.
pub fn topic(name: &str) -> Option<&'static Topic> {
    let name = name.to_lowercase().replace([' ', '_'], "-");
    TOPICS.iter().find(|t| t.name == name)
}

fn table(head: [&str; 2], rows: impl IntoIterator<Item = (String, String)>) -> String {
    let mut text = format!("| {} | {} |\n| --- | --- |\n", head[0], head[1]);
    for (name, meaning) in rows {
        // a bar would end the cell
        text.push_str(&format!("| {} | {} |\n", name.replace('|', "\\|"), meaning.trim().replace('|', "\\|")));
    }
    text
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// The mappings of `data/`, which the tests load.
const MAPPINGS: [(&str, &str); 6] = [
    ("GA4", include_str!("../../data/ga4/mapping.toml")),
    ("Snowplow", include_str!("../../data/snowplow/mapping.toml")),
    ("Segment and RudderStack", include_str!("../../data/segment/mapping.toml")),
    ("Matomo", include_str!("../../data/matomo/mapping.toml")),
    ("A CRM", include_str!("../../data/crm/mapping.toml")),
    ("A till", include_str!("../../data/till/mapping.toml")),
];

fn of_mapping() -> String {
    let mut text = "## Mappings of other systems\n\n".to_string();
    for (system, mapping) in MAPPINGS {
        let _ = writeln!(text, "### {system}\n\n```toml\n{}\n```\n", mapping.trim());
    }
    text
}

fn of_functions() -> String {
    let mut text = String::new();
    for (kind, title) in [("table", "Table functions"), ("window", "Window functions"), ("scalar", "Scalar functions")]
    {
        let _ = writeln!(text, "## {title}\n");
        for f in documentation().iter().filter(|f| f.kind == kind) {
            let _ = writeln!(text, "### {}\n\n`{}`\n\n{}\n", f.name, f.signature, f.description);
            // scalar functions have expressions as examples
            let select = if f.example.to_uppercase().starts_with("SELECT") { "" } else { "SELECT " };
            let _ = writeln!(text, "```sql\n{select}{};\n```\n", f.example);
        }
    }
    text
}

fn of_settings() -> String {
    let entries = RejoinOptions::default().entries();
    let rows = entries.into_iter().map(|e| {
        let default = e.value.filter(|v| !v.is_empty()).map(|v| format!(" Default: `{v}`.")).unwrap_or_default();
        (code(&format!("rejoin.{}", e.key)), format!("{}.{default}", e.description.trim().trim_end_matches('.')))
    });
    table(["SET", "meaning"], rows)
}

fn of_tables() -> String {
    let rows = shell::LARGE_TABLES.map(|(name, row)| (code(name), row.to_string()));
    let mut text = format!("## The large tables\n\n{}\n", table(["table", "one row is"], rows));
    for t in records::documentation() {
        let columns = t.columns.iter().map(|(name, meaning)| (code(name), meaning.to_string()));
        let _ =
            writeln!(text, "## {}\n\n{}\n\n{}", t.name, t.description.trim(), table(["column", "meaning"], columns));
    }
    text
}

fn of_reports() -> String {
    let rows = reports().into_iter().map(|r| {
        let parameters: Vec<&str> = r.parameters.iter().map(|p| p.name).collect();
        (code(r.name), format!("{} Parameters: {}.", r.description, parameters.join(", ")))
    });
    table(["report", "what it shows"], rows)
}

fn of_exports() -> String {
    let mut text = String::new();
    for target in Target::ALL {
        let rows = fields::of(target).iter().map(|field| {
            let how = match field.form {
                Form::Hashed(_) => " Hashed.",
                Form::Personal => " As it is, with `--plain`.",
                Form::Fixed => " By `--set`.",
                Form::Text | Form::Lower | Form::Click => "",
            };
            let needed = if field.required { " Needed." } else { "" };
            (code(field.name), format!("{}.{how}{needed}", field.about))
        });
        let _ = writeln!(text, "## Fields of {target}\n\n{}", table(["field", "meaning"], rows));
    }
    text
}

fn of_shell() -> String {
    format!("```\n{}\n```\n", shell::HELP)
}

fn of_exit_codes() -> String {
    let kinds = ErrorKind::ALL.iter().map(|k| (k.exit_code().to_string(), k.meaning().to_string()));
    let fine = ("0".to_string(), "Fine; a file of which some rows were rejected is fine, too.".to_string());
    let interrupted = ("130".to_string(), "Ctrl-C.".to_string());
    table(["code", "meaning"], [fine].into_iter().chain(kinds).chain([interrupted]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chapters_are_whole() {
        for topic in topics() {
            let text = topic.markdown();
            assert!(text.starts_with("# ") && text.len() > 200, "{}:\n{text}", topic.name);
            assert_eq!(text.matches("```").count() % 2, 0, "{}", topic.name);
        }
        assert!(topic("EXIT codes").is_some() && topic("nothing").is_none());
    }

    #[test]
    fn what_is_generated_is_there() {
        let all: String = topics().iter().map(Topic::markdown).collect();
        for text in [
            "participation(metric, dimension",
            "`rejoin.suite`",
            "transaction ID expires, under `classic`",
            "model_comparison",
        ] {
            assert!(all.contains(text), "{text}");
        }
        assert!(topic("exit-codes").is_some_and(|t| t.markdown().contains("| 70 |")));
    }

    /// What the chapters point to exists.
    #[test]
    fn references_lead_somewhere() {
        for chapter in topics() {
            let text = chapter.markdown();
            for (at, found) in text.match_indices("`rejoin help ") {
                let name: String = text[at + found.len()..].chars().take_while(|c| *c != '`').collect();
                assert!(topic(&name).is_some(), "{}: rejoin help {name}", chapter.name);
            }
        }
    }
}
