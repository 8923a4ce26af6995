//! [`Engine`]: the only door to SQL. One session over one lake; each statement sees the lake's newest version.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, TableProvider};
use datafusion::common::config::{ConfigOptions, ExtensionOptions};
use datafusion::datasource::MemTable;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{FunctionRegistry, TaskContext};
use datafusion::logical_expr::{LogicalPlan, Statement as PlannedSet};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::analyzer::function_rewrite::ApplyFunctionRewrites;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use rejoin_instances::planning::plan;
use tokio::sync::OnceCell;

use super::catalog::LakeSchema;
use super::copy_to::held_by_file;
use super::hints::{operator_error, planning_error};
use super::journey::JourneyQueryPlanner;
use super::kept_events::KeptEvents;
use super::known_persons::KeptPersons;
use super::members::{CollectedMembers, KeptSegments, KnownSegments};
use super::pins::Pins;
use super::remote::Remote;
use super::report::ReportPlanner;
use super::report_call::is_report;
use super::rules::with_rules;
use super::running::Running;
use super::segments::{self, RewriteSegments};
use super::some_visitors::SomeVisitors;
use super::sort_memory;
use super::spellings;
use super::statement::{Names, Statement};
use super::unread_columns::without_unread;
use super::view::LakeView;
use super::yielding::yielding;
use super::zone::{UTC, in_zone, zone_of};
use crate::error::did_you_mean;
use crate::functions::{self, Persons};
use crate::lake::Lake;
use crate::lake::rewrite::{Limits, Rewriter};
use crate::lake::tables::EVENTS;
use crate::options::{RejoinOptions, SUITE_SETTING};
use crate::quote::literal;
use crate::sealed::Sealed;
use crate::{Error, Result};

/// Name of the catalog and schema that hold the lake's tables; BI tools look into `public` first.
pub const CATALOG: &str = "rejoin";
pub const SCHEMA: &str = "public";

/// How an engine runs.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Partitions worked on at once; the number of cores by default.
    pub threads: Option<usize>,
    /// Memory for sorts, joins and journeys, bytes; beyond it they spill.
    pub memory_bytes: usize,
    /// Rows of a batch.
    pub batch_size: Option<usize>,
    /// The suite to show and report on.
    pub suite: Option<String>,
    /// A rebuild's number or a time: all tables as they were then.
    pub as_of: Option<String>,
    /// Memory and caches that several engines share, see [`runtime`]; an own one otherwise.
    pub runtime: Option<Arc<RuntimeEnv>>,
    /// Who computes the plans that read files; this process otherwise.
    pub remote: Option<Arc<dyn Remote>>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            threads: None,
            memory_bytes: 1 << 30,
            batch_size: None,
            suite: None,
            as_of: None,
            runtime: None,
            remote: None,
        }
    }
}

impl EngineSettings {
    /// Who writes files anew.
    pub fn rewriter(&self) -> Arc<dyn Rewriter> {
        match &self.remote {
            Some(remote) => remote.clone(),
            None => Arc::new(Limits { memory_bytes: self.memory_bytes, threads: self.threads }),
        }
    }
}

/// Memory for sorts, joins and journeys, and a cache of files' footers in addition, a quarter of it.
pub fn runtime(memory_bytes: usize) -> Result<Arc<RuntimeEnv>> {
    Ok(sort_memory::runtime_builder(memory_bytes).with_metadata_cache_limit(memory_bytes / 4).build_arc()?)
}

/// A plan, and what it runs with.
pub type Planned = (Arc<dyn ExecutionPlan>, Arc<TaskContext>);

/// A statement that has been planned over one view of the lake.
#[derive(Clone, Debug)]
pub struct PlannedStatement {
    plan: Sealed<LogicalPlan>,
    statement: Statement,
    view: Arc<LakeView>,
    zone: Option<Arc<str>>,
}

impl PlannedStatement {
    /// The plan.
    pub fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    /// What was planned.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }
}

