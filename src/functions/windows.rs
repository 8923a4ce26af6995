//! Participation and attribution as window functions: a row gets the credit that its touch earns.
//!
//! `visitor_participation(item, metric [, lookback])`, `visit_participation(item, metric [, hit_source])`, and with a
//! model as third argument `visitor_attribution` and `visit_attribution`. Planning replaces a call by the engine's journey
//! window, which also receives the time by which the window is ordered; so the functions themselves never run.

use std::hash::Hash;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, TypeSignature, Volatility, WindowUDFImpl};

use crate::attribution::Container;

/// A journey function as written in SQL.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct JourneyFunction {
    /// `visit` or `visitor`.
    pub container: Container,
    /// Attribution: its third argument is the model. Else participation.
    pub takes_model: bool,
    signature: Signature,
}

impl JourneyFunction {
    /// Participation, or attribution by a model, in a container.
    pub fn new(container: Container, takes_model: bool) -> Self {
        let least = if takes_model { 3 } else { 2 };
        let counts = vec![TypeSignature::Any(least), TypeSignature::Any(least + 1)];
        Self { container, takes_model, signature: Signature::one_of(counts, Volatility::Immutable) }
    }
}

impl WindowUDFImpl for JourneyFunction {
    fn name(&self) -> &str {
        match (self.container, self.takes_model) {
            (Container::Visit, false) => "visit_participation",
            (Container::Visitor, false) => "visitor_participation",
            (Container::Visit, true) => "visit_attribution",
            (Container::Visitor, true) => "visitor_attribution",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        Err(DataFusionError::Internal(format!("{} was not given its window", self.name())))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Float64, true)))
    }
}
