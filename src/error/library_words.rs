//! What libraries say of a failure in words only: all reading of such words is here.
//!
//! Where a library gives a value (a variant, a status, the error beneath), that value decides; nothing else in the program looks into a
//! message. Each function says why there is no value. The tests make the libraries fail, so that an update with other words fails them.

use datafusion::error::DataFusionError;
use parquet::errors::ParquetError;

/// What DataFusion, Arrow and Ballista put before what is wrong. Each of them writes the error beneath into a text of its own, so
/// that the names of all layers stand in one line.
const LAYERS: [&str; 13] = [
    "Job failed due to stage ",
    "DataFusion error:",
    "Error during planning:",
    "Execution error:",
    "Arrow error:",
    "Parser error:",
    "Cast error:",
    "External error:",
    "Internal error:",
    "General error:",
    "Grpc Execute Action error:",
    "DataFusionError(",
    "Context(",
];

/// What is wrong, without the layers of the libraries that it came through.
pub fn without_layers(said: &str) -> &str {
    let mut said = said.trim();
    while let Some(rest) = LAYERS.iter().find_map(|layer| said.strip_prefix(layer)) {
        said = rest.trim_start();
    }
    said
}

/// The function and the types that it was given, where the types are none that it takes. The planner has them as values, and hands
/// on a `DataFusionError::Plan` with a text.
pub fn unfit_arguments(error: &DataFusionError) -> Option<(String, String)> {
    let message = error.to_string();
    let (_, call) = message.split_once("No function matches the given name and argument types '")?;
    let (function, types) = call.split_once("'")?.0.split_once('(')?;
    Some((function.to_string(), types.strip_suffix(')').unwrap_or(types).to_string()))
}

/// The function that there is not, or not without OVER. The planner has its name, and hands on a `DataFusionError::Plan` with a text.
pub fn unknown_function(error: &DataFusionError) -> Option<String> {
    let message = error.to_string();
    let (_, named) = message.split_once("Invalid function '")?;
    Some(named.split_once('\'')?.0.to_string())
}

/// An operator between types that do not go together, as it was written: `Utf8 + Int64`.
#[derive(Debug, PartialEq, Eq)]
pub enum UnfitOperands {
    /// It computes.
    Arithmetic(String),
    /// It compares.
    Comparison(String),
}

impl UnfitOperands {
    /// Those that an error is about. Coercion has them as values, and hands on a `DataFusionError::Plan` with a text.
    pub fn of(error: &DataFusionError) -> Option<Self> {
        let message = error.to_string();
        if let Some((_, operands)) = message.split_once("Cannot coerce arithmetic expression ") {
            return Some(Self::Arithmetic(operands.split_once(" to valid types")?.0.to_string()));
        }
        let (_, operands) = message.split_once("Cannot infer common argument type for comparison operation ")?;
        Some(Self::Comparison(operands.lines().next()?.to_string()))
    }
}

/// The first word, in capitals, of a statement that the planner does not know. It says so by `DataFusionError::NotImplemented`,
/// as it says much else.
pub fn unknown_statement(error: &DataFusionError) -> Option<String> {
    let message = error.to_string();
    let (_, statement) = message.split_once("Unsupported SQL statement: ")?;
    Some(statement.split_whitespace().next()?.to_uppercase())
}

/// True where a job ended because a stage could not read the rows of another one: of that alone the scheduler counts how often. Its
/// `FailedJob` has nothing but a text. The tests of clusters that lose executors hold this.
pub fn has_lost_rows(said: &str) -> bool {
    said.contains("has failed 1 times, most recent failure reason")
}

/// Where in a text the parser stopped: line and column, both from 1. Its errors have no place but in their words.
pub(super) fn line_and_column(message: &str) -> Option<(usize, usize)> {
    let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<usize>().ok();
    let rest = message.split_once("Line: ")?.1;
    let line = number(rest)?;
    let column = number(rest.split_once("Column: ")?.1)?;
    (line > 0 && column > 0).then_some((line, column))
}

/// True where the memory was not enough for a join that keeps one side in a table, which cannot go to disk. Whose memory it was
/// stands only in the text of `DataFusionError::ResourcesExhausted`.
pub(super) fn is_of_hash_join(words: &str) -> bool {
    words.contains("HashJoinInput")
}

/// What a store said that failed while a footer, or what is beside it, was read: DataFusion's reader makes a text of the error.
pub(super) fn store_failure_of_footer(error: &ParquetError) -> Option<&str> {
    let ParquetError::General(words) = error else { return None };
    ["Object Store error", "Parquet error: External: "]
        .iter()
        .any(|said| words.contains(said))
        .then_some(words.as_str())
}