/// A session over a lake.
pub struct Engine {
    lake: Lake,
    context: Sealed<SessionContext>,
    schema: Arc<LakeSchema>,
    pinned: Option<Pins>,
    remote: Option<Arc<dyn Remote>>,
    /// That shuffles have as many parts as who computes has cores.
    fitted: OnceCell<()>,
    /// Memory of rows that are kept under a name.
    kept: Mutex<Vec<MemoryReservation>>,
    /// Who belongs to the segments that were named last.
    segments: Mutex<KeptSegments>,
    /// Whose rows are whose, as it was read last.
    persons: KeptPersons,
    /// The plan of `events`, as it was made last.
    events: KeptEvents,
    /// The visitors at whose rows it looks; None: at all.
    looked_at: Mutex<Option<SomeVisitors>>,
}

/// Stack of a thread that plans: deep queries are walked recursively, in debug builds with large frames.
pub const STACK_BYTES: usize = 16 << 20;

impl Engine {
    /// Opens a session. Tables are loaded when a statement names them.
    pub async fn open(lake: Lake, settings: EngineSettings) -> Result<Self> {
        let pinned = match &settings.as_of {
            Some(as_of) => Some(Pins::as_of(&lake, as_of).await?),
            None => None,
        };
        Self::open_at(lake, settings, pinned)
    }

    /// Opens a session that sees some tables at given versions, whatever is committed meanwhile.
    pub fn open_at(lake: Lake, settings: EngineSettings, pinned: Option<Pins>) -> Result<Self> {
        let runtime = match settings.runtime {
            Some(shared) => shared,
            None => runtime(settings.memory_bytes)?,
        };
        runtime.register_object_store(lake.store_url().as_ref(), lake.store().clone());
        lake.caches_footers_in(&runtime.cache_manager.get_file_metadata_cache());
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(CATALOG, SCHEMA)
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(true)
            .with_option_extension(RejoinOptions::of_suite(settings.suite.clone().unwrap_or_default()))
            .set_str("datafusion.sql_parser.dialect", "postgresql")
            // what has no value comes last, in either order
            .set_str("datafusion.sql_parser.default_null_ordering", "nulls_last")
            // a time with its zone is an instant, also where nobody says in which zone it is shown
            .set_str("datafusion.execution.time_zone", UTC)
            // keeps the ranges of the lake's scans where more threads than ranges are asked for
            .set_usize("datafusion.optimizer.preserve_file_partitions", 1)
            .with_round_robin_repartition(false);
        if let Some(threads) = settings.threads {
            config = config.with_target_partitions(threads.max(1));
        }
        if let Some(rows) = settings.batch_size {
            config = config.with_batch_size(rows.max(1));
        }
        if let Some(remote) = &settings.remote {
            config = remote.configured(config);
        }
        let schema = Arc::new(LakeSchema::new(Arc::new(LakeView::new(lake.clone(), settings.suite, pinned.clone()))));
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_default_features()
            .with_query_planner(Arc::new(JourneyQueryPlanner))
            .with_relation_planners(vec![Arc::new(ReportPlanner::new(schema.clone()))]);
        let state = with_rules(state, &schema, settings.remote.as_deref(), lake.is_distant())?;
        let context = SessionContext::new_with_state(state);
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, schema.clone())?;
        context.register_catalog(CATALOG, Arc::new(catalog));
        let weak = context.state_weak_ref();
        schema.attach(move || weak.upgrade().map(|state| in_utc(state.read().clone())));
        functions::register_all(&context, {
            let schema = schema.clone();
            Arc::new(move || Ok(schema.view().one_suite()?.time_zone.clone()))
        });
        Ok(Self {
            lake,
            context: Sealed::new(context),
            schema,
            pinned,
            remote: settings.remote,
            fitted: OnceCell::new(),
            kept: Mutex::default(),
            segments: Mutex::default(),
            persons: KeptPersons::default(),
            events: KeptEvents::default(),
            looked_at: Mutex::default(),
        })
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Plans and starts the one statement of a text, over the newest version of the lake (or the one that was pinned).
    pub fn run<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, Result<Running>> {
        async move { self.run_statement(&Statement::one(sql)?).await }.boxed()
    }

    /// Plans and starts a statement, over the newest version of the lake (or the one that was pinned).
    pub fn run_statement<'a>(&'a self, statement: &'a Statement) -> BoxFuture<'a, Result<Running>> {
        async move { self.start(self.plan_statement(statement).await?.plan().clone()).await }.boxed()
    }

