//! What scheduler, executor and client have in common: functions, settings, stores, sizes.

use std::sync::Arc;

use ballista_core::config::BALLISTA_CLIENT_GRPC_MAX_MESSAGE_SIZE;
use ballista_core::extension::SessionConfigExt;
use ballista_core::serde::protobuf::KeyValuePair;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionState;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::error::library_words::without_layers;
use crate::feed::row_issue::clip;
use crate::functions;
use crate::options::RejoinOptions;
use crate::{Error, ErrorKind, Result};

/// Longest message between the parts, bytes: a plan, a batch of rows.
pub(super) const MESSAGE_BYTES: usize = 16 << 20;
/// Longest message to an executor, bytes: all tasks that it gets at once, each with its plan.
pub(super) const TASKS_BYTES: usize = 256 << 20;

/// An executor that was not heard of for so long is gone, seconds.
const EXECUTOR_GONE: u64 = 20;
/// Another such time, in seconds, for tests; a scheduler and its executors must have the same.
const EXECUTOR_GONE_VARIABLE: &str = "REJOIN_EXECUTOR_SECONDS";

/// How soon an executor that is lost is missed, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// One that was not heard of for so long is gone.
    pub gone: u64,
    /// How often an executor says that it lives.
    pub heartbeat: u64,
    /// How often the scheduler looks who is gone.
    pub look: u64,
}

impl Patience {
    /// What the environment says, or 20 seconds.
    pub fn read() -> Result<Self> {
        Self::of_seconds(std::env::var(EXECUTOR_GONE_VARIABLE).ok().as_deref())
    }

    fn of_seconds(seconds: Option<&str>) -> Result<Self> {
        let gone = match seconds.map(str::parse::<u64>) {
            None => EXECUTOR_GONE,
            Some(Ok(seconds @ 4..)) => seconds,
            Some(_) => return Err(Error::usage(format!("{EXECUTOR_GONE_VARIABLE}: expected seconds, 4 or more"))),
        };
        Ok(Self { gone, heartbeat: gone / 4, look: (gone / 10).max(1) })
    }
}

/// What a part is of; all parts of a cluster must be of the same.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The settings of a session whose plans a cluster computes.
pub(super) fn configured(config: SessionConfig) -> SessionConfig {
    // plans are made here, so nothing is planned anew while they run; filters that one operator gives another while both run,
    // and results that a plan's parts share in memory, do not reach across processes
    let config = config
        .set_bool("datafusion.optimizer.enable_dynamic_filter_pushdown", false)
        .set_bool("datafusion.optimizer.enable_physical_uncorrelated_scalar_subquery", false)
        .set_bool("datafusion.execution.parquet.schema_force_view_types", false)
        .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false)
        // a task has a slice of each branch's partitions, of which the lake's buckets no longer say that they are alike
        .set_bool("datafusion.optimizer.prefer_existing_union", true)
        .with_round_robin_repartition(false);
    config.with_ballista_adaptive_query_planner(false)
}

/// What the tasks of a statement must know of its session.
pub(super) fn settings_of(config: &SessionConfig) -> Vec<KeyValuePair> {
    let pair = |key: &str, value: String| KeyValuePair { key: key.into(), value: Some(value) };
    let options = config.options();
    vec![
        pair("datafusion.execution.batch_size", config.batch_size().to_string()),
        pair("datafusion.execution.target_partitions", config.target_partitions().to_string()),
        pair("datafusion.optimizer.preserve_file_partitions", options.optimizer.preserve_file_partitions.to_string()),
        pair("ballista.planner.adaptive.enabled", "false".into()),
        pair("ballista.scheduler.max_partitions_per_task", "1".into()),
        pair(
            "rejoin.part_version",
            options.extensions.get::<RejoinOptions>().map_or(VERSION.into(), |o| o.part_version.clone()),
        ),
    ]
}

/// The settings that scheduler and executors begin with.
pub(super) fn defaults() -> SessionConfig {
    let config = SessionConfig::new_with_ballista().with_option_extension(RejoinOptions::default());
    configured(config).set_usize(BALLISTA_CLIENT_GRPC_MAX_MESSAGE_SIZE, TASKS_BYTES)
}

