//! The lake as one statement sees it: each table at one version, loaded when it is first named.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::catalog::{TableProvider, view::ViewTable};
use datafusion::dataframe::DataFrame;
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, col, lit};
use futures::future::{BoxFuture, join_all, try_join_all};
use futures::{FutureExt, join, try_join};
use rejoin_instances::planning::{self, plan_text};
use tokio::sync::{Mutex, OnceCell};

use super::events::{EVENTS_SQL, with_friendly_names, with_main_columns};
use super::hits::{HitRules, HitsTable, is_reported};
use super::journey::StoredEvents;
use super::kept_events::{Basis, KeptEvents};
use super::known_persons::{self, KeptPersons, Loaded};
use super::lookup::Lookup;
use super::members::KnownSegments;
use super::pins::Pins;
use super::some_visitors::SomeVisitors;
use super::statement::Names;
use super::template::Columns;
use crate::columns::{SUITE, numbered};
use crate::error::did_you_mean;
use crate::functions::Persons;
use crate::lake::bindings::{Bindings, bindings};
use crate::lake::log::latest_version;
use crate::lake::ranges::read_footers;
use crate::lake::records::{FileEntry, PersonAudit, PersonSpan, Rebuild, Suite};
use crate::lake::scan::LakeTable;
use crate::lake::store::is_table_name;
use crate::lake::tables::{self, EVENTS, EVENTS_BRIEF, HITS, INTEGRATED, REPORTED_HITS, VISITORS, VISITS, full_schema};
use crate::lake::{Lake, Record, Registry, Snapshot, suites};
use crate::sealed::Sealed;
use crate::{Error, Result};

const VISITS_SQL: &str = include_str!("../../queries/integrate/visits.sql");
const VISITORS_SQL: &str = include_str!("../../queries/integrate/visitors.sql");

/// One version of the lake.
#[derive(Debug)]
pub struct LakeView {
    lake: Lake,
    suite: Option<String>,
    pinned: Option<Pins>,
    snapshots: Mutex<HashMap<String, Arc<Snapshot>>>,
    suites: OnceCell<Vec<Suite>>,
    /// The small tables that were read at their newest version.
    newest: Mutex<Vec<(&'static str, Option<u64>)>>,
    events: OnceCell<Sealed<LogicalPlan>>,
    stored_journeys: bool,
    stored_events: OnceCell<Option<Arc<StoredEvents>>>,
    lookups: OnceCell<Lookups>,
    /// Numbers of eVars, and a delivery whose lines bear instances of them.
    instances: OnceCell<Vec<(Vec<u32>, String)>>,
    /// How items are written that differ only in case, by dimension as the statement names it.
    spellings: OnceCell<BTreeMap<String, HashMap<String, String>>>,
    /// Who belongs to the segments that the statement names.
    segments: OnceCell<KnownSegments>,
    /// Whose rows are whose; None where no suite has persons, or no rebuild found them.
    persons: OnceCell<Option<Arc<Loaded>>>,
    kept_persons: KeptPersons,
    kept_events: KeptEvents,
    /// The visitors whose rows are there; None: those of all.
    looked_at: Option<SomeVisitors>,
    /// Names that the statement gives to functions alone.
    called: BTreeSet<String>,
}

/// The lookup tables that a statement names.
#[derive(Debug, Default)]
struct Lookups {
    loaded: HashMap<String, Lookup>,
    /// All tables, where one that may be meant is not there.
    known: Vec<String>,
}

impl LakeView {
    /// The newest versions, or those of `pinned`; with `suite`, only that suite's rows.
    pub fn new(lake: Lake, suite: Option<String>, pinned: Option<Pins>) -> Self {
        Self {
            lake,
            suite,
            pinned,
            snapshots: Mutex::default(),
            suites: OnceCell::new(),
            newest: Mutex::default(),
            events: OnceCell::new(),
            stored_journeys: true,
            stored_events: OnceCell::new(),
            lookups: OnceCell::new(),
            instances: OnceCell::new(),
            spellings: OnceCell::new(),
            segments: OnceCell::new(),
            persons: OnceCell::new(),
            kept_persons: KeptPersons::default(),
            kept_events: KeptEvents::default(),
            looked_at: None,
            called: BTreeSet::new(),
        }
    }

