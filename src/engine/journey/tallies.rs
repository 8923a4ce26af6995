//! What walks count for models that need the journeys of all visitors at once, as rows: sums that add up over all parts of the
//! visitors, from all partitions.
//!
//! Items are codes of a dictionary that each batch has for itself, so that it can be read alone, here or on another machine. Sums
//! are whole numbers, or two doubles that together lose no digit ([`Sum`]): what is added up is the same in any number of parts.
//! Rows come in no order, and may come several times.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Float64Array, Int8Array, Int32Array, ListArray, RecordBatch,
    StringArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::take;
use arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, Int8Type, Int32Type, SchemaRef, UInt32Type, UInt64Type,
};
use datafusion::error::{DataFusionError, Result};

use super::breakdown::{Breakdown, GroupRows, Groups};
use crate::attribution::{NONE, Sum};

/// Rows that make a batch, and items that do, where sets are large.
const ROWS_PER_BATCH: usize = 8192;
const ITEMS_PER_BATCH: usize = 1 << 15;

/// An item that the dictionary of a batch does not have yet.
const UNUSED: i32 = -1;

/// What a row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tallied {
    /// What a model that looks at one journey at a time gives to an item: its value.
    Credit,
    /// What `algorithmic` gives to an item whatever happened on other paths: its value.
    Direct,
    /// The paths that saw a set of items: how many, their values' sum, and that without signs.
    Set,
    /// A step of a chain, from the items before the last one to it: how often.
    Step,
    /// Paths of a chain that end with these items: how many in a conversion, how many without.
    End,
    /// Conversions of a chain that touched something: the sum of their values.
    Touched,
    /// Those that touched nothing.
    Untouched,
}

impl Tallied {
    /// By number.
    const ALL: [Self; 7] =
        [Self::Credit, Self::Direct, Self::Set, Self::Step, Self::End, Self::Touched, Self::Untouched];

    /// True for what is counted of single groups of conversions.
    fn is_of_group(self) -> bool {
        matches!(self, Self::Credit | Self::Touched | Self::Untouched)
    }
}

/// A row. Items and groups are numbered by the partition that counts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tally {
    pub kind: Tallied,
    /// Which of the question's models it is for; 0 for sets, which are counted once.
    pub model: u32,
    /// The group of conversions; 0 where there is but one, or none is asked for.
    pub group: u32,
    pub items: Box<[u32]>,
    pub counts: [u64; 2],
    pub sums: [Sum; 2],
}

impl Tally {
    /// A sum of values.
    pub fn value(kind: Tallied, model: u32, group: u32, items: Box<[u32]>, value: Sum) -> Self {
        Self { kind, model, group, items, counts: [0; 2], sums: [value, Sum::default()] }
    }
}

/// Rows, one after the other.
pub(super) type Tallies = Box<dyn Iterator<Item = Tally> + Send + Sync>;

fn items_field() -> FieldRef {
    let texts = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Arc::new(Field::new_list_field(texts, true))
}

/// The columns that come after those of the breakdown.
pub(super) fn fields() -> Vec<Field> {
    let column = |name, data_type| Field::new(name, data_type, false);
    vec![
        column("kind", DataType::Int8),
        column("model", DataType::UInt32),
        column("items", DataType::List(items_field())),
        column("paths", DataType::UInt64),
        column("unconverted", DataType::UInt64),
        column("value", DataType::Float64),
        column("value_rest", DataType::Float64),
        column("magnitude", DataType::Float64),
        column("magnitude_rest", DataType::Float64),
    ]
}

/// Rows on their way out, a batch at a time. They are freed as they go.
pub(super) struct TallyBatches {
    tallies: Tallies,
    /// By item, its code in the dictionary of the batch at hand.
    codes: Vec<i32>,
}

impl TallyBatches {
    /// All of these.
    pub fn new(tallies: Tallies) -> Self {
        Self { tallies, codes: vec![] }
    }