    /// Plans a statement, over the newest version of the lake (or the one that was pinned).
    pub fn plan_statement<'a>(&'a self, statement: &'a Statement) -> BoxFuture<'a, Result<PlannedStatement>> {
        async move {
            self.fitted.get_or_init(|| self.fit()).await;
            let view = self.refresh(statement).await?;
            let state = self.context.state();
            match plan(&state, statement.parsed().clone()).await {
                Ok(plan) => {
                    known_suite(&plan, &view).await?;
                    // tables that another view shows by now may be in its plans
                    if Arc::ptr_eq(&view, &self.schema.view()) {
                        view.keep_events().await?;
                    }
                    let zone = zone_of(state.config_options());
                    let plan = match &zone {
                        Some(zone) => in_zone(plan, zone)?,
                        None => plan,
                    };
                    let plan = held_by_file(self.with_segments(plan, &view)?)?;
                    let plan = Sealed::new(plan);
                    Ok(PlannedStatement { statement: statement.clone(), plan, view, zone })
                }
                Err(error) => Err(planning_error(&view, &self.context, statement, error).await),
            }
        }
        .boxed()
    }

    /// What was planned before, if the lake and the session's settings are as they were then; planned anew otherwise.
    pub fn plan_again<'a>(&'a self, planned: &'a PlannedStatement) -> BoxFuture<'a, Result<PlannedStatement>> {
        async move {
            let (suite, stored_journeys) = self.choices()?;
            let same_zone = planned.zone == zone_of(self.context.state_ref().read().config_options());
            match same_zone && planned.view.is_still(suite.as_deref(), stored_journeys).await? {
                true => Ok(planned.clone()),
                false => self.plan_statement(&planned.statement).await,
            }
        }
        .boxed()
    }

    /// A part of a shuffle is a task, which costs the more the less it has to do.
    async fn fit(&self) {
        if let Some(remote) = &self.remote
            && let Some(cores) = remote.cores().await
        {
            let state = self.context.state_ref();
            state.write().config_mut().options_mut().execution.target_partitions = cores;
        }
    }

