//! Settings of a connection under Postgres' names: `SET`, `RESET`, `SHOW`, `current_setting()`, `pg_settings` and the start of a
//! connection read and write the same.
//!
//! Invariant: what is agreed to holds. A value that would change answers and is not served is refused; what steers Postgres'
//! planner, memory or log changes no answer here and is kept as it was said.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use datafusion::common::config::ConfigOptions;

use crate::ErrorKind;
use crate::serve::failure::{Failure, Reason};
use crate::time::{Zone, named_zone, parse_span, written_offset};

/// Which values a setting takes.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// None: it says what the server is.
    Fixed,
    /// One of these, which all mean its only value.
    One(&'static [&'static str]),
    /// Anything; it changes no answer.
    Any,
    /// A length of time.
    Time,
    /// A time zone.
    Zone,
}

/// A setting that the door answers for.
#[derive(Debug)]
struct Setting {
    name: &'static str,
    value: &'static str,
    rule: Rule,
    /// Clients get it in a `ParameterStatus` when they connect.
    reported: bool,
}

/// The zone in which times are shown and read.
pub const TIME_ZONE: &str = "TimeZone";
/// What the engine calls it.
pub const ZONE_OF_ENGINE: &str = "datafusion.execution.time_zone";
/// The SQLSTATE of a name that nobody knows.
pub const UNKNOWN_SETTING: &str = "42704";
/// What the client calls itself.
pub const APPLICATION: &str = "application_name";

/// The reported settings that can change: each change is reported, too.
pub const REPORTED_CHANGES: &[&str] = &[APPLICATION, TIME_ZONE];

const ON: Rule = Rule::One(&["on", "true", "yes", "1"]);
/// Names of UTC.
const UTC: &[&str] =
    &["utc", "gmt", "etc/utc", "etc/gmt", "uct", "zulu", "z", "universal", "0", "+0", "-0", "+00", "+00:00"];
const UTF8: Rule = Rule::One(&["utf8", "utf-8", "unicode"]);
const ISO: Rule = Rule::One(&[
    "iso",
    "iso, mdy",
    "iso,mdy",
    "iso, dmy",
    "iso,dmy",
    "iso, ymd",
    "iso,ymd",
    "iso, us",
    "iso, european",
]);
const ISOLATION: Rule =
    Rule::One(&["repeatable read", "read committed", "read uncommitted", "serializable", "snapshot"]);

const fn setting(name: &'static str, value: &'static str, rule: Rule) -> Setting {
    Setting { name, value, rule, reported: false }
}

const fn reported(name: &'static str, value: &'static str, rule: Rule) -> Setting {
    Setting { name, value, rule, reported: true }
}