    /// The next batch, in the columns of `schema`; None where nothing is left. `groups` and `names` are those of the partition that counted.
    pub fn batch(
        &mut self,
        schema: SchemaRef,
        by: &Breakdown,
        groups: Option<&Groups>,
        names: &[Arc<str>],
    ) -> Result<Option<RecordBatch>> {
        let (mut rows, mut listed) = (vec![], 0);
        while rows.len() < ROWS_PER_BATCH
            && listed < ITEMS_PER_BATCH
            && let Some(tally) = self.tallies.next()
        {
            listed += tally.items.len();
            rows.push(tally);
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let mut columns = match groups.filter(|_| !by.is_empty()) {
            Some(groups) => group_columns(&rows, by, groups)?,
            None => vec![],
        };
        let count = |which: usize| -> ArrayRef {
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|tally| tally.counts[which])))
        };
        let sum = |which: usize, part: usize| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|tally| tally.sums[which].parts()[part])))
        };
        columns.extend([
            Arc::new(Int8Array::from_iter_values(rows.iter().map(|tally| tally.kind as i8))) as ArrayRef,
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|tally| tally.model))),
            self.lists(&rows, names)?,
            count(0),
            count(1),
            sum(0, 0),
            sum(0, 1),
            sum(1, 0),
            sum(1, 1),
        ]);
        Ok(Some(RecordBatch::try_new(schema, columns)?))
    }

    /// The items of rows.
    fn lists(&mut self, rows: &[Tally], names: &[Arc<str>]) -> Result<ArrayRef> {
        let Self { codes, .. } = self;
        codes.resize(names.len(), UNUSED);
        let mut used: Vec<u32> = vec![];
        let code_of = |item: &u32| {
            let code = codes.get_mut(*item as usize)?;
            if *code == UNUSED {
                *code = used.len() as i32;
                used.push(*item);
            }
            Some(*code)
        };
        let keys: Int32Array = rows.iter().flat_map(|tally| tally.items.iter()).map(code_of).collect();
        let texts: StringArray = used.iter().map(|item| Some(&*names[*item as usize])).collect();
        used.iter().for_each(|item| codes[*item as usize] = UNUSED);
        let ends = OffsetBuffer::from_lengths(rows.iter().map(|tally| tally.items.len()));
        let items = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(texts))?;
        Ok(Arc::new(ListArray::try_new(items_field(), ends, Arc::new(items), None)?))
    }
}

/// The groups of rows, NULL where what is counted is of all.
fn group_columns(rows: &[Tally], by: &Breakdown, groups: &Groups) -> Result<Vec<ArrayRef>> {
    let of_group = |tally: &&Tally| tally.kind.is_of_group();
    if !rows.iter().any(|tally| of_group(&tally)) {
        return Ok(by.iter().map(|(_, kind)| new_null_array(&kind.data_type(), rows.len())).collect());
    }
    let known = groups.columns(by, rows.iter().filter(of_group).map(|tally| tally.group))?;
    let mut place = 0;
    let places: UInt32Array = rows
        .iter()
        .map(|tally| {
            let own = of_group(&tally).then_some(place);
            place += u32::from(own.is_some());
            own
        })
        .collect();
    known.iter().map(|column| Ok(take(column, &places, None)?)).collect()
}

