//! Rows as messages: columns as every driver reads them, and a message for each part of a batch.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::ipc::writer::{IpcWriteOptions, StreamEncoder};
use arrow_flight::{FlightData, SchemaAsIpc};
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::{Error, Result};

/// What a message has of a batch, bytes, about: drivers take messages of 4 MB.
const MESSAGE_BYTES: usize = 2 << 20;

/// Values of fewer bytes are copied into one piece: a piece has a price, whatever its size.
const SMALL_BYTES: usize = 8 << 10;

/// Before the header of a message in a stream of Arrow: a mark, and the header's length.
const PREFIX_BYTES: usize = 8;

/// The field of `FlightData` that has the values.
const VALUES_FIELD: u32 = 1000;

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

/// Makes the messages of an answer as gRPC has them, in pieces. Large values stay where they are: the library would copy all of
/// them twice.
pub struct Messages(StreamEncoder);

impl Messages {
    /// The maker of an answer's messages, and the first of them, which tells its columns as they travel.
    pub fn begin(schema: &SchemaRef) -> Result<(Self, Vec<Bytes>)> {
        let mut stream = StreamEncoder::try_new(schema)?;
        // what it gives first begins with the columns, which are sent by themselves
        stream.encode(&RecordBatch::new_empty(schema.clone()))?;
        let columns = FlightData::from(SchemaAsIpc::new(schema, &IpcWriteOptions::default()));
        Ok((Self(stream), pieces(&columns, vec![])?))
    }

    /// The message of a part.
    pub fn message(&mut self, part: &RecordBatch) -> Result<Vec<Bytes>> {
        // no column that travels has a dictionary, so that this is one message
        let mut buffers = self.0.encode(part)?.into_iter();
        let mut head: Vec<u8> = vec![];
        while head.len() < head_bytes(&head)
            && let Some(buffer) = buffers.next()
        {
            head.extend_from_slice(&buffer);
        }
        let header = Bytes::from(head.split_off(PREFIX_BYTES.min(head.len())));
        pieces(&FlightData { data_header: header, ..Default::default() }, buffers.collect())
    }
}

/// How many bytes a message of a stream has before its values, as far as its first bytes tell.
fn head_bytes(begin: &[u8]) -> usize {
    match begin {
        [_, _, _, _, a, b, c, d, ..] => PREFIX_BYTES + u32::from_le_bytes([*a, *b, *c, *d]) as usize,
        _ => PREFIX_BYTES,
    }
}

/// A message with these values as gRPC has it.
fn pieces(message: &FlightData, values: Vec<Buffer>) -> Result<Vec<Bytes>> {
    let values_bytes: usize = values.iter().map(Buffer::len).sum();
    let mut fields = message.encode_to_vec();
    if values_bytes > 0 {
        encode_key(VALUES_FIELD, WireType::LengthDelimited, &mut fields);
        encode_varint(values_bytes as u64, &mut fields);
    }
    let length = u32::try_from(fields.len() + values_bytes);
    let length = length.map_err(|_| Error::query("a row has more than 4 GB, which is more than a message can have"))?;
    let mut small = BytesMut::new();
    // that it is not compressed
    small.put_u8(0);
    small.put_u32(length);
    small.put_slice(&fields);
    let mut pieces = vec![];
    for value in values {
        if value.len() < SMALL_BYTES {
            small.put_slice(&value);
            continue;
        }
        if !small.is_empty() {
            pieces.push(small.split().freeze());
        }
        pieces.push(Bytes::from_owner(Values(value)));
    }
    if !small.is_empty() {
        pieces.push(small.freeze());
    }
    Ok(pieces)
}

/// Values where they are.
struct Values(Buffer);

impl AsRef<[u8]> for Values {
    fn as_ref(&self) -> &[u8] {
        &self.0
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
    use arrow::datatypes::{Float64Type, Int32Type};
    use arrow_flight::utils::flight_data_to_batches;
    use bytes::Buf;

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

    /// A message as its reader finds it.
    fn arrived(pieces: &[Bytes]) -> FlightData {
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
        let mut message = Bytes::from(bytes);
        assert_eq!(message.get_u8(), 0);
        assert_eq!(message.get_u32() as usize, message.len());
        FlightData::decode(message).unwrap()
    }

    /// Batches as they arrive.
    fn sent(batches: &[RecordBatch]) -> Vec<RecordBatch> {
        let schema = wire_schema(&batches[0].schema());
        let (mut messages, first) = Messages::begin(&schema).unwrap();
        let mut data = vec![arrived(&first)];
        for batch in batches {
            for part in parts(&schema, batch).unwrap() {
                data.push(arrived(&messages.message(&part).unwrap()));
            }
        }
        flight_data_to_batches(&data).unwrap()
    }

    #[test]
    fn large_values_are_not_copied_and_small_ones_are_one_piece() {
        let numbers: ArrayRef = Arc::new(Float64Array::from_iter_values((0..8192).map(f64::from)));
        let batch = RecordBatch::try_from_iter([("m", numbers.clone()), ("n", numbers)]).unwrap();
        let schema = wire_schema(&batch.schema());
        let (mut messages, _) = Messages::begin(&schema).unwrap();
        let [part]: [RecordBatch; 1] = parts(&schema, &batch).unwrap().try_into().unwrap();
        let pieces = messages.message(&part).unwrap();
        let values = batch.column(0).as_primitive::<Float64Type>().values().inner().as_ptr();
        assert_eq!(pieces.iter().filter(|piece| piece.as_ptr() == values).count(), 2);
        assert_eq!(messages.message(&part.slice(10, 100)).unwrap().len(), 1);
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