    /// With what the statement names as functions alone.
    pub(super) fn with_calls(self, called: BTreeSet<String>) -> Self {
        Self { called, ..self }
    }

    /// True for a name that the statement gives to a function alone: who resolves its tables asks for that, too.
    pub(super) fn calls(&self, name: &str) -> bool {
        self.called.contains(name)
    }

    /// With what its session keeps of persons.
    pub(super) fn with_kept_persons(self, kept: &KeptPersons) -> Self {
        Self { kept_persons: kept.clone(), ..self }
    }

    /// With what its session keeps of `events`.
    pub(super) fn with_kept_events(self, kept: &KeptEvents) -> Self {
        Self { kept_events: kept.clone(), ..self }
    }

    /// With the rows of some visitors alone. Journeys read the SQL of `events` then, for the lake's files have everybody's.
    pub(super) fn looking_at(self, visitors: SomeVisitors) -> Self {
        Self { looked_at: Some(visitors), stored_journeys: false, kept_events: KeptEvents::default(), ..self }
    }

    /// With `stored` false, journeys read the SQL of `events` instead of the lake's files.
    pub fn with_stored_journeys(self, stored: bool) -> Self {
        Self { stored_journeys: stored, ..self }
    }

    /// True when a statement that is planned now, with these settings, would see the same: nothing that was read has a newer
    /// version.
    pub async fn is_still(&self, suite: Option<&str>, stored_journeys: bool) -> Result<bool> {
        if self.suite.as_deref() != suite || self.stored_journeys != stored_journeys {
            return Ok(false);
        }
        let mut read: Vec<(String, Option<u64>)> = vec![];
        for (name, snapshot) in self.snapshots.lock().await.iter() {
            let pinned =
                self.pinned.as_ref().is_some_and(|pins| pins.versions.contains_key(name) || !pins.others_newest);
            if !pinned || name == Rebuild::TABLE {
                read.push((name.clone(), snapshot.version));
            }
        }
        read.extend(self.newest.lock().await.iter().map(|(name, version)| (name.to_string(), *version)));
        let same = read.iter().map(|(name, version)| async move {
            Ok::<_, Error>(latest_version(&self.lake, name, *version).await? == *version)
        });
        Ok(try_join_all(same).await?.into_iter().all(|same| same))
    }

    /// The suite that was chosen, or the only one of the lake; an error that lists them otherwise.
    pub fn one_suite(&self) -> Result<&Suite> {
        suites::one(self.suites.get().map(Vec::as_slice).unwrap_or_default(), self.suite.as_deref())
    }

    /// Friendly names of the one suite at hand: column, name.
    pub fn friendly_names(&self) -> BTreeMap<String, String> {
        self.one_suite().ok().and_then(|suite| serde_json::from_str(&suite.names).ok()).unwrap_or_default()
    }

    /// The dimensions of the one suite at hand whose values are bound to products.
    pub fn bindings(&self) -> Result<Bindings> {
        self.one_suite().map_or_else(|_| Ok(Bindings::new()), bindings)
    }

    /// True where items of the one suite at hand are one that differ only in case.
    pub fn folds_case(&self) -> bool {
        self.one_suite().is_ok_and(|suite| suite.fold_case)
    }

    /// How the items of a dimension, named as in the statement, are written: those without their case which are not so.
    pub fn spellings(&self, dimension: &str) -> Result<&HashMap<String, String>> {
        self.spellings.get().and_then(|all| all.get(dimension)).ok_or_else(|| {
            Error::query("where the case of items is folded, write the dimension as one text, such as 'tracking_code'")
        })
    }

    /// Keeps what [`Self::spellings`] says.
    pub async fn keep_spellings(&self, spellings: BTreeMap<String, HashMap<String, String>>) {
        self.spellings.get_or_init(|| async { spellings }).await;
    }

