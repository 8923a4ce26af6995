//! Values of a prepared statement's parameters, as a client sends them.

use arrow::datatypes::DataType;
use arrow::ipc::root_as_message;
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use datafusion::scalar::ScalarValue;
use futures::{Stream, StreamExt, TryStreamExt};
use tonic::Status;

use super::messages::wire_type;
use crate::ErrorKind;
use crate::serve::failure::{Failure, Reason};

/// The one row of values that a client sends; empty where it sends none.
///
/// # Errors
/// There are more rows than one, or more than `most` bytes, or they are compressed: nothing says before how large they become.
pub async fn received<S>(data: S, most: usize) -> Result<Vec<ScalarValue>, Status>
where
    S: Stream<Item = Result<FlightData, Status>> + Send + 'static,
{
    let mut left = most;
    let data = data.map(move |message: Result<FlightData, Status>| -> Result<FlightData, FlightError> {
        let message = message?;
        let Some(rest) = left.checked_sub(message.data_header.len() + message.data_body.len()) else {
            let why = format!("the values of the parameters have more than {most} bytes (--max-statement)");
            return Err(Status::from(Failure::new(Reason::TooLarge, why)).into());
        };
        left = rest;
        match is_compressed(&message) {
            true => Err(Status::from(wrong("the values of parameters are compressed; send them as they are")).into()),
            false => Ok(message),
        }
    });
    let mut batches = FlightRecordBatchStream::new_from_flight_data(data);
    let mut values = None;
    while let Some(batch) = batches.try_next().await.map_err(unreadable)? {
        if batch.num_rows() == 0 {
            continue;
        }
        if batch.num_rows() > 1 || values.is_some() {
            return Err(wrong("one row of parameters can be bound").into());
        }
        let row = batch.columns().iter().map(|column| ScalarValue::try_from_array(column, 0));
        values = Some(row.collect::<Result<Vec<_>, _>>().map_err(Failure::from)?);
    }
    Ok(values.unwrap_or_default())
}

/// The types of values, where they are others than the statement has. A text is read as what stands in its place, and a
/// NULL is of any type.
pub fn other_types(values: &[ScalarValue], of_statement: &[Option<DataType>]) -> Vec<Option<DataType>> {
    let other_type = |(place, value): (usize, &ScalarValue)| {
        let own = wire_type(&value.data_type());
        match (of_statement.get(place).cloned().flatten(), own) {
            (_, DataType::Null) | (Some(_), DataType::Utf8 | DataType::LargeUtf8) => None,
            (known, own) => (known.as_ref() != Some(&own)).then_some(own),
        }
    };
    values.iter().enumerate().map(other_type).collect()
}

/// The values as the statement takes them.
pub fn fitting(values: Vec<ScalarValue>, wanted: &[Option<DataType>]) -> Result<Vec<ScalarValue>, Failure> {
    let fit = |(place, value): (usize, ScalarValue)| match wanted.get(place).cloned().flatten() {
        Some(wanted) => value.cast_to(&wanted).map_err(Failure::from),
        None => Ok(value),
    };
    values.into_iter().enumerate().map(fit).collect()
}

fn is_compressed(message: &FlightData) -> bool {
    // what is no message, its reader refuses
    root_as_message(&message.data_header).is_ok_and(|message| {
        let of_dictionary = || message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data());
        let batch = message.header_as_record_batch().or_else(of_dictionary);
        batch.is_some_and(|batch| batch.compression().is_some())
    })
}

fn unreadable(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => wrong(format!("the values of the parameters cannot be read: {other}")).into(),
    }
}

/// What a client asked wrong.
pub fn wrong(message: impl Into<String>) -> Failure {
    Failure::new(Reason::Engine(ErrorKind::Usage), message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
    use arrow::ipc::CompressionType;
    use arrow::ipc::writer::IpcWriteOptions;
    use arrow_flight::encode::FlightDataEncoderBuilder;
    use futures::stream;
    use tonic::Code;

    use super::*;

    fn row(column: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter([("$1", column)]).unwrap()
    }

    async fn of(batches: Vec<RecordBatch>, options: IpcWriteOptions) -> Result<Vec<ScalarValue>, Status> {
        let batches = stream::iter(batches.into_iter().map(Ok));
        let sent = FlightDataEncoderBuilder::new().with_options(options).build(batches);
        received(sent.map_err(Status::from), 10_000).await
    }

    #[tokio::test]
    async fn one_row_of_bounded_size() {
        let plain = IpcWriteOptions::default;
        let text = |text: &str| row(Arc::new(StringArray::from(vec![text])));
        assert_eq!(of(vec![text("a")], plain()).await.unwrap(), [ScalarValue::from("a")]);
        assert!(of(vec![text("a").slice(0, 0)], plain()).await.unwrap().is_empty());
        let refused = [
            (of(vec![text("a"), text("b")], plain()).await, Code::InvalidArgument, "one row"),
            (of(vec![row(Arc::new(Int32Array::from(vec![1, 2])))], plain()).await, Code::InvalidArgument, "one row"),
            (of(vec![text(&"x".repeat(20_000))], plain()).await, Code::OutOfRange, "more than 10000 bytes"),
        ];
        for (found, code, why) in refused {
            let status = found.unwrap_err();
            assert_eq!(status.code(), code, "{status}");
            assert!(status.message().contains(why), "{status}");
        }
        // a text that is small on its way and large here
        let packed = plain().try_with_compression(Some(CompressionType::ZSTD)).unwrap();
        let status = of(vec![text(&"x".repeat(1_000_000))], packed).await.unwrap_err();
        assert!(status.message().contains("compressed"), "{status}");
    }

    #[test]
    fn values_keep_what_they_say() {
        let place = [Some(DataType::Int64), Some(DataType::Int64), Some(DataType::Int64), None, None];
        let values = [
            ScalarValue::from(1.5),
            ScalarValue::from(7_i64),
            ScalarValue::from("8"),
            ScalarValue::Null,
            ScalarValue::from("a"),
        ];
        let types = other_types(&values, &place);
        assert_eq!(types, [Some(DataType::Float64), None, None, None, Some(DataType::Utf8)]);
        let wanted = [Some(DataType::Float64), Some(DataType::Int64), Some(DataType::Int64), None, None];
        let fitted = fitting(values.to_vec(), &wanted).unwrap();
        assert_eq!(fitted[..3], [ScalarValue::from(1.5), ScalarValue::from(7_i64), ScalarValue::from(8_i64)]);
        assert!(fitting(vec![ScalarValue::from("eight")], &wanted[1..]).is_err());
    }
}
