//! What the operator counts.

use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder};

/// The counts of one partition.
pub(super) struct WindowMetrics {
    pub baseline: BaselineMetrics,
    pub visitors: Count,
    pub conversions: Count,
}

impl WindowMetrics {
    /// Those of a partition, among those of the operator.
    pub fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let count = |name: &'static str| MetricBuilder::new(metrics).counter(name, partition);
        Self {
            baseline: BaselineMetrics::new(metrics, partition),
            visitors: count("visitors"),
            conversions: count("conversions"),
        }
    }
}