    /// Who belongs to the segments that the statement names, once [`Self::keep_segments`] has kept them.
    pub fn known_segments(&self) -> Option<&KnownSegments> {
        self.segments.get()
    }

    /// Keeps what [`Self::known_segments`] says.
    pub async fn keep_segments(&self, known: KnownSegments) {
        self.segments.get_or_init(|| async { known }).await;
    }

    /// What members of segments hang on: the suite, and the versions of what `events` is made of.
    pub async fn version_of_events(&self) -> Result<String> {
        let suite = self.one_suite()?;
        let (hits, integrated) = (self.snapshot(HITS).await?.version, self.snapshot(INTEGRATED).await?.version);
        // settings say what visits are, and which hits are reported
        let settings = serde_json::json!(Suite { segments: String::new(), ..suite.clone() });
        let persons = self.version_of_persons().await?;
        Ok(format!("{hits:?} {integrated:?} {persons} {settings}"))
    }

    /// Deliveries in which lines with a value of the eVar bind it only where they bear its instance.
    pub fn deliveries_with_instances(&self, evar: u32) -> impl Iterator<Item = &str> {
        let all = self.instances.get().map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(move |(evars, _)| evars.contains(&evar)).map(|(_, file)| file.as_str())
    }

    /// Finds those deliveries once, where values of an eVar are bound.
    pub async fn load_instances(&self) -> Result<()> {
        self.suites().await?;
        let load = || async {
            let (Ok(suite), bindings) = (self.one_suite(), self.bindings()?) else { return Ok(vec![]) };
            if !bindings.keys().any(|name| numbered(name, "evar").is_some()) {
                return Ok(vec![]);
            }
            let files = self.small::<FileEntry>().await?;
            let own = files.into_iter().filter(|f| f.suite == suite.suite && f.status == "loaded");
            let instances = own.filter_map(|f| {
                let evars = f.binding_instances?.split(',').filter_map(|evar| evar.parse().ok()).collect();
                Some((evars, f.file))
            });
            Ok::<_, Error>(instances.collect())
        };
        self.instances.get_or_try_init(load).await.map(drop)
    }

    /// The suites; loads them once.
    pub async fn suites(&self) -> Result<&[Suite]> {
        self.suites.get_or_try_init(|| self.small::<Suite>()).await.map(Vec::as_slice)
    }

    /// The rows of a small table, as of the time that is asked for.
    async fn small<T: Record>(&self) -> Result<Vec<T>> {
        let asked = self.pinned.as_ref().filter(|pins| !pins.others_newest);
        let registry = match asked.and_then(|pins| pins.versions.get(T::TABLE)) {
            Some(version) => Registry::<T>::read_at(&self.lake, *version).await?,
            None => {
                let registry = Registry::<T>::read(&self.lake).await?;
                self.newest.lock().await.push((T::TABLE, registry.version));
                registry
            }
        };
        Ok(registry.rows)
    }

    /// The plan of `events`, when [`Self::load_events`] has run.
    pub fn events(&self) -> Result<&LogicalPlan> {
        self.events.get().map(|plan| &**plan).ok_or_else(|| Error::bug("events were not loaded before planning"))
    }

    /// Plans `events` once.
    pub async fn load_events(&self, state: &SessionState) -> Result<&LogicalPlan> {
        self.events
            .get_or_try_init(|| async {
                // each is a request, on which the others need not wait
                try_join!(self.suites(), self.snapshot(HITS), self.snapshot(INTEGRATED))?;
                let persons = self.load_persons(state).await?;
                if let Some(kept) = self.kept_events.find(&self.basis_of_events().await?) {
                    return Ok(kept);
                }
                let sql = self.integration_columns().await?.expand(EVENTS_SQL)?;
                let plan = plan_text(state, &sql).await?;
                let plan = with_friendly_names(plan, &self.friendly_names())?;
                let plan = match persons {
                    Some(persons) => known_persons::with_persons(plan, persons)?,
                    None => plan,
                };
                Ok(Sealed::new(plan))
            })
            .await
            .map(|plan| &**plan)
    }

