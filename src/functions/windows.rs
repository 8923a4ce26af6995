//! `visitor_participation(item, metric [, lookback])` and `visit_participation(item, metric [, hit_source])` as window
//! functions: a row gets the credit that its touch earns.
//!
//! Planning replaces a call by [`JourneyCredit`], which also receives the time by which the window is ordered; so the
//! functions themselves never run.

use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, TypeSignature, Volatility, WindowUDFImpl};

use crate::attribution::{Attributor, Container, Conversion, Journey, Model, NONE, Reach, RowCredits};

/// A participation function as written in SQL.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Participation {
    /// `visit` or `visitor`.
    pub container: Container,
    signature: Signature,
}

impl Participation {
    /// The function of a container.
    pub fn new(container: Container) -> Self {
        let two_or_three = vec![TypeSignature::Any(2), TypeSignature::Any(3)];
        Self { container, signature: Signature::one_of(two_or_three, Volatility::Immutable) }
    }
}

impl WindowUDFImpl for Participation {
    fn name(&self) -> &str {
        match self.container {
            Container::Visit => "visit_participation",
            Container::Visitor => "visitor_participation",
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
    lookback_us: Option<i64>,
    signature: Signature,
}

impl JourneyCredit {
    /// With a lookback in microseconds; None for all history.
    pub fn new(lookback_us: Option<i64>) -> Self {
        Self { lookback_us, signature: Signature::any(3, Volatility::Immutable) }
    }
}

impl WindowUDFImpl for JourneyCredit {
    fn name(&self) -> &str {
        "journey_credit"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        let attributor = Attributor::new(Model::Participation { deduplicate: true })
            .ok_or_else(|| DataFusionError::Internal("participation works on one journey".into()))?;
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
