//! The one error of the crate: what went wrong, where, and the next step, with a kind that decides the exit code.
//!
//! Stages below (`feed`) have exact errors of their own; they are converted here, once. Messages are lower-case
//! fragments that say what, where and what to do.

#[cfg(test)]
mod canned_store;
mod causes;
pub mod library_words;
mod store_failure;

use std::fmt;
use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use causes::causes;
use library_words::{is_of_hash_join, line_and_column, store_failure_of_footer};

/// Declares the kinds with their exit codes; the documentation of each is also what the manual says.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal),* $(,)?) => {
        /// What class of failure this is; every door (exit code, later SQLSTATE and gRPC status) maps it in one table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorKind { $($(#[doc = $doc])* $name),* }

        impl ErrorKind {
            /// All kinds.
            pub const ALL: &[ErrorKind] = &[$(ErrorKind::$name),*];

            /// The process exit code of this kind, as documented in the manual.
            pub fn exit_code(self) -> u8 {
                match self { $(ErrorKind::$name => $code),* }
            }

            /// What happened, for a person.
            pub fn meaning(self) -> &'static str {
                match self { $(ErrorKind::$name => concat!($($doc),*)),* }
            }
        }
    };
}

kinds! {
    /// The command line or an argument does not make sense.
    Usage = 2,
    /// A suite, source, mapping or setting is missing or contradictory.
    Configuration = 3,
    /// A whole input was refused; nothing of it was loaded.
    Refused = 4,
    /// Another writer was faster, or a file of this name with other content is loaded already.
    Conflict = 5,
    /// The object store or a server does not answer as it should.
    Unavailable = 6,
    /// A query failed to plan or to run.
    Query = 7,
    /// A defect of Rejoin.
    Bug = 70,
}

/// An error with its kind, a message for a person, and the cause when there is one.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    spot: Option<Spot>,
    fault: Option<StatementFault>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What is wrong about a statement, where a program may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementFault {
    /// It is no SQL.
    Syntax,
    /// It names a table that there is not.
    Table,
    /// It names a column that there is not.
    Column,
    /// It names a column that several tables have.
    Ambiguous,
    /// It names a function or an operator that there is not, or not for such values.
    Function,
    /// It asks for a setting that there is not.
    Setting,
    /// It names a type or a role that there is not.
    Object,
    /// It names a schema that there is not.
    Schema,
    /// A text that is to be a time is none.
    Time,
    /// A text that is to be a time is one that there is not.
    TimeRange,
    /// A text that is to be a number, a truth value or bytes is none.
    Value,
    /// A number is none that its type holds.
    Range,
    /// It divides by zero.
    Division,
    /// It takes a root or a power of a number that has none.
    Power,
    /// It takes a logarithm of a number that has none.
    Logarithm,
    /// It shows a column that is neither grouped by nor aggregated, or aggregates where one row is looked at.
    Grouping,
    /// It looks at a window of rows where there is none.
    Windowing,
    /// A function has an argument that it does not take.
    Argument,
    /// A query that is to give one value gives several rows.
    Rows,
}

/// What in a statement an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    /// A name that stands in it.
    Name(String),
    /// A place in its text, both from 1.
    LineAndColumn(usize, usize),
}

/// Result of the crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! constructors {
    ($($name:ident => $kind:ident),*) => {$(
        #[doc = concat!("An error of kind `", stringify!($kind), "`.")]
        pub fn $name(message: impl Into<String>) -> Self {
            Self::new(ErrorKind::$kind, message)
        }
    )*};
}

