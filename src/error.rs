//! The one error of the crate: what went wrong, where, and the next step, with a kind that decides the exit code.
//!
//! Stages below (`feed`) have exact errors of their own; they are converted here, once. Messages are lower-case
//! fragments that say what, where and what to do.

use std::fmt;

use datafusion::sql::sqlparser::parser::ParserError;

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
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
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
    /// An error without a cause.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    constructors!(usage => Usage, configuration => Configuration, refused => Refused, conflict => Conflict,
        unavailable => Unavailable, query => Query, bug => Bug);

    /// Keeps the error that led to this one.
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says where it happened: `at: message`.
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// What an object store reports, wherever it is in the chain of causes, and what to do about it; or an error of ours that
    /// came through the store. None where `error` has another reason.
    pub fn of_store(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let causes = || std::iter::successors(Some(error), |e| e.source());
        if let Some(ours) = causes().find_map(|e| e.downcast_ref::<Error>()) {
            return Some(Error::new(ours.kind, ours.message.clone()));
        }
        let store = causes().find_map(|e| e.downcast_ref::<object_store::Error>())?;
        let text = store.to_string();
        let denied = |text: &str| text.contains("403 Forbidden") || text.contains("401 Unauthorized");
        let next = match store {
            // listings say it in words only
            _ if denied(&text) => "; check the credentials (AWS_ACCESS_KEY_ID and others) and what they allow",
            _ if text.contains("169.254.") => {
                "; no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where the machine has a role"
            }
            _ if text.contains("NoSuchBucket") => "; create the bucket first",
            _ if text.contains("HTTP error") => "; check AWS_ENDPOINT_URL and the network, then run `rejoin doctor`",
            _ => "",
        };
        Some(Error::unavailable(format!("{text}{next}")))
    }

    /// The class of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
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

impl From<datafusion::error::DataFusionError> for Error {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        use datafusion::error::DataFusionError as D;
        match error.find_root() {
            root @ (D::ObjectStore(_) | D::ParquetError(_)) if Error::of_store(root).is_some() => {
                Error::of_store(root).unwrap_or_else(|| Error::unavailable(root.to_string()))
            }
            // the reader of footers keeps of a store's error only the words
            D::ParquetError(e) if e.to_string().contains("Object Store error") => Error::unavailable(e.to_string()),
            D::External(e) if e.downcast_ref::<Error>().is_some() => {
                let inner = e.downcast_ref::<Error>().map(|e| Error::new(e.kind, e.message.clone()));
                inner.unwrap_or_else(|| Error::query(error.to_string()))
            }
            D::SQL(error, _) => Error::query(match error.as_ref() {
                ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.clone(),
                ParserError::RecursionLimitExceeded => {
                    "this is nested too deeply; take parts out with WITH".to_string()
                }
            }),
            root @ D::ResourcesExhausted(_) => {
                Error::query(format!("{}; give more --memory, or ask for less at once", root.strip_backtrace()))
            }
            D::Plan(m) | D::Configuration(m) | D::Execution(m) => Error::query(m.clone()),
            root => Error::query(root.strip_backtrace()),
        }
    }
}

impl From<Error> for datafusion::error::DataFusionError {
    fn from(error: Error) -> Self {
        datafusion::error::DataFusionError::External(Box::new(error))
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        match error {
            arrow::error::ArrowError::ExternalError(e) => match e.downcast::<Error>() {
                Ok(e) => *e,
                Err(e) => Error::query(e.to_string()),
            },
            e => Error::query(e.to_string()),
        }
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Error::of_store(&error).unwrap_or_else(|| Error::unavailable(format!("parquet: {error}")))
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        Error::of_store(&error).unwrap_or_else(|| Error::unavailable(error.to_string()))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::unavailable(error.to_string())
    }
}

/// "; did you mean orders?" for the nearest of `known`, or nothing when none is near.
pub fn did_you_mean<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let wrong = wrong.to_lowercase();
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&wrong, &k.to_lowercase()), k))
        .filter(|(d, k)| *d <= 1 + k.len().max(wrong.len()) / 3)
        .min()
        .map(|(_, k)| format!("; did you mean {k}?"))
        .unwrap_or_default()
}