    /// What the plan of `events` hangs on.
    async fn basis_of_events(&self) -> Result<Basis> {
        let tables = [self.snapshot(HITS).await?, self.snapshot(INTEGRATED).await?];
        let (suites, persons) = (serde_json::json!(self.suites().await?), self.version_of_persons().await?);
        Ok(Basis { tables, settings: format!("{suites} {:?} {persons}", self.suite) })
    }

    /// Has the session keep the plan of `events`, where there is one.
    pub(super) async fn keep_events(&self) -> Result<()> {
        if let Some(plan) = self.events.get() {
            self.kept_events.keep(self.basis_of_events().await?, plan);
        }
        Ok(())
    }

    /// Whose rows are whose, when [`Self::load_events`] has run; None where no suite has persons, or no rebuild found them.
    pub fn persons(&self) -> Option<&Persons> {
        self.persons.get().and_then(Option::as_ref).map(|loaded| &loaded.persons)
    }

    /// Reads the persons once, where some suite has them.
    pub async fn load_persons(&self, state: &SessionState) -> Result<Option<&Persons>> {
        let load = || async {
            let suites = self.suites().await?;
            if !suites.iter().any(Suite::has_persons) {
                return Ok(None);
            }
            let (spans, _) = try_join!(self.snapshot(PersonSpan::TABLE), self.snapshot(PersonAudit::TABLE))?;
            if spans.version.is_none() {
                return Ok(None);
            }
            let version = self.version_of_persons().await?;
            if let Some(kept) = self.kept_persons.find(&version) {
                return Ok(Some(kept));
            }
            let table = async |name: &str| {
                let snapshot = self.snapshot(name).await?;
                let schema = full_schema(name, &snapshot.schema);
                Ok::<_, Error>(Arc::new(LakeTable::new(self.lake.clone(), snapshot, schema)))
            };
            let (spans, audit) = (table(PersonSpan::TABLE).await?, table(PersonAudit::TABLE).await?);
            let loaded = known_persons::load(suites, spans, audit, version, state).await?;
            self.kept_persons.keep(&loaded);
            Ok::<_, Error>(Some(loaded))
        };
        self.persons.get_or_try_init(load).await.map(|loaded| loaded.as_ref().map(|loaded| &loaded.persons))
    }

    /// What persons hang on: the suites that have them, and the versions of the tables that say who is whose.
    async fn version_of_persons(&self) -> Result<String> {
        let suites = self.suites().await?.iter().filter(|suite| suite.has_persons());
        let names: Vec<&str> = suites.map(|suite| suite.suite.as_str()).collect();
        if names.is_empty() {
            return Ok(String::new());
        }
        let tables =
            (self.snapshot(PersonSpan::TABLE).await?.version, self.snapshot(PersonAudit::TABLE).await?.version);
        Ok(format!("{names:?} {tables:?}"))
    }

    /// The files of `events` as journeys read them, when [`Self::load_stored_events`] has run and they are all ours.
    pub fn stored_events(&self) -> Option<&Arc<StoredEvents>> {
        self.stored_events.get().and_then(Option::as_ref)
    }

    /// Finds the files of `events` once. Without a suite there is none: the report will say so.
    pub async fn load_stored_events(&self) -> Result<()> {
        self.suites().await?;
        let found = self.stored_events.get_or_try_init(|| async {
            let Some(suite) = self.one_suite().ok().filter(|_| self.stored_journeys) else { return Ok(None) };
            let table = async |name: &str| {
                let snapshot = self.snapshot(name).await?;
                let schema = full_schema(name, &snapshot.schema);
                Ok::<_, crate::Error>(LakeTable::new(self.lake.clone(), snapshot, schema))
            };
            let (hits, integrated) = (table(HITS).await?, table(INTEGRATED).await?);
            let persisting = HitRules::of(self.suites().await?)?.persisting();
            let events = StoredEvents::new(hits, integrated, suite, persisting);
            Ok::<_, crate::Error>(events.map(Arc::new))
        });
        found.await.map(|_| ())
    }

