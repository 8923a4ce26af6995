//! Calls of window functions, the windows that they are over, and the logical node.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::catalog::Session;
use datafusion::common::{Column, DFSchema, DFSchemaRef};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;
use rejoin_instances::values::{hash_exprs, hash_plan, same_exprs, same_plans};

use super::call::{Call, PhysicalWindow, Window, names};
use super::exec::WindowExec;

/// The logical node: all columns of the input, and one of credit a call.
#[derive(Debug, Clone)]
pub struct WindowNode {
    window: Window,
    calls: Vec<Call>,
    /// Item, value and time in microseconds of each call.
    arguments: Vec<Expr>,
    input: LogicalPlan,
    schema: DFSchemaRef,
}

impl WindowNode {
    /// Over `input`; `arguments` are three a call.
    pub fn try_new(window: Window, calls: Vec<Call>, arguments: Vec<Expr>, input: LogicalPlan) -> Result<Self> {
        let fields = calls.iter().map(|call| (None, Arc::new(Field::new(&call.name, DataType::Float64, true))));
        let credits = DFSchema::new_with_metadata(fields.collect(), HashMap::new())?;
        let schema = Arc::new(input.schema().as_ref().join(&credits)?);
        Ok(Self { window, calls, arguments, input, schema })
    }

    /// The operator over the planned input.
    pub fn plan(&self, input: Arc<dyn ExecutionPlan>, session: &dyn Session) -> Result<WindowExec> {
        let physical = |exprs: &[Expr]| {
            let one = |expr: &Expr| session.create_physical_expr(expr.clone(), self.input.schema());
            exprs.iter().map(one).collect::<Result<Vec<_>>>()
        };
        let window = PhysicalWindow {
            visitor: physical(&self.window.visitor)?,
            in_lake_order: self.window.in_lake_order,
            within: physical(&self.window.within)?,
            order: physical(&self.window.order)?,
        };
        WindowExec::try_new(Arc::new(window), self.calls.clone(), physical(&self.arguments)?, input)
    }
}

impl PartialEq for WindowNode {
    fn eq(&self, other: &Self) -> bool {
        self.window == other.window
            && self.calls == other.calls
            && self.schema == other.schema
            && same_exprs(&self.arguments, &other.arguments)
            && same_plans(&self.input, &other.input)
    }
}

impl Eq for WindowNode {}

impl Hash for WindowNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.window.hash(state);
        self.calls.hash(state);
        self.schema.hash(state);
        hash_exprs(&self.arguments, state);
        hash_plan(&self.input, state);
    }
}

// as far as plans need it: an order of expressions would be one of all that SQL can say
impl PartialOrd for WindowNode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.calls.partial_cmp(&other.calls).filter(|o| o.is_ne() || self == other)
    }
}

impl UserDefinedLogicalNodeCore for WindowNode {
    fn name(&self) -> &str {
        "JourneyWindow"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let Window { visitor, within, order, .. } = &self.window;
        visitor.iter().chain(within).chain(order).chain(&self.arguments).cloned().collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JourneyWindow: {}", names(&self.calls))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let mut exprs = exprs.into_iter();
        let mut next = |count: usize| exprs.by_ref().take(count).collect::<Vec<_>>();
        let window = Window {
            visitor: next(self.window.visitor.len()),
            in_lake_order: self.window.in_lake_order,
            within: next(self.window.within.len()),
            order: next(self.window.order.len()),
        };
        let arguments = next(self.arguments.len());
        Self::try_new(window, self.calls.clone(), arguments, inputs.swap_remove(0))
    }

    fn necessary_children_exprs(&self, outputs: &[usize]) -> Option<Vec<Vec<usize>>> {
        let schema = self.input.schema();
        let mut needed: Vec<usize> = outputs.iter().copied().filter(|i| *i < schema.fields().len()).collect();
        for expr in self.expressions() {
            for column in expr.column_refs() {
                needed.push(schema.maybe_index_of_column(column)?);
            }
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }

    fn prevent_predicate_push_down_columns(&self) -> std::collections::HashSet<String> {
        // a filter on what the window is partitioned by keeps or drops whole windows
        let partitioned = |name: &str| {
            let by = self.window.visitor.iter().chain(&self.window.within);
            by.clone().any(|e| matches!(e, Expr::Column(Column { name: known, .. }) if known == name))
        };
        let names = self.schema.fields().iter().map(|f| f.name().clone());
        names.filter(|name| !partitioned(name)).collect()
    }
}