const SETTINGS: &[Setting] = &[
    reported("server_version", "16.0 (Rejoin)", Rule::Fixed),
    reported("server_encoding", "UTF8", Rule::Fixed),
    reported("client_encoding", "UTF8", UTF8),
    reported("DateStyle", "ISO, MDY", ISO),
    reported("IntervalStyle", "postgres", Rule::One(&["postgres"])),
    reported(TIME_ZONE, "UTC", Rule::Zone),
    reported("integer_datetimes", "on", Rule::Fixed),
    reported("standard_conforming_strings", "on", ON),
    reported("is_superuser", "off", Rule::Fixed),
    reported("in_hot_standby", "off", Rule::Fixed),
    reported("default_transaction_read_only", "on", ON),
    reported(APPLICATION, "", Rule::Any),
    reported("session_authorization", "", Rule::Fixed),
    setting("array_nulls", "on", ON),
    setting("block_size", "8192", Rule::Fixed),
    setting("bytea_output", "hex", Rule::One(&["hex"])),
    setting("check_function_bodies", "on", Rule::Any),
    setting("client_min_messages", "notice", Rule::Any),
    setting("default_table_access_method", "heap", Rule::Any),
    setting("default_tablespace", "", Rule::Any),
    setting("default_text_search_config", "pg_catalog.simple", Rule::Any),
    setting("default_transaction_deferrable", "off", Rule::Any),
    setting("default_transaction_isolation", "repeatable read", ISOLATION),
    setting("escape_string_warning", "on", Rule::Any),
    setting("extra_float_digits", "1", Rule::Any),
    setting("idle_in_transaction_session_timeout", "0", Rule::Any),
    setting("idle_session_timeout", "0", Rule::Any),
    setting("jit", "off", Rule::Any),
    setting("lc_collate", "C", Rule::Fixed),
    setting("lc_ctype", "C", Rule::Fixed),
    setting("lc_messages", "C", Rule::Any),
    setting("lc_monetary", "C", Rule::Any),
    setting("lc_numeric", "C", Rule::Any),
    setting("lc_time", "C", Rule::Any),
    setting("lock_timeout", "0", Rule::Any),
    setting("max_connections", "100", Rule::Fixed),
    setting("max_identifier_length", "63", Rule::Fixed),
    setting("max_index_keys", "32", Rule::Fixed),
    setting("password_encryption", "scram-sha-256", Rule::Any),
    setting("plan_cache_mode", "auto", Rule::Any),
    setting("quote_all_identifiers", "off", Rule::Any),
    setting("role", "none", Rule::One(&["none"])),
    setting("row_security", "on", Rule::Any),
    setting("search_path", "\"$user\", public", Rule::Any),
    setting("server_version_num", "160000", Rule::Fixed),
    setting("session_replication_role", "origin", Rule::Any),
    setting("ssl", "on", Rule::Fixed),
    setting("statement_timeout", "0", Rule::Time),
    setting("synchronous_commit", "on", Rule::Any),
    setting("temp_tablespaces", "", Rule::Any),
    setting("timezone_abbreviations", "Default", Rule::Any),
    setting("transaction_deferrable", "off", Rule::Any),
    setting("transaction_isolation", "repeatable read", ISOLATION),
    setting("transaction_read_only", "on", ON),
    setting("transaction_timeout", "0", Rule::Any),
    setting("work_mem", "4MB", Rule::Any),
    setting("xmloption", "content", Rule::Any),
];

/// What steers Postgres' planner, memory, workers and log, by the beginnings of its names.
const ELSEWHERE: &[&str] = &[
    "auto_explain",
    "backend_flush",
    "commit_",
    "constraint_exclusion",
    "cpu_",
    "cursor_tuple",
    "deadlock_",
    "debug_",
    "default_statistics",
    "default_table_access",
    "default_toast",
    "effective_",
    "enable_",
    "from_collapse",
    "geqo",
    "gin_",
    "hash_mem",
    "jit",
    "join_collapse",
    "log_",
    "logical_decoding",
    "maintenance_",
    "max_parallel",
    "max_stack",
    "min_parallel",
    "parallel_",
    "pg_stat",
    "random_page",
    "recursive_worktable",
    "seq_page",
    "stats_",
    "tcp_",
    "temp_buffers",
    "temp_file",
    "track_",
    "update_process",
    "vacuum_",
    "wal_",
    "zero_damaged",
];

/// Settings that functions and tables of the session read, too.
pub type SharedSettings = Arc<Mutex<Settings>>;

/// Settings of one connection.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// As the connection began.
    first: BTreeMap<String, String>,
    /// What was said since.
    said: BTreeMap<String, String>,
}

impl Settings {
    /// Says something before the first statement; `RESET` comes back to it.
    pub fn begin_with(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        let (name, value) = self.checked(name, value)?;
        self.first.insert(name, value);
        Ok(())
    }

    /// What the server itself knows of the connection.
    pub fn of_server(&mut self, name: &'static str, value: &str) {
        self.first.insert(name.to_string(), value.to_string());
    }