    /// Loads the lookup tables that a statement names as classifications.
    pub async fn load_lookups(&self, named: BTreeSet<&str>, state: &SessionState) -> Result<()> {
        let load = || async {
            let mut lookups = Lookups::default();
            for name in named.iter().filter(|name| !tables::is_reserved(name)) {
                let Some(table) = self.table(name, state).await? else {
                    lookups.known = self.table_names().await?;
                    continue;
                };
                let schema = table.schema();
                let plan = LogicalPlanBuilder::scan(*name, provider_as_source(table), None)?.build()?;
                let rows = planning::collect(DataFrame::new(state.clone(), plan)).await?;
                lookups.loaded.insert(name.to_string(), Lookup::new(name, &schema, &rows, self.folds_case())?);
            }
            Ok(lookups)
        };
        self.lookups.get_or_try_init(load).await.map(drop)
    }

    /// A lookup table that the statement names. None: the lake has no table of that or a similar name.
    pub fn lookup(&self, name: &str) -> Result<Option<&Lookup>> {
        let Some(lookups) = self.lookups.get() else { return Ok(None) };
        match (lookups.loaded.get(name), did_you_mean(name, lookups.known.iter().map(String::as_str))) {
            (Some(lookup), _) => Ok(Some(lookup)),
            (None, hint) if hint.is_empty() => Ok(None),
            (None, hint) => Err(Error::query(format!("there is no lookup table {name}{hint}"))),
        }
    }

    /// Columns of `hits` and of the integrated rows, for the queries that join them.
    pub async fn integration_columns(&self) -> Result<Columns> {
        let hits = self.snapshot(HITS).await?;
        let integrated = self.snapshot(INTEGRATED).await?;
        let rules = HitRules::of(self.suites().await?)?;
        Ok(Columns::default()
            .with_table(HITS, &rules.columns(&full_schema(HITS, &hits.schema)))
            .with_table(INTEGRATED, &full_schema(INTEGRATED, &integrated.schema))
            .telling(HITS, rules.persisting())
            .with_known_touches())
    }

    /// A table's snapshot; loads it once.
    pub async fn snapshot(&self, name: &str) -> Result<Arc<Snapshot>> {
        let loaded = self.snapshots.lock().await.get(name).cloned();
        if let Some(snapshot) = loaded {
            return Ok(snapshot);
        }
        let snapshot = match &self.pinned {
            None => Snapshot::open_shared(&self.lake, name, None).await?,
            // a table that came later did not exist then; the log of rebuilds itself is always the newest
            Some(pins) => match pins.versions.get(name) {
                Some(version) => Snapshot::open_shared(&self.lake, name, Some(*version)).await?,
                None if pins.others_newest || name == Rebuild::TABLE => {
                    Snapshot::open_shared(&self.lake, name, None).await?
                }
                None => Arc::new(Snapshot::missing(&self.lake, name)?),
            },
        };
        // of two that come at once the first says what the statement sees
        let mut loaded = self.snapshots.lock().await;
        Ok(loaded.entry(name.to_string()).or_insert(snapshot).clone())
    }

