//! The logical node of an operator over any plan: what it is asked, and its input.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use rejoin_instances::values::{hash_plan, same_plans};

/// What an operator is asked; as text it is the node's line in a plan.
pub trait Specification: fmt::Debug + fmt::Display + Clone + Eq + PartialOrd + Hash + Send + Sync + 'static {
    /// The node's name.
    const NAME: &'static str;

    /// Columns of the result.
    fn columns(&self) -> SchemaRef;
}

/// A specification over an input with its columns.
#[derive(Debug, Clone)]
pub struct SpecifiedNode<S> {
    /// What is asked.
    pub spec: S,
    input: LogicalPlan,
    schema: DFSchemaRef,
}

impl<S: Specification> SpecifiedNode<S> {
    /// Over an input with the columns of the specification.
    pub fn try_new(spec: S, input: LogicalPlan) -> Result<Self> {
        let schema = Arc::new(DFSchema::try_from(spec.columns().as_ref().clone())?);
        Ok(Self { spec, input, schema })
    }
}

impl<S: Specification> PartialEq for SpecifiedNode<S> {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec && self.schema == other.schema && same_plans(&self.input, &other.input)
    }
}

impl<S: Specification> Eq for SpecifiedNode<S> {}

impl<S: Specification> Hash for SpecifiedNode<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.spec.hash(state);
        self.schema.hash(state);
        hash_plan(&self.input, state);
    }
}

impl<S: Specification> PartialOrd for SpecifiedNode<S> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.spec.partial_cmp(&other.spec).filter(|o| o.is_ne() || self == other)
    }
}

impl<S: Specification> UserDefinedLogicalNodeCore for SpecifiedNode<S> {
    fn name(&self) -> &str {
        S::NAME
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.spec)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        Self::try_new(self.spec.clone(), inputs.swap_remove(0))
    }

    fn necessary_children_exprs(&self, _: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![(0..self.input.schema().fields().len()).collect()])
    }
}