    /// Sets one.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        let (name, value) = self.checked(name, value)?;
        self.said.insert(name, value);
        Ok(())
    }

    /// Sets one back to what it was at the start.
    pub fn reset(&mut self, name: &str) -> Result<(), Failure> {
        let name = canonical(name);
        if self.get(&name).is_none() {
            return Err(unknown(&name));
        }
        self.said.remove(&name);
        Ok(())
    }

    /// Sets all back.
    pub fn reset_all(&mut self) {
        self.said.clear();
    }

    /// A value; None where nobody knows the name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let name = canonical(name);
        let said = self.said.get(&name).or_else(|| self.first.get(&name)).map(String::as_str);
        said.or_else(|| find(&name).map(|setting| setting.value))
    }

    /// A name as it is shown, and its value.
    pub fn shown(&self, name: &str) -> Result<(String, String), Failure> {
        let name = canonical(name);
        match self.get(&name) {
            Some(value) => Ok((name.clone(), value.to_string())),
            None => Err(unknown(&name)),
        }
    }

    /// All settings with their values, and what they were at the start.
    pub fn all(&self) -> Vec<(String, String, String)> {
        let mut names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
        names.extend(self.first.keys().chain(self.said.keys()).map(String::as_str));
        names.sort_by_key(|name| name.to_lowercase());
        names.dedup();
        let value = |name: &str| self.get(name).unwrap_or_default().to_string();
        let first = |name: &str| {
            let first = self.first.get(name).map(String::as_str).or_else(|| find(name).map(|setting| setting.value));
            first.unwrap_or_default().to_string()
        };
        names.into_iter().map(|name| (name.to_string(), value(name), first(name))).collect()
    }

    /// The settings that a client gets when it connects.
    pub fn reported(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let reported = SETTINGS.iter().filter(|setting| setting.reported);
        reported.map(|setting| (setting.name, self.get(setting.name).unwrap_or_default()))
    }

    /// The zone in which times are shown and read.
    pub fn zone(&self) -> Zone {
        // what was set is a zone
        self.get(TIME_ZONE).and_then(|name| Zone::of_text(name).ok()).unwrap_or(Zone::UTC)
    }

    /// How long a statement may take; zero is as long as the server allows.
    pub fn statement_timeout(&self) -> Duration {
        self.get("statement_timeout").and_then(|text| duration(text).ok()).unwrap_or_default()
    }

    /// The name as it is kept, and the value as it is shown.
    fn checked(&self, name: &str, value: &str) -> Result<(String, String), Failure> {
        let name = canonical(name);
        let Some(setting) = find(&name) else {
            let free = name.contains('.') || ELSEWHERE.iter().any(|start| name.to_lowercase().starts_with(start));
            return if free { Ok((name, value.to_string())) } else { Err(unknown(&name)) };
        };
        let wrong = |what: &str| usage("22023", format!("invalid value for parameter {name:?}: {value:?}{what}"));
        let value = match setting.rule {
            Rule::Fixed => return Err(usage("55P02", format!("parameter {name:?} cannot be changed"))),
            Rule::Any => value.to_string(),
            Rule::One(accepted) => match accepted.contains(&value.trim_matches('\'').to_lowercase().as_str()) {
                true => setting.value.to_string(),
                false => {
                    let advice = match setting.name {
                        "default_transaction_read_only" | "transaction_read_only" => {
                            "; this door is for questions: it writes nothing".to_string()
                        }
                        _ => format!("; it is {} here", setting.value),
                    };
                    return Err(wrong(&advice));
                }
            },
            Rule::Zone => match zone_of(value) {
                Ok(Some(zone)) => zone,
                // as the connection began
                Ok(None) => self.first.get(&name).map_or(setting.value, String::as_str).to_string(),
                Err(why) => return Err(wrong(&why)),
            },
            Rule::Time => match duration(value) {
                Ok(_) if value.bytes().all(|b| b.is_ascii_digit()) && value != "0" => format!("{value}ms"),
                Ok(_) => value.to_string(),
                Err(()) => return Err(wrong(": expected milliseconds, or a number with ms, s, min, h or d")),
            },
        };
        Ok((name, value))
    }
}

