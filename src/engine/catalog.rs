//! The default schema of a session: the tables of the current view, and what the session itself creates.

use std::sync::{Arc, RwLock};

use async_trait::async_trait;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::TableType;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::view::LakeView;
use crate::lake::tables;

/// The session in which tables plan their own SQL, as long as it lives.
type StateOf = Box<dyn Fn() -> Option<SessionState> + Send + Sync>;

/// Tables of the lake by name; each statement gets a new view.
pub struct LakeSchema {
    view: RwLock<Arc<LakeView>>,
    names: RwLock<Vec<String>>,
    created: MemorySchemaProvider,
    state: RwLock<Option<StateOf>>,
}

impl LakeSchema {
    /// A schema that shows `view`.
    pub fn new(view: Arc<LakeView>) -> Self {
        Self {
            view: RwLock::new(view),
            names: RwLock::new(tables::listed().map(str::to_string).collect()),
            created: MemorySchemaProvider::new(),
            state: RwLock::default(),
        }
    }

    /// What tables plan their own SQL in.
    pub fn attach(&self, state: impl Fn() -> Option<SessionState> + Send + Sync + 'static) {
        *self.state.write().unwrap_or_else(|e| e.into_inner()) = Some(Box::new(state));
    }

    /// The current view.
    pub fn view(&self) -> Arc<LakeView> {
        self.view.read().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Shows another view from now on.
    pub fn show(&self, view: Arc<LakeView>) {
        *self.view.write().unwrap_or_else(|e| e.into_inner()) = view;
    }

    /// True for a table that the session has made itself.
    pub fn has_made(&self, name: &str) -> bool {
        self.created.table_exist(name)
    }

    /// The names that `information_schema` lists.
    pub fn list(&self, names: Vec<String>) {
        *self.names.write().unwrap_or_else(|e| e.into_inner()) = names;
    }

    /// Lists the tables of the current view from now on, and gives their names, with what the session has made itself.
    pub async fn refresh_names(&self) -> crate::Result<Vec<String>> {
        self.list(self.view().table_names().await?);
        Ok(self.table_names())
    }

    fn find<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Arc<dyn TableProvider>>, DataFusionError>> {
        async move {
            if let Some(created) = self.created.table(name).await? {
                return Ok(Some(created));
            }
            let state = self.state.read().unwrap_or_else(|e| e.into_inner()).as_ref().and_then(|state| state());
            let state = state.ok_or_else(|| DataFusionError::Internal("the schema has no session".into()))?;
            let view = self.view();
            // no look into the lake for it
            if view.calls(name) {
                return Ok(None);
            }
            Ok(view.table(name, &state).await?)
        }
        .boxed()
    }
}

impl std::fmt::Debug for LakeSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LakeSchema").field("view", &self.view()).finish_non_exhaustive()
    }
}

#[async_trait]
impl SchemaProvider for LakeSchema {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.names.read().unwrap_or_else(|e| e.into_inner()).clone();
        names.extend(self.created.table_names());
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        self.find(name).await
    }

    /// All are tables to clients that list them; which of them are views is how the lake is made. Nothing is loaded for it.
    async fn table_type(&self, name: &str) -> Result<Option<TableType>, DataFusionError> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.table_names().iter().any(|n| n == name)
    }

    fn register_table(
        &self,
        name: String,
        table: Arc<dyn TableProvider>,
    ) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if self.names.read().unwrap_or_else(|e| e.into_inner()).contains(&name) {
            return Err(DataFusionError::Plan(format!("{name} is a table of the lake; choose another name")));
        }
        self.created.register_table(name, table)
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        self.created.deregister_table(name)
    }
}