    /// Starts what was planned.
    pub fn start<'a>(&'a self, plan: LogicalPlan) -> BoxFuture<'a, Result<Running>> {
        async move {
            let planned = self.physical(plan).await?;
            self.execute(planned).await
        }
        .boxed()
    }

    /// Starts what was planned down to its operators.
    pub fn execute<'a>(&'a self, (plan, task): Planned) -> BoxFuture<'a, Result<Running>> {
        async move {
            if let Some(remote) = &self.remote
                && let Some(running) = remote.start(plan.clone(), task.clone()).await?
            {
                return Ok(running.headed());
            }
            let plan = match &self.remote {
                // planned for others, who do this themselves
                Some(_) => yielding(plan)?,
                None => plan,
            };
            let rows = execute_stream(plan.clone(), task)?;
            Ok(Running { schema: plan.schema(), rows, plan }.headed())
        }
        .boxed()
    }

    /// How what was planned is computed.
    pub fn physical<'a>(&'a self, plan: LogicalPlan) -> BoxFuture<'a, Result<Planned>> {
        async move {
            let (state, plan) = self.context.execute_logical_plan(plan).await?.into_parts();
            let state = Sealed::new(state);
            let plan = without_unread(plan).map_err(operator_error)?;
            let plan = Sealed::new(state.optimize(&plan).map_err(operator_error)?);
            let planned = state.query_planner().create_physical_plan(&plan, &*state).await.map_err(operator_error)?;
            let task = Arc::new(sort_memory::context_for(&state, &planned));
            Ok((planned, task))
        }
        .boxed()
    }

    /// Who computes the plans that read files, if it is not this process.
    pub fn remote(&self) -> Option<&Arc<dyn Remote>> {
        self.remote.as_ref()
    }

    /// The session beneath, for a door's own tables and functions.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// The schema of the lake's tables, for a door's own lists of them.
    pub fn tables_schema(&self) -> Arc<LakeSchema> {
        self.schema.clone()
    }

    /// The session's settings, to come back to.
    pub fn settings(&self) -> ConfigOptions {
        self.context.state_ref().read().config_options().as_ref().clone()
    }

    /// Lets statements see instants in a zone from now on.
    pub fn set_zone(&self, zone: &str) -> Result<()> {
        let mut settings = {
            let state = self.context.state_ref();
            let state = state.read();
            if state.config_options().execution.time_zone.as_deref() == Some(zone) {
                return Ok(());
            }
            state.config_options().as_ref().clone()
        };
        settings.execution.time_zone = Some(zone.to_string());
        self.restore(settings)
    }

    /// Brings the session back to settings that it had.
    pub fn restore(&self, settings: ConfigOptions) -> Result<()> {
        let state = self.context.state_ref();
        let mut state = state.write();
        *state.config_mut().options_mut() = settings;
        // functions such as now() keep what they need of the settings
        let options = state.config_options().clone();
        let functions: Vec<_> = state.scalar_functions().values().cloned().collect();
        for function in functions {
            if let Some(renewed) = function.inner().with_updated_config(&options) {
                state.register_udf(Arc::new(renewed))?;
            }
        }
        Ok(())
    }

    /// Runs ONE statement and keeps its whole result; for results that are known to be small.
    pub fn collect<'a>(&'a self, statement: &'a str) -> BoxFuture<'a, Result<Vec<RecordBatch>>> {
        async move {
            let running = self.run(statement).await?;
            Ok(datafusion::physical_plan::common::collect(running.rows).await?)
        }
        .boxed()
    }

    /// Plans ONE query that this session's other queries may build on.
    pub fn plan<'a>(&'a self, query: &'a str) -> BoxFuture<'a, Result<LogicalPlan>> {
        async move { Ok(self.plan_statement(&Statement::one(query)?).await?.plan().clone()) }.boxed()
    }

    /// From now on statements see the rows of some visitors alone, of hits and of integrated rows; None: those of all.
    pub fn restrict_to(&self, visitors: Option<SomeVisitors>) {
        *self.looked_at.lock().unwrap_or_else(|e| e.into_inner()) = visitors;
        // who belongs to a segment was found among others
        *self.segments.lock().unwrap_or_else(|e| e.into_inner()) = KeptSegments::default();
    }

    /// Gives a table a name in this session, in place of a former one of that name; a table of the lake keeps its own.
    pub fn name_table(&self, name: &str, table: Arc<dyn TableProvider>) -> Result<()> {
        self.context.deregister_table(name)?;
        self.context.register_table(name, table)?;
        Ok(())
    }

    /// Gives a plan a name, see [`Self::name_table`].
    pub fn name_plan(&self, name: &str, plan: LogicalPlan) -> Result<()> {
        self.name_table(name, Arc::new(ViewTable::new(plan, None)))
    }

    /// Gives a query a name; it sees the lake as it is now, and runs wherever it is named.
    pub fn name_query<'a>(&'a self, name: &'a str, query: &'a str) -> BoxFuture<'a, Result<()>> {
        async move { self.name_plan(name, self.plan(query).await?) }.boxed()
    }

    /// Runs a query and gives its rows a name, `at_most` bytes of memory for them being taken from the session's. None when
    /// they need more; otherwise how many there are. `columns` are those of a result without batches.
    pub fn keep_rows<'a>(
        &'a self,
        name: &'a str,
        query: &'a str,
        columns: SchemaRef,
        at_most: usize,
    ) -> BoxFuture<'a, Result<Option<usize>>> {
        async move {
            let mut rows = self.run(query).await?.rows;
            let reservation = MemoryConsumer::new(name.to_string()).register(&self.context.runtime_env().memory_pool);
            let mut batches = vec![];
            while let Some(batch) = rows.try_next().await? {
                let size = batch.get_array_memory_size();
                if reservation.size() + size > at_most || reservation.try_grow(size).is_err() {
                    return Ok(None);
                }
                batches.push(batch);
            }
            let count = batches.iter().map(RecordBatch::num_rows).sum();
            if batches.is_empty() {
                batches.push(RecordBatch::new_empty(columns));
            }
            self.name_rows(name, batches)?;
            self.kept.lock().unwrap_or_else(|e| e.into_inner()).push(reservation);
            Ok(Some(count))
        }
        .boxed()
    }

    /// Gives rows that are in memory a name; there is at least one batch, which may be empty.
    pub fn name_rows(&self, name: &str, rows: Vec<RecordBatch>) -> Result<()> {
        let schema = rows.first().ok_or_else(|| Error::bug(format!("{name}: no batch, so no columns")))?.schema();
        self.name_table(name, Arc::new(MemTable::try_new(schema, vec![rows])?))
    }

    /// Whose rows are whose, as the last rebuild found it; None where no suite has persons, or no rebuild found them.
    pub fn persons<'a>(&'a self) -> BoxFuture<'a, Result<Option<Persons>>> {
        async move {
            let view = LakeView::new(self.lake.clone(), None, self.pinned.clone()).with_kept_persons(&self.persons);
            let state = self.context.state();
            Ok(view.load_persons(&state).await?.cloned())
        }
        .boxed()
    }

    /// Names of all tables.
    pub fn tables<'a>(&'a self) -> BoxFuture<'a, Result<Vec<String>>> {
        async move { self.schema.view().table_names().await }.boxed()
    }

    /// Columns of a table.
    pub fn columns<'a>(&'a self, table: &'a str) -> BoxFuture<'a, Result<SchemaRef>> {
        async move {
            let table_ref = self.schema.view().table(table, &self.context.state()).await?;
            match table_ref {
                Some(provider) => Ok(provider.schema()),
                None => {
                    let names = self.tables().await?;
                    let hint = crate::error::did_you_mean(table, names.iter().map(String::as_str));
                    Err(Error::query(format!("there is no table {table}{hint}")))
                }
            }
        }
        .boxed()
    }

    /// How the items are written that differ only in case, of those of `texts` that are dimensions.
    async fn spellings(
        &self,
        view: &LakeView,
        texts: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, HashMap<String, String>>> {
        let mut all = BTreeMap::new();
        for text in texts {
            let Some(query) = spellings::query(view, text)? else { continue };
            let mut rows = self.start(query).await?.rows;
            let spelled = all.entry(text.clone()).or_insert_with(HashMap::new);
            while let Some(batch) = rows.try_next().await? {
                spelled.extend(spellings::of(&batch)?);
            }
        }
        Ok(all)
    }

    /// Who belongs to the segments that a statement names.
    async fn members(&self, view: &Arc<LakeView>, names: &Names) -> Result<KnownSegments> {
        let (mut known, (_, all)) = (KnownSegments::default(), segments::of_suite(view)?);
        for name in segments::named(names, &all) {
            let (segment, version) = (&all[&name], view.version_of_events().await?);
            let before = self.segments.lock().unwrap_or_else(|e| e.into_inner()).find(segment, &version);
            if let Some(found) = before {
                known.add(&name, found);
                continue;
            }
            let query = format!("SELECT * FROM segment_members({})", literal(&name));
            let parsed = Statement::one(&query)?.parsed().clone();
            let plan = plan(&in_utc(self.context.state()), parsed).await?;
            let memory = MemoryConsumer::new("Segment").register(&self.context.runtime_env().memory_pool);
            let mut collecting = CollectedMembers::new(segment.clone(), memory);
            let mut rows = self.start(plan).await?.rows;
            while let Some(batch) = rows.try_next().await? {
                collecting.take(&batch)?;
            }
            let found = collecting.found(version);
            self.segments.lock().unwrap_or_else(|e| e.into_inner()).keep(found.clone());
            known.add(&name, found);
        }
        Ok(known)
    }

    /// A plan in which each `in_segment` knows who belongs to its segment.
    fn with_segments(&self, plan: LogicalPlan, view: &Arc<LakeView>) -> Result<LogicalPlan> {
        match view.known_segments() {
            None => Ok(plan),
            Some(_) => {
                let rewrite = ApplyFunctionRewrites::new(vec![Arc::new(RewriteSegments(view.clone()))]);
                Ok(rewrite.analyze(plan, self.context.state().config_options())?)
            }
        }
    }

    /// The suite, and whether journeys read the lake's files, as the session's settings have it.
    fn choices(&self) -> Result<(Option<String>, bool)> {
        let state = self.context.state_ref();
        let state = state.read();
        let options = state.config().options().extensions.get::<RejoinOptions>();
        let suite = options.map(|o| o.suite.clone()).filter(|s| !s.is_empty());
        match options.map_or("stored", |o| o.journeys.as_str()) {
            "stored" => Ok((suite, true)),
            "plain" => Ok((suite, false)),
            other => Err(Error::query(format!("rejoin.journeys is 'stored' or 'plain', not {other:?}"))),
        }
    }

    /// A new view for the next statement, with what its planning needs at hand: table functions and `local_time` are
    /// planned synchronously.
    fn refresh<'a>(&'a self, statement: &'a Statement) -> BoxFuture<'a, Result<Arc<LakeView>>> {
        async move {
            let (suite, stored_journeys) = self.choices()?;
            let view = LakeView::new(self.lake.clone(), suite, self.pinned.clone());
            let view = view.with_stored_journeys(stored_journeys);
            let view = view.with_kept_persons(&self.persons).with_kept_events(&self.events);
            let view = view.with_calls(statement.names().only_called());
            let looked_at = self.looked_at.lock().unwrap_or_else(|e| e.into_inner()).clone();
            let view = Arc::new(match looked_at {
                Some(visitors) => view.looking_at(visitors),
                None => view,
            });
            self.schema.show(view.clone());
            let names = statement.names();
            let reports = names.table_functions.iter().any(|function| is_report(function));
            // a report and a segment go over all rows
            let whole = (reports || names.functions.contains("in_segment")).then(|| in_utc(self.context.state()));
            if self.lake.is_distant() {
                let tables = names.tables.iter().map(String::as_str).filter(|name| !self.schema.has_made(name));
                // those of a list of tables are no tables of the lake
                let tables = tables.filter(|_| !names.lists_tables);
                let reader = whole.as_ref().filter(|_| self.remote.is_none());
                view.open_ahead(tables.chain(whole.is_some().then_some(EVENTS)).collect(), reader, names).await;
            }
            if whole.is_some() || names.functions.contains("local_time") {
                view.suites().await?;
            }
            if let Some(state) = &whole {
                view.load_events(state).await?;
                view.load_stored_events().await?;
                view.load_lookups(names.lookups(), state).await?;
                view.load_instances().await?;
                if view.folds_case() {
                    view.keep_spellings(self.spellings(&view, &names.arguments).await?).await;
                }
                if view.one_suite().is_ok() {
                    view.keep_segments(self.members(&view, names).await?).await;
                }
            }
            if names.lists_tables {
                self.schema.list(view.table_names().await?);
            }
            Ok(view)
        }
        .boxed()
    }
}