/// The name as it is shown: `timezone` is `TimeZone`.
fn canonical(name: &str) -> String {
    let name = match name.to_lowercase().as_str() {
        "time zone" | "time.zone" | ZONE_OF_ENGINE => TIME_ZONE,
        "transaction isolation level" => "transaction_isolation",
        "session authorization" | "session.authorization" => "session_authorization",
        "names" => "client_encoding",
        _ => name,
    };
    find(name).map_or_else(|| name.to_lowercase(), |setting| setting.name.to_string())
}

fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name.eq_ignore_ascii_case(name))
}

fn unknown(name: &str) -> Failure {
    let hint = crate::error::did_you_mean(name, SETTINGS.iter().map(|setting| setting.name));
    usage(UNKNOWN_SETTING, format!("unrecognized configuration parameter {name:?}{hint}"))
}

fn usage(state: &'static str, message: String) -> Failure {
    Failure::new(Reason::Engine(ErrorKind::Usage), message).with_sqlstate(state)
}

/// The name of the zone that a text names; None for `LOCAL`. Hours ahead of UTC are a zone, too.
fn zone_of(text: &str) -> Result<Option<String>, String> {
    let text = text.trim().trim_matches('\'');
    if text.eq_ignore_ascii_case("local") || text.eq_ignore_ascii_case("default") {
        return Ok(None);
    }
    if UTC.contains(&text.to_lowercase().as_str()) {
        return Ok(Some("UTC".to_string()));
    }
    let zone = match text.parse::<f64>() {
        Ok(hours) if hours.is_finite() => {
            let advice = "; a zone is less than 24 hours from UTC, to the minute, or has a name such as 'Asia/Kolkata'";
            Zone::ahead((hours * 3600.0).round() as i32).ok_or_else(|| advice.to_string())?
        }
        _ => Zone::of_text(text).map_err(|why| {
            let hint = why.split_once(';').map(|(_, hint)| format!(";{hint}")).unwrap_or_default();
            format!("{hint}; a zone has a name such as 'Europe/Berlin'")
        })?,
    };
    Ok(Some(shown_name(zone)))
}

/// What a zone is called that clients set: as POSIX writes it, where it has no name. The names of whole hours count westward, too.
fn shown_name(zone: Zone) -> String {
    let whole = match zone {
        Zone::Fixed(0) => Some(Zone::UTC),
        Zone::Fixed(seconds) if seconds % 3600 == 0 => {
            named_zone(&format!("Etc/GMT{:+}", -seconds / 3600)).ok().map(Zone::Named)
        }
        _ => None,
    };
    match whole.unwrap_or(zone) {
        Zone::Fixed(seconds) => format!("<{}>{}", written_offset(seconds), written_offset(-seconds)),
        named => named.type_name(),
    }
}

/// `5000` (milliseconds), `5s`, `2min`, `1h`, as Postgres has them.
fn duration(text: &str) -> Result<Duration, ()> {
    let span = parse_span(text, Some("ms"));
    let micros = span.ok().and_then(|span| u64::try_from(span.micros()).ok());
    micros.map(Duration::from_micros).ok_or(())
}

/// A setting of the engine; those of ours are listed there without their prefix.
pub fn setting_of_engine(settings: &ConfigOptions, name: &str) -> Option<String> {
    let name = name.to_lowercase();
    let key = name.strip_prefix("rejoin.").unwrap_or(&name);
    settings.entries().into_iter().find(|entry| entry.key == key).and_then(|entry| entry.value)
}

