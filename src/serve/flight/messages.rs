//! Rows as messages: columns as every driver reads them, and a message for each part of a batch.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_flight::{FlightData, SchemaAsIpc};

use crate::Result;

/// What a message has of a batch, bytes, about: drivers take messages of 4 MB.
const MESSAGE_BYTES: usize = 2 << 20;

/// How columns travel: no dictionaries and views, which not every driver reads, and each may have NULLs.
pub fn wire_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| Field::new(field.name(), wire_type(field.data_type()), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// How values of a type travel.
pub fn wire_type(data_type: &DataType) -> DataType {
    let within = |field: &FieldRef| {
        let field = field.as_ref().clone();
        let data_type = wire_type(field.data_type());
        Arc::new(field.with_data_type(data_type))
    };
    match data_type {
        DataType::Dictionary(_, values) => wire_type(values),
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(item) => DataType::List(within(item)),
        DataType::LargeList(item) => DataType::LargeList(within(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(within(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(within).collect()),
        DataType::Map(entries, sorted) => DataType::Map(within(entries), *sorted),
        other => other.clone(),
    }
}

/// Makes the messages of an answer. The library's maker lets the memory of each grow from nothing, and copies it as often.
pub struct Messages {
    making: IpcDataGenerator,
    dictionaries: DictionaryTracker,
    options: IpcWriteOptions,
    /// Keeps as much memory for a message as the one before took.
    context: IpcWriteContext,
}

impl Messages {
    /// The maker of an answer's messages, and the first of them, which tells its columns as they travel.
    pub fn begin(schema: &Schema) -> (Self, FlightData) {
        let options = IpcWriteOptions::default();
        let first = FlightData::from(SchemaAsIpc::new(schema, &options));
        let mut context = IpcWriteContext::default();
        context.set_reserve_scratch(true);
        let (making, dictionaries) = (IpcDataGenerator::default(), DictionaryTracker::new(true));
        (Self { making, dictionaries, options, context }, first)
    }

    /// The message of a part.
    pub fn message(&mut self, part: &RecordBatch) -> Result<FlightData> {
        // no column that travels has a dictionary
        let (_, message) = self.making.encode(part, &mut self.dictionaries, &self.options, &mut self.context)?;
        Ok(message.into())
    }
}

/// The parts of a batch that are a message each, with columns as they travel.
pub fn parts(schema: &SchemaRef, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<std::result::Result<Vec<ArrayRef>, _>>()?;
    // an answer may have rows and no columns
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(in_parts(&RecordBatch::try_new_with_options(schema.clone(), columns, &rows)?))
}

/// A batch in parts that are a message each. The library would take a part of a large column to be as large as all of it, and
/// cut the rows of a sort or an aggregation into thousands of messages.
fn in_parts(batch: &RecordBatch) -> Vec<RecordBatch> {
    let rows = batch.num_rows();
    if rows == 0 {
        return vec![];
    }
    let size = |column: &ArrayRef| {
        column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_buffer_memory_size())
    };
    let bytes: usize = batch.columns().iter().map(size).sum();
    let each = rows.div_ceil(bytes.div_ceil(MESSAGE_BYTES).max(1));
    (0..rows).step_by(each).map(|at| batch.slice(at, each.min(rows - at))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{AsArray, DictionaryArray, Float64Array, ListArray, StringArray, StringViewArray, StructArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::compute::concat_batches;
    use arrow::datatypes::Int32Type;
    use arrow_flight::utils::flight_data_to_batches;

    use super::*;

    #[test]
    fn a_message_holds_what_it_says() {
        let rows = 1_000_000;
        let numbers: ArrayRef = Arc::new(Float64Array::from_iter_values((0..rows).map(f64::from)));
        let whole = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        // 8 MB in four messages and no row twice; a small part of it in one
        let four = in_parts(&whole);
        assert_eq!(four.len(), 4);
        assert_eq!(concat_batches(&whole.schema(), &four).unwrap(), whole);
        assert_eq!(in_parts(&whole.slice(500_000, 8192)), [whole.slice(500_000, 8192)]);
        assert!(in_parts(&whole.slice(0, 0)).is_empty());
        // a row that is larger than a message is one
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(5 << 20); 2]));
        assert_eq!(in_parts(&RecordBatch::try_from_iter([("t", text)]).unwrap()).len(), 2);
    }

    /// Batches as they arrive.
    fn sent(batches: &[RecordBatch]) -> Vec<RecordBatch> {
        let schema = wire_schema(&batches[0].schema());
        let (mut messages, first) = Messages::begin(&schema);
        let mut data = vec![first];
        for batch in batches {
            for part in parts(&schema, batch).unwrap() {
                data.push(messages.message(&part).unwrap());
            }
        }
        flight_data_to_batches(&data).unwrap()
    }

    #[test]
    fn what_is_sent_arrives() {
        // messages that grow, shrink, and are none
        let batch = |count: i32| {
            let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(|n| format!("text {n}"))));
            let numbers = (0..count).map(|n| (n % 3 > 0).then(|| f64::from(n)));
            let numbers: ArrayRef = Arc::new(numbers.collect::<Float64Array>());
            RecordBatch::try_from_iter_with_nullable([("t", texts, true), ("n", numbers, true)]).unwrap()
        };
        let batches = [10, 100_000, 0, 1, 200_000].map(batch);
        let arrived = sent(&batches);
        let schema = batches[0].schema();
        assert_eq!(concat_batches(&schema, &arrived).unwrap(), concat_batches(&schema, &batches).unwrap());
        assert!(arrived.len() > 5, "{}", arrived.len());
        // an answer without rows has columns, and one without columns has rows
        assert!(sent(&[batch(0)]).is_empty());
        let bare = batch(3).project(&[]).unwrap();
        assert_eq!(sent(&[bare]).iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
    }

    #[test]
    fn dictionaries_and_views_do_not_travel_however_deep_they_are() {
        let entries: DictionaryArray<Int32Type> = vec![Some("a"), None, Some("a")].into_iter().collect();
        let entries: ArrayRef = Arc::new(entries);
        let views: ArrayRef = Arc::new(StringViewArray::from(vec!["x", "y", "a text that is longer than a view"]));
        let item = Arc::new(Field::new_list_field(entries.data_type().clone(), true));
        let list = ListArray::new(item, OffsetBuffer::from_lengths([2, 0, 1]), entries.clone(), None);
        let pair = StructArray::try_from(vec![("e", entries.clone()), ("v", views.clone())]).unwrap();
        let columns: [(&str, ArrayRef); 4] =
            [("e", entries), ("v", views), ("l", Arc::new(list)), ("p", Arc::new(pair))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let arrived = sent(std::slice::from_ref(&batch));
        let expected = parts(&wire_schema(&batch.schema()), &batch).unwrap();
        assert_eq!(arrived, expected);
        let types: String = arrived[0].schema().fields().iter().map(|field| field.data_type().to_string()).collect();
        assert!(!types.contains("View") && !types.contains("Dictionary"), "{types}");
        assert_eq!(arrived[0].column(0).as_string::<i32>(), &StringArray::from(vec![Some("a"), None, Some("a")]));
    }
}
