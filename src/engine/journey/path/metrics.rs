//! What the operator counts.

use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder};

/// The counts of one partition.
pub(super) struct PathMetrics {
    pub baseline: BaselineMetrics,
    pub visitors: Count,
}

impl PathMetrics {
    /// Those of a partition, among those of the operator.
    pub fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let visitors = MetricBuilder::new(metrics).counter("visitors", partition);
        Self { baseline: BaselineMetrics::new(metrics, partition), visitors }
    }
}