/// What the `options` of a connection's start say: `-c name=value --name=value`, with backslashes before blanks.
pub fn options(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut words: Vec<String> = vec![];
    let (mut word, mut signs) = (String::new(), text.chars());
    while let Some(sign) = signs.next() {
        match sign {
            '\\' => word.extend(signs.next()),
            sign if sign.is_whitespace() => words.push(std::mem::take(&mut word)),
            sign => word.push(sign),
        }
    }
    words.push(word);
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut said = vec![];
    while let Some(word) = words.next() {
        let assignment = match word.strip_prefix("--") {
            Some(assignment) => assignment.to_string(),
            None if word == "-c" => words.next().unwrap_or_default(),
            None => word.strip_prefix("-c").unwrap_or_default().to_string(),
        };
        let Some((name, value)) = assignment.split_once('=') else {
            return Err(usage("22023", format!("options {text:?}: expected -c name=value")));
        };
        said.push((name.replace('-', "_"), value.to_string()));
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_agreed_to_holds() {
        let mut settings = Settings::default();
        settings.begin_with("application_name", "first").unwrap();
        for (name, value, shown) in [
            ("application_name", "x", "x"),
            ("CLIENT_ENCODING", "'utf-8'", "UTF8"),
            ("statement_timeout", "250", "250ms"),
            ("statement_timeout", "5s", "5s"),
            ("timezone", "Etc/UTC", "UTC"),
            ("TIME ZONE", "europe/berlin", "Europe/Berlin"),
            ("TimeZone", "-3", "Etc/GMT+3"),
            ("TimeZone", "+02", "Etc/GMT-2"),
            ("TimeZone", "LOCAL", "UTC"),
            // as POSIX has it they count westward
            ("TimeZone", "UTC+2", "Etc/GMT+2"),
            ("TimeZone", "<+02>-02", "Etc/GMT-2"),
            ("TimeZone", "+02:00", "Etc/GMT+2"),
            ("TimeZone", "EST5EDT", "EST5EDT"),
            ("TimeZone", "5.5", "<+05:30>-05:30"),
            ("TimeZone", "-5.75", "<-05:45>+05:45"),
            ("TimeZone", "+05:30", "<-05:30>+05:30"),
            ("TimeZone", "-05:30", "<+05:30>-05:30"),
            ("TimeZone", "<+0530>-5:30", "<+05:30>-05:30"),
            ("TimeZone", "20", "<+20>-20"),
            ("search_path", "public", "public"),
            ("enable_seqscan", "off", "off"),
            ("mine.tag", "7", "7"),
        ] {
            settings.set(name, value).unwrap();
            assert_eq!(settings.get(name), Some(shown), "{name}");
        }
        assert_eq!(settings.statement_timeout(), Duration::from_secs(5));
        settings.set("TimeZone", "5.5").unwrap();
        assert_eq!(settings.zone().type_name(), "+05:30");
        for (name, value, state) in [
            ("client_encoding", "LATIN1", "22023"),
            ("TimeZone", "Europe/Berln", "22023"),
            ("TimeZone", "99", "22023"),
            ("TimeZone", "5.501", "22023"),
            ("TimeZone", "inf", "22023"),
            ("TimeZone", "UTC+25", "22023"),
            ("TimeZone", "<+02", "22023"),
            ("TimeZone", "EST5EDT4", "22023"),
            ("DateStyle", "German", "22023"),
            ("statement_timeout", "soon", "22023"),
            ("server_version", "9", "55P02"),
            ("aplication_name", "x", "42704"),
        ] {
            assert_eq!(settings.set(name, value).unwrap_err().sqlstate(), state, "{name}");
        }
        settings.reset("statement_timeout").unwrap();
        assert_eq!(settings.statement_timeout(), Duration::ZERO);
        settings.reset_all();
        assert_eq!(settings.get("application_name"), Some("first"));
        assert_eq!(settings.get("enable_seqscan"), None);
    }

    #[test]
    fn options_of_the_start() {
        let said = options("-c statement_timeout=5s --search-path=a,\\ b -crejoin.suite=web").unwrap();
        let said: Vec<_> = said.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(said, [("statement_timeout", "5s"), ("search_path", "a, b"), ("rejoin.suite", "web")]);
        assert!(options("-x").is_err());
        assert_eq!(options(" ").unwrap(), []);
    }
}