    /// Opens, side by side, what tables of these names are made of: on a distant store each is a wait. Of hits, and of integrated
    /// rows that have what is asked for, the footers are read with that where `reader` will read them whole. Users of one that does
    /// not open say so.
    pub(super) async fn open_ahead(&self, tables: BTreeSet<&str>, reader: Option<&SessionState>, asked: &Names) {
        let (mut stored, mut hits) = (BTreeSet::new(), false);
        for name in tables {
            match name {
                EVENTS | EVENTS_BRIEF | VISITS | VISITORS => stored.extend([HITS, INTEGRATED]),
                REPORTED_HITS => drop(stored.insert(HITS)),
                _ if is_table_name(name) => drop(stored.insert(name)),
                _ => {}
            }
            hits |= stored.contains(HITS);
        }
        let suites = async {
            match hits {
                true => self.suites().await.map(drop),
                false => Ok(()),
            }
        };
        let open = |name| async move {
            let Ok(snapshot) = self.snapshot(name).await else { return };
            let is_read = match name {
                HITS => true,
                INTEGRATED => asked.may_ask_for(snapshot.schema.fields().iter().map(|field| field.name().as_str())),
                _ => false,
            };
            if let Some(reader) = reader.filter(|_| is_read) {
                read_footers(&self.lake, &snapshot.files, reader.config(), reader.runtime_env()).await;
            }
        };
        let (_suites, _tables) = join!(suites, join_all(stored.into_iter().map(open)));
    }

    /// The table of this name, or None.
    pub fn table<'a>(
        &'a self,
        name: &'a str,
        state: &'a SessionState,
    ) -> BoxFuture<'a, Result<Option<Arc<dyn TableProvider>>>> {
        async move {
            let view_of = |plan: LogicalPlan, sql: &str| Arc::new(ViewTable::new(plan, Some(sql.into()))) as _;
            match name {
                EVENTS => return Ok(Some(view_of(self.load_events(state).await?.clone(), EVENTS_SQL))),
                EVENTS_BRIEF => {
                    let plan = with_main_columns(self.load_events(state).await?, &self.friendly_names())?;
                    return Ok(Some(view_of(plan, EVENTS_BRIEF)));
                }
                VISITS => return self.planned(VISITS_SQL, state).await,
                VISITORS => return self.planned(VISITORS_SQL, state).await,
                _ if !is_table_name(name) => return Ok(None),
                _ => {}
            }
            let (stored, once) = if name == REPORTED_HITS { (HITS, true) } else { (name, false) };
            let snapshot = self.snapshot(stored).await?;
            if snapshot.version.is_none() && !tables::is_reserved(stored) {
                return Ok(None);
            }
            let schema = full_schema(stored, &snapshot.schema);
            let rows = LakeTable::new(self.lake.clone(), snapshot, schema.clone());
            let some_unreported = once && !rows.says_all_reported();
            let table: Arc<dyn TableProvider> = if stored == HITS {
                let hits = HitsTable::new(rows, HitRules::of(self.suites().await?)?);
                Arc::new(if once { hits.once() } else { hits })
            } else {
                Arc::new(rows)
            };
            let suite = self.suite.as_ref().filter(|_| schema.index_of(SUITE).is_ok());
            let only = suite.map(|suite| col(SUITE).eq(lit(suite.clone())));
            let reported = if some_unreported { Some(is_reported(&schema, self.suites().await?)) } else { None };
            let looked_at = self.looked_at.as_ref().filter(|_| stored == HITS || stored == INTEGRATED);
            let looked_at = looked_at.map(SomeVisitors::rows);
            let filters = only.into_iter().chain(looked_at).chain(reported);
            let filter = conjunction(filters);
            if filter.is_none() && !once {
                return Ok(Some(table));
            }
            let scan = LogicalPlanBuilder::scan(stored, provider_as_source(table), None)?;
            let rows = match filter {
                Some(filter) => scan.filter(filter)?,
                None => scan,
            };
            Ok(Some(view_of(rows.build()?, name)))
        }
        .boxed()
    }

    async fn planned(&self, sql: &str, state: &SessionState) -> Result<Option<Arc<dyn TableProvider>>> {
        let sql = self.integration_columns().await?.expand(sql)?;
        let plan = plan_text(state, &sql).await?;
        Ok(Some(Arc::new(ViewTable::new(plan, Some(sql)))))
    }

    /// Names of all tables: those every lake has, and lookups.
    pub async fn table_names(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = tables::listed().map(str::to_string).collect();
        names.extend(self.lake.table_names().await?.into_iter().filter(|name| !tables::is_reserved(name)));
        names.sort();
        Ok(names)
    }
}
