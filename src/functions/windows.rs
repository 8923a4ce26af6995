//! Participation and attribution as window functions: a row gets the credit that its touch earns.
//!
//! `visitor_participation(item, metric [, lookback])`, `visit_participation(item, metric [, hit_source])`, and with a
//! model as third argument `visitor_attribution` and `visit_attribution`. Planning replaces a call by [`JourneyCredit`],
//! which also receives the time by which the window is ordered; so the functions themselves never run.

use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, TypeSignature, Volatility, WindowUDFImpl};

use crate::attribution::{Attributor, Container, Conversion, Journey, Model, NONE, Reach, RowCredits};

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

/// The working form: `(item text, value double, time in microseconds)`, one journey a partition.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct JourneyCredit {
    /// How a conversion is shared; not algorithmic, whose shares hang on all journeys.
    pub model: Model,
    /// How long before a conversion a touch still counts, microseconds; None for all history.
    pub lookback_us: Option<i64>,
    /// Tells calls of other models or lookbacks apart in a plan, where a name stands for its expression.
    name: String,
    signature: Signature,
}

impl JourneyCredit {
    /// By a model, with a lookback in microseconds; None for all history.
    pub fn new(model: Model, lookback_us: Option<i64>) -> Self {
        let lookback = lookback_us.map_or("all".into(), |us| format!("{us} us"));
        let name = format!("journey_credit[{model}, {lookback}]");
        Self { model, lookback_us, name, signature: Signature::any(3, Volatility::Immutable) }
    }
}

impl WindowUDFImpl for JourneyCredit {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        let attributor = Attributor::new(self.model)
            .ok_or_else(|| DataFusionError::Internal(format!("{} does not work on one journey", self.name)))?;
        Ok(Box::new(Evaluator {
            attributor,
            reach: Reach::new(Container::Visitor, self.lookback_us),
            journey: Journey::new(),
            credits: RowCredits::new(),
            items: std::collections::HashMap::new(),
        }))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Float64, true)))
    }
}

struct Evaluator {
    attributor: Attributor,
    reach: Reach,
    journey: Journey,
    credits: RowCredits,
    items: std::collections::HashMap<String, u32>,
}

impl std::fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JourneyCredit")
    }
}

impl PartitionEvaluator for Evaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let items = cast(&values[0], &DataType::Utf8)?;
        let (items, metric) = (items.as_string::<i32>(), cast(&values[1], &DataType::Float64)?);
        let (metric, times) = (metric.as_primitive::<Float64Type>(), cast(&values[2], &DataType::Int64)?);
        let times = times.as_primitive::<Int64Type>();
        self.journey.clear();
        self.items.clear();
        for row in 0..rows {
            let (position, time) = (row as u32, times.value(row));
            if items.is_valid(row) {
                let next = self.items.len() as u32;
                let item = match self.items.get(items.value(row)) {
                    Some(item) => *item,
                    None => *self.items.entry(items.value(row).to_string()).or_insert(next),
                };
                debug_assert_ne!(item, NONE);
                self.journey.touch(position, time, 0, item);
            }
            if metric.is_valid(row) {
                self.journey.convert(Conversion { row: position, position, time, visit: 0, value: metric.value(row) });
            }
        }
        self.reach.find(&self.journey);
        self.credits.reset(rows);
        self.attributor.credit(&self.journey, &self.reach, &mut self.credits);
        Ok(Arc::new(self.credits.iter().collect::<Float64Array>()))
    }
}