/// Refuses to set what is no setting of ours, and a suite that does not exist: every answer after that would be empty.
async fn known_suite(plan: &LogicalPlan, view: &LakeView) -> Result<()> {
    let LogicalPlan::Statement(PlannedSet::SetVariable(set)) = plan else { return Ok(()) };
    let name = set.variable.to_lowercase();
    if name.starts_with("rejoin.") {
        let settings = RejoinOptions::default().entries();
        let known: Vec<String> = settings.into_iter().map(|setting| format!("rejoin.{}", setting.key)).collect();
        if !known.contains(&name) {
            let hint = did_you_mean(&name, known.iter().map(String::as_str));
            return Err(Error::query(format!("there is no setting {name}{hint} (there are {})", known.join(", "))));
        }
    }
    if !set.variable.eq_ignore_ascii_case(SUITE_SETTING) || set.value.is_empty() {
        return Ok(());
    }
    let suites = view.suites().await?;
    if suites.iter().any(|suite| suite.suite == set.value) {
        return Ok(());
    }
    let names: Vec<&str> = suites.iter().map(|suite| suite.suite.as_str()).collect();
    let hint = match (did_you_mean(&set.value, names.iter().copied()), names.is_empty()) {
        (hint, _) if !hint.is_empty() => hint,
        (_, true) => "; make one with: rejoin suite create RSID".to_string(),
        (_, false) => format!("; the lake has: {}", names.join(", ")),
    };
    Err(Error::configuration(format!("suite {} does not exist{hint}", set.value)))
}

/// The session in which the lake's own SQL is planned: in UTC, whatever the zone of the guest's statements is.
fn in_utc(mut state: SessionState) -> SessionState {
    if zone_of(state.config_options()).is_some() {
        state.config_mut().options_mut().execution.time_zone = Some(UTC.into());
    }
    state
}