/// Refuses statements of another version.
pub(super) fn same_version(config: &SessionConfig, here: &str) -> Result<()> {
    let theirs = config.options().extensions.get::<RejoinOptions>().map(|o| o.part_version.clone()).unwrap_or_default();
    if theirs == VERSION {
        return Ok(());
    }
    Err(Error::configuration(format!(
        "the statement comes from rejoin {theirs}, the {here} is rejoin {VERSION}; all parts of a cluster must be of one version"
    )))
}

/// A session with our functions, for plans that come over the network.
pub(super) fn state(config: SessionConfig, runtime: Arc<RuntimeEnv>) -> SessionState {
    let state =
        SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features().build();
    let context = SessionContext::new_with_state(state);
    // a plan that needs the zone of a suite brings it along
    functions::register_all(&context, Arc::new(|| Err(Error::bug("local_time came without the zone of its suite"))));
    context.state()
}

/// The word for memory that was not enough, which is no kind of its own.
const OUT_OF_MEMORY: &str = "OutOfMemory";

/// An error of ours, or of the store, in words that can be told from those of Ballista's many layers;
/// others stay what they are, since Ballista acts on some.
pub(super) fn encode_error(error: DataFusionError) -> DataFusionError {
    match Error::of_store(&error) {
        Some(ours) => DataFusionError::Execution(format!("«{:?}: {ours}»", ours.kind())),
        None if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) => {
            DataFusionError::Execution(format!("«{OUT_OF_MEMORY}: an executor: {}»", Error::from(error)))
        }
        None => error,
    }
}

/// The error that an executor had, in what Ballista says of it: it keeps only a text, in which ours is marked.
pub(super) fn decode_error(said: &str) -> Option<Error> {
    let (_, rest) = said.split_once('«')?;
    let (kind, message) = rest.rsplit_once('»')?.0.split_once(": ")?;
    // the layers write it down as Rust does
    let message = message.replace("\\n", "\n").replace("\\\"", "\"").replace("\\\\", "\\");
    if kind == OUT_OF_MEMORY {
        return Some(Error::out_of_memory(message));
    }
    let kind = ErrorKind::ALL.iter().find(|known| format!("{known:?}") == kind)?;
    Some(Error::new(*kind, message))
}

/// What Ballista says, without the layers of its own words, and not at any length.
pub(super) fn readable(said: &str) -> String {
    let text = without_layers(said);
    let shown = clip(text, MOST_SAID_BYTES);
    format!("{shown}{}", if shown.len() < text.len() { " ..." } else { "" })
}

/// Bytes that are shown of what Ballista says: of a plan that it cannot read it tells all that was around the place.
const MOST_SAID_BYTES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_soon_an_executor_is_missed() {
        let of = |seconds| {
            Patience::of_seconds(seconds).ok().map(|patience| (patience.gone, patience.heartbeat, patience.look))
        };
        assert_eq!(of(None), Some((20, 5, 2)));
        assert_eq!(of(Some("8")), Some((8, 2, 1)));
        assert_eq!([of(Some("3")), of(Some("soon"))], [None, None]);
    }

    #[test]
    fn errors_arrive_as_they_were() {
        let error = Error::unavailable("file \"a\\b\": no answer\nat all");
        let said = format!("Job failed: {:?}", encode_error(DataFusionError::External(Box::new(error))));
        let error = decode_error(&said).map(|e| (e.kind(), e.to_string()));
        assert_eq!(error, Some((ErrorKind::Unavailable, "file \"a\\b\": no answer\nat all".into())));
        assert!(matches!(encode_error(DataFusionError::Plan("x".into())), DataFusionError::Plan(_)));
        assert!(decode_error("some «words»").is_none());
        for (what, advice) in [("a sort", "ask for less at once"), ("HashJoinInput[0]", "prefer_hash_join = false")] {
            let full = DataFusionError::ResourcesExhausted(what.into());
            let error = decode_error(&encode_error(full).to_string());
            assert!(error.as_ref().is_some_and(Error::is_out_of_memory), "{error:?}");
            let said = error.map(|e| e.to_string()).unwrap_or_default();
            assert!(said.starts_with("an executor: ") && said.contains(what) && said.ends_with(advice), "{said}");
        }
    }
}
