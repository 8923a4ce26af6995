//! What the operator counts.

use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, Time};

/// How much a walk has seen. Visitors are those whose rows it looked at; it passes over most of those without a row that matters.
#[derive(Default, Clone)]
pub(super) struct Counts {
    pub rows: Count,
    pub visitors: Count,
    pub conversions: Count,
}

/// The counts of one walk.
pub(super) struct JourneyMetrics {
    pub counts: Counts,
    pub walk_time: Time,
}

impl JourneyMetrics {
    /// Those of a partition, among those of the operator.
    pub fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let count = |name: &'static str| MetricBuilder::new(metrics).counter(name, partition);
        let counts =
            Counts { rows: count("input_rows"), visitors: count("visitors"), conversions: count("conversions") };
        Self { counts, walk_time: MetricBuilder::new(metrics).subset_time("walk_time", partition) }
    }
}