/// A request to a store that failed. What came of it is a value of `RetryError`, which object_store keeps to itself: others see its
/// text.
pub(super) struct FailedRequest<'a> {
    pub method: &'a str,
    /// Without what it asks.
    pub url: &'a str,
    /// How long it was tried, seconds.
    pub seconds: Option<f64>,
    pub outcome: Outcome<'a>,
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome<'a> {
    /// An answer: its status, where that says that it is an error, and status and body as they are written.
    Answer(Option<u16>, &'a str),
    /// A redirection that leads nowhere.
    Redirection(&'a str),
    /// No answer.
    Silence,
    /// Something else.
    Other(&'a str),
}

impl<'a> FailedRequest<'a> {
    /// Reads `Error performing GET http://host/path?query in 15.01s, after 23 retries, ...  - what came of it`.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let (request, came) = text.rsplit_once("Error performing ")?.1.split_once(" - ")?;
        let mut words = request.split(' ');
        let (method, url) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let seconds = words.nth(1).and_then(|took| took.trim_end_matches([',', 's']).parse().ok());
        let outcome = match came.strip_prefix("Server returned ") {
            Some(answer) => {
                let answer = answer.split_once("status code: ").or_else(|| answer.split_once("response: "));
                let answer = answer.map_or(came, |(_, answer)| answer);
                Outcome::Answer(answer.split(' ').next().and_then(|status| status.parse().ok()), answer)
            }
            None if came.starts_with("HTTP error") => Outcome::Silence,
            None if came.starts_with("Received redirect without LOCATION") => Outcome::Redirection(came),
            None => Outcome::Other(came),
        };
        Some(Self { method, url: url.split('?').next().unwrap_or_default(), seconds, outcome })
    }
}

/// True where what answered a list is no S3 store. The error that says so is one of object_store's own.
pub(super) fn is_no_list(text: &str) -> bool {
    text.contains("Got invalid list response")
}

/// True where the reason of a silence is that there is no such host. The standard library has no `ErrorKind` for it.
pub(super) fn is_unknown_host(reason: &str) -> bool {
    reason.contains("failed to lookup address information")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::ToSocketAddrs;
    use std::sync::Arc;

    use datafusion::datasource::listing::PartitionedFile;
    use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
    use datafusion::datasource::physical_plan::parquet::DefaultParquetFileReaderFactory;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;
    use crate::error::canned_store::{Ending, store};

    /// What DataFusion says of a statement that cannot be planned.
    async fn planning(sql: &str) -> DataFusionError {
        match SessionContext::new().sql(sql).await {
            Ok(frame) => frame.into_optimized_plan().unwrap_err(),
            Err(error) => error,
        }
    }

    #[tokio::test]
    async fn layers_are_taken_off() {
        let error = planning("SELECT a FROM nowhere").await;
        let wrapped = DataFusionError::External(Box::new(DataFusionError::Execution(error.to_string())));
        let wrapped = wrapped.to_string();
        assert!(wrapped.starts_with("External error: Execution error: Error during planning: table "), "{wrapped}");
        assert!(without_layers(&wrapped).starts_with("table "), "{wrapped}");
        assert_eq!(without_layers(" Arrow error: Cast error: no number "), "no number");
    }

    #[tokio::test]
    async fn what_the_planner_says() {
        let (function, types) = unfit_arguments(&planning("SELECT sum('a')").await).unwrap();
        assert_eq!(function, "sum");
        assert!(types.starts_with("Utf8"), "{types}");
        let arithmetic = UnfitOperands::of(&planning("SELECT 'a' + 1").await);
        assert_eq!(arithmetic, Some(UnfitOperands::Arithmetic("Utf8 + Int64".into())));
        let comparison = UnfitOperands::of(&planning("SELECT 1 IS DISTINCT FROM true").await);
        let expected = UnfitOperands::Comparison("Int64 IS DISTINCT FROM Boolean".into());
        assert_eq!(comparison, Some(expected));
        let unknown = unknown_statement(&planning("GRANT SELECT ON t TO u").await);
        assert_eq!(unknown.as_deref(), Some("GRANT"));
        let unknown = unknown_function(&planning("SELECT nosuch(1)").await);
        assert_eq!(unknown.as_deref(), Some("nosuch"));
        let plain = planning("SELECT a FROM nowhere").await;
        assert!(unfit_arguments(&plain).is_none() && UnfitOperands::of(&plain).is_none(), "{plain}");
    }

    #[tokio::test]
    async fn where_the_parser_stopped() {
        let error = planning("SELECT 1\nFROM ) x").await;
        assert!(matches!(error.find_root(), DataFusionError::SQL(..)), "{error}");
        assert_eq!(line_and_column(&error.to_string()), Some((2, 6)), "{error}");
    }

    #[tokio::test]
    async fn whose_memory_was_not_enough() {
        let runtime = RuntimeEnvBuilder::new().with_memory_limit(1, 1.0).build_arc().unwrap();
        let config = SessionConfig::new().with_target_partitions(1);
        let sql = "SELECT * FROM (VALUES (1), (2)) a (x) JOIN (VALUES (1), (2)) b (y) ON x = y";
        let joined = SessionContext::new_with_config_rt(config, runtime).sql(sql).await.unwrap().collect().await;
        let error = joined.unwrap_err();
        let DataFusionError::ResourcesExhausted(words) = error.find_root() else { unreachable!("{error}") };
        assert!(is_of_hash_join(words), "{words}");
    }

    #[tokio::test]
    async fn a_store_that_fails_beneath_a_footer() {
        let store = Arc::new(store(Ending::Answer(503, "")));
        let readers = DefaultParquetFileReaderFactory::new(store);
        let file = PartitionedFile::new("x.parquet", 1000);
        let mut reader = readers.create_reader(0, file, None, &ExecutionPlanMetricsSet::new()).unwrap();
        let error = reader.get_metadata(None).await.unwrap_err();
        let words = store_failure_of_footer(&error).unwrap();
        let request = FailedRequest::read(words).unwrap();
        assert!(matches!(request.outcome, Outcome::Answer(Some(503), _)), "{words}");
    }

    #[test]
    fn a_host_that_there_is_not() {
        // no label of a name may have 64 signs, so nobody is asked
        let host = format!("{}.invalid", "x".repeat(64));
        let error = (host.as_str(), 80).to_socket_addrs().unwrap_err();
        assert!(is_unknown_host(&error.to_string()), "{error}");
    }
}
