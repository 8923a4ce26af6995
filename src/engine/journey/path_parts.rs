//! Paths of several parts of the visitors, equal ones added up by the engine's own aggregation: on many machines, and where
//! they are more than a walk keeps. It goes to disk where memory ends, and takes longer than walks that merge their numbers.

use std::fmt;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateExprBuilder;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use futures::future::ready;
use futures::stream::once;

/// The paths of all partitions of `paths`, each once, in so many `parts`: the same columns, those up to `path` telling a row.
pub fn added_up(paths: Arc<dyn ExecutionPlan>, parts: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = paths.schema();
    let column = |place: usize| -> Arc<dyn PhysicalExpr> { Arc::new(Column::new(schema.field(place).name(), place)) };
    let told = schema.index_of("path")? + 1;
    let keys: Vec<_> = (0..told).map(column).collect();
    let named = keys.iter().cloned().zip(schema.fields().iter().map(|field| field.name().clone())).collect();
    let sum = |place: usize| {
        let sum = AggregateExprBuilder::new(sum_udaf(), vec![column(place)]).schema(schema.clone());
        sum.alias(schema.field(place).name()).build().map(Arc::new)
    };
    let sums = (told..schema.fields().len()).map(sum).collect::<Result<Vec<_>>>()?;
    let shuffled = Arc::new(RepartitionExec::try_new(paths, Partitioning::Hash(keys, parts))?);
    let (mode, unfiltered) = (AggregateMode::SinglePartitioned, vec![None; sums.len()]);
    let groups = PhysicalGroupBy::new_single(named);
    Ok(Arc::new(AggregateExec::try_new(mode, groups, sums, unfiltered, shuffled, schema)?))
}

/// Streams as the partitions of a plan, which runs once.
pub(super) fn running(
    schema: &SchemaRef,
    streams: impl IntoIterator<Item = SendableRecordBatchStream>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let partition = |stream: SendableRecordBatchStream| -> Arc<dyn PartitionStream> {
        Arc::new(StreamTakenOnce { schema: schema.clone(), stream: Mutex::new(Some(stream)) })
    };
    let partitions = streams.into_iter().map(partition).collect();
    Ok(Arc::new(StreamingTableExec::try_new(schema.clone(), partitions, None, [], false, None)?))
}

/// A stream that is taken once.
struct StreamTakenOnce {
    schema: SchemaRef,
    stream: Mutex<Option<SendableRecordBatchStream>>,
}

impl fmt::Debug for StreamTakenOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamTakenOnce").finish_non_exhaustive()
    }
}

impl PartitionStream for StreamTakenOnce {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let stream = self.stream.lock().unwrap_or_else(|e| e.into_inner()).take();
        stream.unwrap_or_else(|| {
            let again = DataFusionError::Internal("paths that were taken before".into());
            Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), once(ready(Err::<RecordBatch, _>(again)))))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, ListBuilder, StringArray, StringBuilder};
    use arrow::datatypes::{Float64Type, Int64Type};
    use datafusion::physical_plan::{ExecutionPlanProperties, collect};
    use futures::stream::iter;

    use super::*;
    use crate::attribution::Container;
    use crate::engine::journey::{GroupType, JourneyOutput, JourneySpec};

    type Row = (Option<&'static str>, Vec<Option<&'static str>>, i64);

    fn schema() -> SchemaRef {
        let gives = JourneyOutput::Paths { unconverted: false, in_parts: true };
        let mut spec = JourneySpec { gives, ..JourneySpec::without_models(Container::Visitor) };
        spec.selection.by = vec![("country".to_string(), GroupType::Text)];
        spec.output()
    }

    fn batch(rows: &[Row]) -> RecordBatch {
        let mut paths = ListBuilder::new(StringBuilder::new());
        rows.iter().for_each(|(_, path, _)| paths.append_value(path.iter().copied()));
        let conversions: Int64Array = rows.iter().map(|(.., conversions)| *conversions).collect();
        let values: Float64Array = rows.iter().map(|(.., conversions)| Some(*conversions as f64 / 2.0)).collect();
        let columns: [ArrayRef; 5] = [
            Arc::new(rows.iter().map(|(country, ..)| *country).collect::<StringArray>()),
            Arc::new(paths.finish()),
            Arc::new(conversions.clone()),
            Arc::new(values),
            Arc::new(conversions),
        ];
        RecordBatch::try_new(schema(), columns.to_vec()).unwrap()
    }

    fn stream(rows: &[Row]) -> SendableRecordBatchStream {
        Box::pin(RecordBatchStreamAdapter::new(schema(), iter([Ok::<_, DataFusionError>(batch(rows))])))
    }

    #[tokio::test]
    async fn equal_paths_of_several_parts_are_one_row() {
        let (a, b) = (Some("a"), Some("b"));
        let parts: [Vec<Row>; 3] = [
            vec![(Some("DE"), vec![a, b], 1), (None, vec![a, b], 2), (None, vec![], 4)],
            vec![(Some("DE"), vec![a, b], 8), (Some("DE"), vec![a, None], 16), (None, vec![], 32)],
            vec![(Some("DE"), vec![b, a], 64)],
        ];
        let plan = running(&schema(), parts.iter().map(|rows| stream(rows))).unwrap();
        let plan = added_up(plan, 2).unwrap();
        assert_eq!((plan.schema(), plan.output_partitioning().partition_count()), (schema(), 2));
        let owned = |text: Option<&str>| text.map(str::to_string);
        let mut found = BTreeMap::new();
        for batch in collect(plan, Arc::default()).await.unwrap() {
            let (countries, paths) = (batch.column(0).as_string::<i32>(), batch.column(1).as_list::<i32>());
            for (row, country) in countries.iter().enumerate() {
                let items = paths.value(row);
                let path: Vec<_> = items.as_string::<i32>().iter().map(owned).collect();
                let count = |column: usize| batch.column(column).as_primitive::<Int64Type>().value(row);
                let value = batch.column(3).as_primitive::<Float64Type>().value(row);
                assert_eq!((value, count(4)), (count(2) as f64 / 2.0, count(2)));
                assert!(found.insert((owned(country), path), count(2)).is_none(), "a path comes once");
            }
        }
        let rows: [Row; 5] = [
            (None, vec![], 36),
            (None, vec![a, b], 2),
            (Some("DE"), vec![a, None], 16),
            (Some("DE"), vec![a, b], 9),
            (Some("DE"), vec![b, a], 64),
        ];
        let told = |(country, path, count): Row| ((owned(country), path.into_iter().map(owned).collect()), count);
        let expected: BTreeMap<_, _> = rows.into_iter().map(told).collect();
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn a_stream_is_taken_once() {
        let plan = running(&schema(), [stream(&[(None, vec![], 1)])]).unwrap();
        assert_eq!(collect(plan.clone(), Arc::default()).await.unwrap().len(), 1);
        assert!(collect(plan, Arc::default()).await.is_err());
    }
}
