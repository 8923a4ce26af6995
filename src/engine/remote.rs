//! Plans that another process computes: what the engine asks of it.

use std::fmt;
use std::sync::{Arc, Mutex};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::optimizer::analyzer::AnalyzerRule;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use datafusion::prelude::SessionConfig;

use super::running::Running;
use crate::lake::rewrite::Rewriter;
use crate::lake::write::Written;

/// Computes plans elsewhere, and writes files there.
#[async_trait]
pub trait Remote: Rewriter + fmt::Debug {
    /// The settings of a session whose plans are computed there.
    fn configured(&self, config: SessionConfig) -> SessionConfig;

    /// A rule that gives statements a form that survives the way there.
    fn rule(&self) -> Arc<dyn AnalyzerRule + Send + Sync>;

    /// Tasks that it can do at once; None where that cannot be known now.
    async fn cores(&self) -> Option<usize>;

    /// Starts a plan there; None if it reads no file, so that it is computed here.
    async fn start(&self, plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> crate::Result<Option<Running>>;

    /// Writes the rows of plans, which all have the columns `schema`, into files of a table, which wait for their commit; and
    /// how many rows each plan had. None if that cannot be done there, because the plans hold what is in this process alone. `progress` is
    /// told how far it is.
    async fn write(
        &self,
        table: &str,
        schema: &SchemaRef,
        plans: &[Arc<dyn ExecutionPlan>],
        context: Arc<TaskContext>,
        progress: &(dyn for<'t> Fn(&'t str) + Send + Sync),
    ) -> crate::Result<Option<(Written, Vec<u64>)>>;
}

/// Stands for a plan that is computed elsewhere, and knows how far it is.
#[derive(Debug)]
pub struct RemoteExec {
    properties: Arc<PlanProperties>,
    progress: Mutex<String>,
}

impl RemoteExec {
    /// With rows of `schema`.
    pub fn new(schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { properties: Arc::new(properties), progress: Mutex::default() }
    }

    /// A few words on how far it is.
    pub fn progress(&self) -> String {
        self.progress.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Notes how far it is.
    pub fn note(&self, progress: String) {
        *self.progress.lock().unwrap_or_else(|e| e.into_inner()) = progress;
    }
}

impl DisplayAs for RemoteExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemoteExec")
    }
}

impl ExecutionPlan for RemoteExec {
    fn name(&self) -> &str {
        "RemoteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        Err(DataFusionError::Internal("a plan that is computed elsewhere runs once".into()))
    }
}