/// The rows of a batch: items under the numbers that `number` gives them, groups under those that they have in `groups`.
pub(super) fn rows_of(
    batch: &RecordBatch,
    by: &Breakdown,
    groups: &mut Groups,
    mut number: impl FnMut(&str) -> u32,
) -> Result<Vec<Tally>> {
    let told = match by.is_empty() {
        true => None,
        false => Some(GroupRows::new(by, &batch.columns()[..by.len()])?),
    };
    let column = |place: usize| batch.column(by.len() + place);
    let kinds = column(0).as_primitive::<Int8Type>();
    let models = column(1).as_primitive::<UInt32Type>();
    let lists = column(2).as_list::<i32>();
    let counts = [3, 4].map(|place| column(place).as_primitive::<UInt64Type>());
    let sums = [5, 6, 7, 8].map(|place| column(place).as_primitive::<Float64Type>());
    let items = lists.values().as_dictionary::<Int32Type>();
    let (codes, texts) = (items.keys(), items.values().as_string::<i32>());
    let mut numbers: Vec<Option<u32>> = vec![None; texts.len()];
    let mut item = |at: usize| match codes.is_valid(at) {
        true => {
            let code = codes.value(at) as usize;
            *numbers[code].get_or_insert_with(|| number(texts.value(code)))
        }
        false => NONE,
    };
    let row = |row: usize| {
        let kind = usize::try_from(kinds.value(row)).ok().and_then(|code| Tallied::ALL.get(code).copied());
        let kind = kind.ok_or_else(|| DataFusionError::Internal("what models count is not known".into()))?;
        let group = match &told {
            Some(told) if kind.is_of_group() => groups.number(told, row),
            _ => 0,
        };
        let (begin, end) = (lists.value_offsets()[row] as usize, lists.value_offsets()[row + 1] as usize);
        let sum = |which: usize| Sum::of_parts([sums[2 * which].value(row), sums[2 * which + 1].value(row)]);
        Ok(Tally {
            kind,
            model: models.value(row),
            group,
            items: (begin..end).map(&mut item).collect(),
            counts: counts.map(|counts| counts.value(row)),
            sums: [sum(0), sum(1)],
        })
    };
    (0..batch.num_rows()).map(row).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::compute::concat_batches;
    use arrow::datatypes::Schema;
    use arrow::ipc::reader::StreamReader;
    use arrow::ipc::writer::StreamWriter;

    use super::super::breakdown::{GroupType, fields as group_fields};
    use super::super::items::Items;
    use super::*;

    fn schema(by: &Breakdown) -> SchemaRef {
        let mut all = group_fields(by);
        all.extend(fields());
        Arc::new(Schema::new(all))
    }

    fn by_country() -> Vec<(String, GroupType)> {
        vec![("country".to_string(), GroupType::Text)]
    }

    /// DE and no country, in this order.
    fn countries() -> Groups {
        let countries: ArrayRef = Arc::new(StringArray::from(vec![Some("DE"), None]));
        let rows = GroupRows::new(&by_country(), &[countries]).unwrap();
        let mut groups = Groups::default();
        assert_eq!([0, 1].map(|row| groups.number(&rows, row)), [0, 1]);
        groups
    }

    fn sum(terms: &[f64]) -> Sum {
        terms.iter().copied().collect()
    }

    fn count(kind: Tallied, items: Box<[u32]>, counts: [u64; 2]) -> Tally {
        Tally { kind, model: 2, group: 0, items, counts, sums: [Sum::default(); 2] }
    }

    fn batches(tallies: Vec<Tally>, by: &Breakdown, groups: Option<&Groups>, names: &[Arc<str>]) -> Vec<RecordBatch> {
        let mut left = TallyBatches::new(Box::new(tallies.into_iter()));
        let mut batches = vec![];
        while let Some(batch) = left.batch(schema(by), by, groups, names).unwrap() {
            batches.push(batch);
        }
        batches
    }

    #[test]
    fn rows_come_back_under_the_numbers_of_whoever_reads_them() {
        let names: Vec<Arc<str>> = vec!["a".into(), "b".into(), "c".into()];
        let large = sum(&[1e15, 0.1, -7.0 / 3.0]);
        let set = Tally { sums: [large, sum(&[0.1; 3])], ..count(Tallied::Set, Box::new([2, 0]), [7, 0]) };
        let written = [
            set,
            Tally::value(Tallied::Credit, 1, 1, Box::new([NONE]), large),
            Tally::value(Tallied::Credit, 1, 0, Box::new([1]), sum(&[-1.0])),
            count(Tallied::Step, Box::new([1, 2, 1]), [u64::MAX, 0]),
            count(Tallied::End, Box::new([1]), [3, 4]),
            Tally::value(Tallied::Touched, 2, 1, Box::default(), large),
            Tally::value(Tallied::Untouched, 2, 0, Box::default(), sum(&[5.0])),
            Tally::value(Tallied::Direct, 0, 0, Box::new([0]), sum(&[2.5])),
        ];
        let (by, own) = (by_country(), countries());
        // the second of three has no group
        let parts = [&written[..3], &written[3..5], &written[5..]];
        let parts = parts.map(|part| batches(part.to_vec(), &by, Some(&own), &names));
        // as they travel, each with a dictionary of its own, and as they may be put together on the way
        let mut writer = StreamWriter::try_new(Vec::<u8>::new(), &schema(&by)).unwrap();
        parts.iter().flatten().for_each(|batch| writer.write(batch).unwrap());
        let bytes = writer.into_inner().unwrap();
        let read = StreamReader::try_new(bytes.as_slice(), None).unwrap();
        let read: Vec<RecordBatch> = read.map(|batch| batch.unwrap()).collect();
        assert_eq!(read.len(), 3);
        let arrived = concat_batches(&schema(&by), &read).unwrap();
        let (mut items, mut groups) = (Items::default(), Groups::default());
        items.number("b");
        let found = rows_of(&arrived, &by, &mut groups, |name| items.number(name)).unwrap();
        assert_eq!(found.len(), written.len());
        let named = |numbers: &[u32], names: &[Arc<str>]| -> Vec<Option<String>> {
            numbers.iter().map(|number| names.get(*number as usize).map(ToString::to_string)).collect()
        };
        for (found, written) in found.iter().zip(&written) {
            let told = |tally: &Tally| (tally.kind, tally.model, tally.counts, tally.sums);
            assert_eq!(told(found), told(written));
            assert_eq!(named(&found.items, items.names()), named(&written.items, &names));
            if written.kind.is_of_group() {
                assert_eq!(groups.keys()[found.group as usize], own.keys()[written.group as usize]);
            }
        }
    }

    #[test]
    fn batches_are_of_so_many_rows_or_items() {
        let names: Vec<Arc<str>> = (0..=ROWS_PER_BATCH).map(|item| item.to_string().into()).collect();
        let shapes = |batches: Vec<RecordBatch>| -> Vec<(usize, usize)> {
            let texts = |batch: &RecordBatch| {
                batch.column(2).as_list::<i32>().values().as_dictionary::<Int32Type>().values().len()
            };
            batches.iter().map(|batch| (batch.num_rows(), texts(batch))).collect()
        };
        let singles = (0..names.len() as u32).map(|item| count(Tallied::Set, Box::new([item]), [1, 0])).collect();
        assert_eq!(shapes(batches(singles, &[], None, &names)), [(ROWS_PER_BATCH, ROWS_PER_BATCH), (1, 1)]);
        let pairs: Box<[u32]> = (0..ITEMS_PER_BATCH as u32 / 2).map(|place| place % 2).collect();
        let large = vec![count(Tallied::Set, pairs, [1, 0]); 5];
        assert_eq!(shapes(batches(large, &[], None, &names)), [(2, 2), (2, 2), (1, 2)]);
    }
}
