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

use super::function_doc::FunctionDoc;
use crate::attribution::Container;

/// What `rejoin functions` says of these.
pub const WINDOW_FUNCTIONS: &[FunctionDoc] = &[
    FunctionDoc {
        name: "visitor_participation",
        kind: "window",
        signature: "visitor_participation(item, metric [, lookback]) OVER (PARTITION BY visitor_id ORDER BY hit_time)",
        description: "The credit that a row's touch earns in visitor participation: a conversion's value sits on each item's first \
touch in reach, that of the None item on the conversion's row. A dimension as item stands for touch(dimension); group by \
that, for a row may carry a value that it did not set. visitor_participation(touch(tracking_code, true), orders) takes \
inherited values for touches.",
        example: "SELECT item, sum(c) FROM (SELECT touch(tracking_code) AS item, visitor_participation(tracking_code, orders) OVER (PARTITION BY visitor_id ORDER BY hit_time) AS c FROM events) GROUP BY 1",
    },
    FunctionDoc {
        name: "visit_participation",
        kind: "window",
        signature: "visit_participation(item, metric [, hit_source]) OVER (PARTITION BY visitor_id, visit_num ORDER BY hit_time)",
        description: "The credit that a row's touch earns in visit participation. Offline rows neither give nor take.",
        example: "SELECT page_name, sum(c) FROM (SELECT page_name, visit_participation(page_name, orders, hit_source) OVER (PARTITION BY visitor_id, visit_num ORDER BY hit_time) AS c FROM events) GROUP BY 1",
    },
    FunctionDoc {
        name: "visitor_attribution",
        kind: "window",
        signature: "visitor_attribution(item, metric, model [, lookback = '30 days']) OVER (PARTITION BY visitor_id ORDER BY hit_time)",
        description: "The credit that a row's touch earns by a model of attribution(...), all but algorithmic and markov, whose shares depend on all \
journeys. What a conversion gives to the None item sits on the conversion's row. A row of several values (list variables, products) \
shows the credit that each of them gets.",
        example: "SELECT date_trunc('month', hit_time) AS touched, sum(c) FROM (SELECT hit_time, visitor_attribution(tracking_code, revenue, 'time_decay(3 days)', '60 days') OVER (PARTITION BY visitor_id ORDER BY hit_time) AS c FROM events) GROUP BY 1",
    },
    FunctionDoc {
        name: "visit_attribution",
        kind: "window",
        signature: "visit_attribution(item, metric, model [, hit_source]) OVER (PARTITION BY visitor_id, visit_num ORDER BY hit_time)",
        description: "The credit that a row's touch earns by a model within its visit. Offline rows neither give nor take.",
        example: "SELECT page_name, sum(c) FROM (SELECT page_name, visit_attribution(page_name, orders, 'linear', hit_source) OVER (PARTITION BY visitor_id, visit_num ORDER BY hit_time) AS c FROM events) GROUP BY 1",
    },
];

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