impl Error {
    /// An error without a cause. What a message names may come from an input, and be as long as that: a word of more than
    /// 400 bytes is shown with its middle left out.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: short_words(message.into()), spot: None, fault: None, source: None }
    }

    constructors!(usage => Usage, configuration => Configuration, refused => Refused, conflict => Conflict,
        unavailable => Unavailable, query => Query, bug => Bug);

    /// Keeps the error that led to this one.
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Says what in a statement it is about.
    pub fn at_spot(mut self, spot: Spot) -> Self {
        self.spot = Some(spot);
        self
    }

    /// Says what is wrong about the statement.
    pub fn of_fault(mut self, fault: StatementFault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// What is wrong about the statement, where that is known.
    pub fn fault(&self) -> Option<StatementFault> {
        self.fault
    }

    /// What in a statement it is about, where that is known.
    pub fn spot(&self) -> Option<&Spot> {
        self.spot.as_ref()
    }

    /// The memory that the engine may take was not enough.
    pub fn out_of_memory(message: impl Into<String>) -> Self {
        let message = message.into();
        Self::query(message.clone()).caused_by(DataFusionError::ResourcesExhausted(message))
    }

    /// True when the memory that the engine may take was not enough.
    pub fn is_out_of_memory(&self) -> bool {
        causes(self)
            .filter_map(|e| e.downcast_ref::<DataFusionError>())
            .any(|e| matches!(e.find_root(), DataFusionError::ResourcesExhausted(_)))
    }

    /// Says where it happened: `at: message`, once.
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        let place = format!("{place}: ");
        if !self.message.starts_with(&place) {
            self.message.insert_str(0, &place);
        }
        self
    }

    /// Adds lines to the message.
    pub fn followed_by(mut self, lines: &str) -> Self {
        self.message = format!("{}\n{lines}", self.message);
        self
    }

    /// An error of ours that came through others, wherever it is in the chain of causes.
    pub fn of_ours<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
        causes(error).find_map(|e| e.downcast_ref::<Error>())
    }

    /// What an object store reports, wherever it is in the chain of causes, and what to do about it; or an error of ours that
    /// came through the store. None where `error` has another reason.
    pub fn of_store(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        if let Some(ours) = Error::of_ours(error) {
            return Some(ours.clone());
        }
        let store = causes(error).find_map(|e| e.downcast_ref::<object_store::Error>())?;
        Some(Error::unavailable(store_failure::describe(store)))
    }

    /// The class of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// Longest word of a message, bytes; of a longer one so many of its beginning and of its end are shown.
const WORD_BYTES: usize = 400;
const HEAD_BYTES: usize = 200;
const END_BYTES: usize = 100;

fn short_words(message: String) -> String {
    if message.len() <= WORD_BYTES {
        return message;
    }
    let short = |word: &str| match word.len() > WORD_BYTES {
        true => {
            let (head, end) = (word.floor_char_boundary(HEAD_BYTES), word.ceil_char_boundary(word.len() - END_BYTES));
            format!("{}…{}", &word[..head], &word[end..])
        }
        false => word.to_owned(),
    };
    message.split_inclusive(char::is_whitespace).map(short).collect()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        use DataFusionError as D;
        if let Some(ours) = Error::of_ours(&error) {
            return ours.clone();
        }
        let ours = match error.find_root() {
            root @ (D::ObjectStore(_) | D::ParquetError(_)) if Error::of_store(root).is_some() => {
                Error::of_store(root).unwrap_or_else(|| Error::unavailable(root.to_string()))
            }
            D::ParquetError(e) if let Some(said) = store_failure_of_footer(e) => {
                Error::unavailable(store_failure::store_says(said, "its server cannot be reached"))
            }
            D::SQL(parser, _) => match parser.as_ref() {
                ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
                    let spot = line_and_column(message).map(|(line, column)| Spot::LineAndColumn(line, column));
                    Error { spot, fault: Some(StatementFault::Syntax), ..Error::query(message.clone()) }
                }
                ParserError::RecursionLimitExceeded => {
                    Error::query("this is nested too deeply; take parts out with WITH")
                }
            },
            root @ D::ResourcesExhausted(_) => {
                let words = root.strip_backtrace();
                let joins = if is_of_hash_join(&words) { JOINS_SORT } else { "" };
                Error::query(format!("{words}; give more --memory, or ask for less at once{joins}"))
            }
            D::ArrowError(arrow, _) if let Some(ours) = of_arithmetic(arrow) => ours,
            D::Plan(m) | D::Configuration(m) | D::Execution(m) => Error::query(m.clone()),
            root => Error::query(root.strip_backtrace()),
        };
        ours.caused_by(error)
    }
}

/// What arithmetic could not do; None for other errors.
fn of_arithmetic(error: &ArrowError) -> Option<Error> {
    let (message, fault) = match error {
        ArrowError::DivideByZero => {
            ("division by zero; NULLIF(divisor, 0) gives NULL for it".to_string(), StatementFault::Division)
        }
        ArrowError::ArithmeticOverflow(what) => {
            let advice = "a number is out of the range of its type; CAST to DOUBLE has a wider one";
            (format!("{advice} ({what})"), StatementFault::Range)
        }
        _ => return None,
    };
    Some(Error::query(message).of_fault(fault))
}

/// What to do about the memory of a join that keeps one side in a table.
const JOINS_SORT: &str = "; joins that sort both sides go to disk: SET datafusion.optimizer.prefer_hash_join = false";

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::ExternalError(e) => match e.downcast::<Error>() {
                Ok(e) => *e,
                Err(e) => {
                    let message = e.to_string();
                    Error { source: Some(Arc::from(e)), ..Error::query(message) }
                }
            },
            e => of_arithmetic(&e).unwrap_or_else(|| Error::query(e.to_string())).caused_by(e),
        }
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Error::of_store(&error).unwrap_or_else(|| Error::unavailable(format!("parquet: {error}"))).caused_by(error)
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        Error::of_store(&error).unwrap_or_else(|| Error::unavailable(error.to_string())).caused_by(error)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::unavailable(error.to_string()).caused_by(error)
    }
}

