//! A row for each element of a list: what stands beside the list is there again in each of them.
//!
//! In: rows with a list, as a file has them. Out: rows of elements, in batches that stay small however much is repeated. A row
//! that would be repeated beyond all measure is a bad row.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch, UInt64Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Schema};

use super::file_rows::{FileRows, Visit};
use crate::feed::RowIssue;
use crate::{Error, Result};

/// How many bytes repetition may make.
#[derive(Clone, Copy)]
struct Most {
    /// Of a batch, which has one row at least.
    batch: u64,
    /// Of a row of the file.
    row: u64,
}

const MOST: Most = Most { batch: 64 << 20, row: 1 << 30 };

/// What a value takes that is no text.
const VALUE_BYTES: u64 = 16;

/// The type of the elements of a list.
pub fn list_item(field: &Field) -> Option<&DataType> {
    match field.data_type() {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => Some(item.data_type()),
        _ => None,
    }
}

/// Shows a row for each element of the list in column `list`; a row without elements is none.
pub fn taken_apart(rows: FileRows, list: usize, visit: Visit<'_>) -> Result<ControlFlow<()>> {
    taken_apart_at_most(rows, list, MOST, visit)
}

fn taken_apart_at_most(rows: FileRows, list: usize, most: Most, visit: Visit<'_>) -> Result<ControlFlow<()>> {
    let FileRows { batch, lines, mut issues } = rows;
    let item = list_item(batch.schema().field(list)).cloned().ok_or_else(|| Error::bug("a list that is none"))?;
    let large = DataType::LargeList(Arc::new(Field::new_list_field(item.clone(), true)));
    let lists = cast(batch.column(list), &large)?;
    let lists = lists.as_list::<i64>();
    let mut beside = vec![VALUE_BYTES; batch.num_rows()];
    for (_, column) in batch.columns().iter().enumerate().filter(|(index, _)| *index != list) {
        add_bytes(column, &mut beside);
    }
    let mut fields: Vec<Field> = batch.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    fields[list] = Field::new(fields[list].name(), item, true);
    let schema = Arc::new(Schema::new(fields));
    let mut show = |parents: Vec<u64>, elements: Vec<u64>, issues: Vec<RowIssue>| {
        let lines = parents.iter().map(|row| lines[*row as usize]).collect();
        let (parents, elements) = (UInt64Array::from(parents), UInt64Array::from(elements));
        let columns = batch.columns().iter().enumerate().map(|(index, column)| match index == list {
            true => take(lists.values(), &elements, None),
            false => take(column, &parents, None),
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        visit(FileRows { batch: RecordBatch::try_new(schema.clone(), columns)?, lines, issues })
    };
    let (mut parents, mut elements, mut bytes): (Vec<u64>, Vec<u64>, u64) = (vec![], vec![], 0);
    for row in (0..lists.len()).filter(|row| lists.is_valid(*row)) {
        let range = lists.value_offsets()[row] as u64..lists.value_offsets()[row + 1] as u64;
        let (count, repeated) = (range.end - range.start, beside[row]);
        if count.saturating_mul(repeated) > most.row {
            let reason = format!("its list has {count} elements, in each of which {repeated} bytes would be repeated");
            issues.push(RowIssue::new(lines[row], "", reason, ""));
            continue;
        }
        for element in range {
            if bytes + repeated > most.batch && !parents.is_empty() {
                let (parents, elements) = (std::mem::take(&mut parents), std::mem::take(&mut elements));
                bytes = 0;
                if show(parents, elements, std::mem::take(&mut issues))?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            bytes += repeated;
            parents.push(row as u64);
            elements.push(element);
        }
    }
    show(parents, elements, issues)
}

/// Adds what each row of a column takes.
fn add_bytes(column: &ArrayRef, rows: &mut [u64]) {
    let length = |start: usize, end: usize| (end - start) as u64;
    match column.data_type() {
        DataType::Utf8 => add_spans(column.as_string::<i32>().offsets(), rows, length),
        DataType::LargeUtf8 => add_spans(column.as_string::<i64>().offsets(), rows, length),
        DataType::Binary => add_spans(column.as_binary::<i32>().offsets(), rows, length),
        DataType::LargeBinary => add_spans(column.as_binary::<i64>().offsets(), rows, length),
        DataType::Struct(_) => column.as_struct().columns().iter().for_each(|part| add_bytes(part, rows)),
        DataType::List(_) => add_lists(column.as_list::<i32>().offsets(), column.as_list::<i32>().values(), rows),
        DataType::LargeList(_) => add_lists(column.as_list::<i64>().offsets(), column.as_list::<i64>().values(), rows),
        _ => rows.iter_mut().for_each(|bytes| *bytes += VALUE_BYTES),
    }
}

fn add_lists<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, values: &ArrayRef, rows: &mut [u64]) {
    let mut sums = vec![0; values.len()];
    add_bytes(values, &mut sums);
    // up to each element
    let mut all = 0;
    let sums: Vec<u64> = std::iter::once(0)
        .chain(sums.into_iter().map(|bytes| {
            all += bytes;
            all
        }))
        .collect();
    add_spans(offsets, rows, |start, end| sums[end] - sums[start]);
}

fn add_spans<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, rows: &mut [u64], of: impl Fn(usize, usize) -> u64) {
    for (bytes, span) in rows.iter_mut().zip(offsets.windows(2)) {
        *bytes += of(span[0].as_usize(), span[1].as_usize());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{Int64Array, ListArray, StringArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    /// How many rows each batch has, the rows, and the lines of what is none.
    fn apart(most: Most) -> (Vec<usize>, Vec<(String, i64)>, Vec<u64>) {
        let lists = [Some(vec![Some(1), Some(2), Some(3)]), None, Some(vec![]), Some(vec![Some(4); 40])];
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
        let texts = vec!["a".repeat(84), "b".into(), "c".into(), "d".repeat(184)];
        let texts: ArrayRef = Arc::new(StringArray::from(texts));
        let batch = RecordBatch::try_from_iter([("text", texts), ("list", lists)]).unwrap();
        let rows = FileRows { batch, lines: vec![1, 2, 3, 4], issues: vec![] };
        let (mut counts, mut found, mut issues) = (vec![], vec![], vec![]);
        let flow = taken_apart_at_most(rows, 1, most, &mut |rows| {
            counts.push(rows.batch.num_rows());
            let (texts, numbers) = (rows.batch.column(0).clone(), rows.batch.column(1).clone());
            let numbers: Int64Array = numbers.as_primitive::<Int64Type>().clone();
            let rows_of = texts.as_string::<i32>().iter().zip(&numbers);
            found.extend(rows_of.map(|(text, number)| (text.unwrap()[..1].to_string(), number.unwrap())));
            issues.extend(rows.issues.iter().map(|issue| issue.line));
            Ok(ControlFlow::Continue(()))
        });
        assert!(flow.unwrap().is_continue());
        (counts, found, issues)
    }

    #[test]
    fn what_is_repeated_is_bounded() {
        let all = Most { batch: 1 << 20, row: 1 << 20 };
        let (counts, rows, issues) = apart(all);
        assert_eq!((counts, rows.len(), issues.len()), (vec![43], 43, 0));
        let expected = [("a", 1), ("a", 2), ("a", 3), ("d", 4)].map(|(text, number)| (text.to_string(), number));
        assert_eq!(rows[..4], expected);
        // 100 bytes three times, and 200 forty times
        let (counts, same, _) = apart(Most { batch: 250, row: 1 << 20 });
        assert!(counts.len() > 40 && counts.iter().all(|count| *count <= 2) && same == rows, "{counts:?}");
        let (counts, some, issues) = apart(Most { batch: 1 << 20, row: 1000 });
        assert_eq!((counts, some, issues), (vec![3], rows[..3].to_vec(), vec![4]));
    }
}