/// What other systems call it, and what we do.
const ELSEWHERE: [(&str, &str); 26] = [
    ("campaign", "tracking_code"),
    ("channel", "marketing_channel"),
    ("lastclick", "last_touch"),
    ("last_click", "last_touch"),
    ("last", "last_touch"),
    ("firstclick", "first_touch"),
    ("first_click", "first_touch"),
    ("first", "first_touch"),
    ("position_based", "u_shaped"),
    ("even", "linear"),
    ("data_driven", "algorithmic"),
    ("timestamp", "hit_time"),
    ("last click", "last_touch"),
    ("first click", "first_touch"),
    ("session", "visit"),
    ("sessions", "visits"),
    ("user", "visitor"),
    ("customer", "person"),
    ("customer", "customer_id"),
    ("user_id", "customer_id"),
    ("visitor", "visitor_id"),
    ("transaction", "transaction_id"),
    ("order_id", "transaction_id"),
    ("purchases", "orders"),
    ("page", "page_name"),
    ("url", "page_url"),
];

/// "; did you mean orders?" for the nearest of `known`, or nothing when none is near.
pub fn did_you_mean<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(&wrong.to_lowercase(), &known.into_iter().collect::<Vec<_>>())
}

fn nearest(wrong: &str, known: &[&str]) -> String {
    let meant = ELSEWHERE.iter().find(|(name, ours)| *name == wrong && known.contains(ours));
    if let Some((_, ours)) = meant {
        return format!("; did you mean {ours}?");
    }
    // what is this long nobody has typed, and it would fill the message
    let short = |name: &str| name.len() <= HEAD_BYTES;
    let length = |name: &str| name.chars().count();
    known
        .iter()
        .filter(|k| short(k) && short(wrong))
        .map(|k| (strsim::damerau_levenshtein(wrong, &k.to_lowercase()), k))
        .filter(|(d, k)| *d <= 1 + length(k).max(length(wrong)) / 3)
        .min()
        .map(|(_, k)| format!("; did you mean {k}?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn long_names_are_not_suggested() {
        let long = format!("referre{}", "\u{1f4b6}".repeat(700));
        assert_eq!(did_you_mean("revenue", [long.as_str()]), "");
        assert_eq!(did_you_mean(&long, ["referrer"]), "");
        // lengths are those of people, not of bytes
        assert_eq!(did_you_mean("ab", ["éèàù"]), "");
    }

    #[test]
    fn what_is_called_otherwise_elsewhere_is_suggested() {
        for (wrong, known, expected) in [
            ("visitor", ["visit", "visitor_id"], "; did you mean visitor_id?"),
            ("customer", ["time", "customer_id"], "; did you mean customer_id?"),
            ("customer", ["customer_id", "person"], "; did you mean person?"),
            ("visitor", ["visit", "time"], "; did you mean visit?"),
        ] {
            assert_eq!(did_you_mean(wrong, known), expected);
        }
    }

    #[test]
    fn long_words_are_shown_in_part() {
        let name = "n".repeat(5000);
        let text = Error::refused(format!("there is no suite {name} (create it)")).to_string();
        assert!(text.starts_with("there is no suite nnn") && text.ends_with("nnn (create it)"), "{text}");
        assert!(text.len() < 400, "{text}");
        let signs = "\u{feff}é".repeat(200);
        assert!(Error::refused(signs.clone()).to_string().len() < 310);
        let lines = format!("two words\nof {}", "a path/".repeat(100));
        assert_eq!(Error::refused(lines.clone()).to_string(), lines);
    }

    #[test]
    fn what_arithmetic_cannot_do_is_told() {
        for (error, fault) in [
            (ArrowError::DivideByZero, StatementFault::Division),
            (ArrowError::ArithmeticOverflow("9 + 1".into()), StatementFault::Range),
        ] {
            let through = DataFusionError::Context("in a plan".into(), Box::new(error.into()));
            assert_eq!(Error::from(through).fault(), Some(fault));
        }
        assert_eq!(Error::from(ArrowError::DivideByZero).fault(), Some(StatementFault::Division));
        assert_eq!(Error::from(ArrowError::ComputeError("none".into())).fault(), None);
    }

    #[test]
    fn a_place_is_named_once() {
        let error = || Error::refused("a.csv: no such file");
        assert_eq!(error().at("a.csv").to_string(), "a.csv: no such file");
        assert_eq!(error().at("line 3").to_string(), "line 3: a.csv: no such file");
        assert_eq!(error().at("a").to_string(), "a: a.csv: no such file");
    }
}
