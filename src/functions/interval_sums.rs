//! `sum`, `avg`, `max` and `min` of intervals, as in PostgreSQL. Months, days and the rest are added up separately, and the longest is the one
//! of the most nanoseconds. DataFusion's `sum` wraps around where there are too many, its `avg` takes no intervals, and its `max` compares
//! months first.
//!
//! `avg` of a statement accepts intervals as well; a plan computes DataFusion's `avg`, or one of these.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Decimal128Type, Field, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion::error::Result;
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Coercion, Signature, TypeSignature, TypeSignatureClass, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::interval_times::scaled;
use super::spans::{length, too_long};
use crate::Error;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
/// The type of a sum of nanoseconds, of which there are more than 64 bits count.
const NANOS: DataType = DataType::Decimal128(38, 0);
/// Nanoseconds of a day.
const DAY: i128 = 86_400_000_000_000;

/// One of each for all plans: two calls with the same arguments are the same.
static SUM: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| of_intervals("sum_of_intervals", Kind::Sum));
static AVERAGE: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| of_intervals("avg_of_intervals", Kind::Average));
static LONGEST: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| of_intervals("max_of_intervals", Kind::Longest));
static SHORTEST: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| of_intervals("min_of_intervals", Kind::Shortest));

fn of_intervals(name: &'static str, kind: Kind) -> Arc<AggregateUDF> {
    let signature = Signature::exact(vec![INTERVAL], Volatility::Immutable);
    Arc::new(AggregateUDF::from(OfIntervals { name, kind, signature }))
}

/// All of them.
pub(super) fn udafs() -> [AggregateUDF; 5] {
    let intervals = TypeSignature::Coercible(vec![Coercion::new_exact(TypeSignatureClass::Interval)]);
    let function = avg_udaf();
    let types = vec![function.signature().type_signature.clone(), intervals];
    let signature = Signature::one_of(types, Volatility::Immutable);
    let average = AggregateUDF::from(OfAll { function, signature });
    let [sum, average_of_intervals, longest, shortest] =
        [&SUM, &AVERAGE, &LONGEST, &SHORTEST].map(|udaf| AggregateUDF::clone(udaf));
    [sum, average_of_intervals, longest, shortest, average]
}

/// What computes an aggregate by this name, of intervals or of other values; None where that is what has the name.
pub fn aggregate_of(name: &str, of_intervals: bool) -> Option<Arc<AggregateUDF>> {
    match (name, of_intervals) {
        ("sum", true) => Some(SUM.clone()),
        ("avg", true) => Some(AVERAGE.clone()),
        ("max", true) => Some(LONGEST.clone()),
        ("min", true) => Some(SHORTEST.clone()),
        ("avg", false) => Some(avg_udaf()),
        _ => None,
    }
}

/// An aggregate that takes intervals, too, until it is known what it is of.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OfAll {
    function: Arc<AggregateUDF>,
    signature: Signature,
}

impl AggregateUDFImpl for OfAll {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::Interval(_)] => Ok(INTERVAL),
            _ => self.function.return_type(arguments),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.function.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.function.state_fields(args)
    }
}

/// What is found out about intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Sum,
    Average,
    Longest,
    Shortest,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfIntervals {
    name: &'static str,
    kind: Kind,
    signature: Signature,
}

impl AggregateUDFImpl for OfIntervals {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let is_average = match self.kind {
            Kind::Longest | Kind::Shortest => return Ok(Box::new(Extreme { kind: self.kind, found: None })),
            Kind::Sum => false,
            Kind::Average => true,
        };
        if args.is_distinct {
            let message = "DISTINCT intervals are not added up; take them from a subquery: SELECT DISTINCT";
            return Err(Error::query(message).into());
        }
        Ok(Box::new(Total { is_average, ..Total::default() }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match self.kind {
            Kind::Longest | Kind::Shortest => Ok(Box::new(SlidingExtreme { kind: self.kind, counts: BTreeMap::new() })),
            Kind::Sum | Kind::Average => self.accumulator(args),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        use DataType::Int64;
        let parts = match self.kind {
            Kind::Longest | Kind::Shortest => vec![("found", INTERVAL)],
            Kind::Sum | Kind::Average => vec![("months", Int64), ("days", Int64), ("nanos", NANOS), ("count", Int64)],
        };
        let field = |(part, data_type): (&str, DataType)| {
            Arc::new(Field::new(format!("{}[{part}]", args.name), data_type, true))
        };
        Ok(parts.into_iter().map(field).collect())
    }
}

/// By what an interval is the longest: its length, then its parts, so that it does not hang on the order of rows.
type Measure = (i128, IntervalMonthDayNano);

fn measures(values: &ArrayRef) -> impl Iterator<Item = Measure> {
    values.as_primitive::<IntervalMonthDayNanoType>().iter().flatten().map(|span| (length(span), span))
}

fn shown(found: Option<Measure>) -> ScalarValue {
    ScalarValue::IntervalMonthDayNano(found.map(|(_, span)| span))
}

/// The longest of intervals, or the shortest.
#[derive(Debug)]
struct Extreme {
    kind: Kind,
    found: Option<Measure>,
}

impl Accumulator for Extreme {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let of_batch = values.iter().flat_map(measures).chain(self.found);
        self.found = if self.kind == Kind::Longest { of_batch.max() } else { of_batch.min() };
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(shown(self.found))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![shown(self.found)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}

/// The same over a frame of rows that come and go: how many of them have each interval.
#[derive(Debug)]
struct SlidingExtreme {
    kind: Kind,
    counts: BTreeMap<Measure, usize>,
}

impl Accumulator for SlidingExtreme {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values.iter().flat_map(measures).for_each(|one| *self.counts.entry(one).or_default() += 1);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for one in values.iter().flat_map(measures) {
            if let Some(count) = self.counts.get_mut(&one) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&one);
                }
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut each = self.counts.keys().copied();
        Ok(shown(if self.kind == Kind::Longest { each.next_back() } else { each.next() }))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.len() * size_of::<(Measure, usize)>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}

/// Intervals that are added up.
#[derive(Debug, Default)]
struct Total {
    is_average: bool,
    months: i64,
    days: i64,
    nanos: i128,
    count: i64,
}

impl Total {
    fn add(&mut self, values: &ArrayRef, sign: i64) {
        for span in values.as_primitive::<IntervalMonthDayNanoType>().iter().flatten() {
            self.months += sign * i64::from(span.months);
            self.days += sign * i64::from(span.days);
            self.nanos += i128::from(sign) * i128::from(span.nanoseconds);
            self.count += sign;
        }
    }

    /// The sum; hours of which there are too many become days.
    fn sum(&self) -> Option<IntervalMonthDayNano> {
        let (days, nanos) = match i64::try_from(self.nanos) {
            Ok(nanos) => (i128::from(self.days), nanos),
            Err(_) => (i128::from(self.days) + self.nanos / DAY, (self.nanos % DAY) as i64),
        };
        Some(IntervalMonthDayNano::new(i32::try_from(self.months).ok()?, i32::try_from(days).ok()?, nanos))
    }

    fn average(&self) -> Option<IntervalMonthDayNano> {
        let count = self.count as f64;
        scaled(self.months as f64, self.days as f64, self.nanos as f64, &|part| part / count)
    }
}

impl Accumulator for Total {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values.iter().for_each(|values| self.add(values, 1));
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values.iter().for_each(|values| self.add(values, -1));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.count == 0 {
            return Ok(ScalarValue::IntervalMonthDayNano(None));
        }
        let found = if self.is_average { self.average() } else { self.sum() };
        Ok(ScalarValue::IntervalMonthDayNano(Some(found.ok_or_else(too_long)?)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::Int64(Some(self.months)),
            ScalarValue::Int64(Some(self.days)),
            ScalarValue::Decimal128(Some(self.nanos), 38, 0),
            ScalarValue::Int64(Some(self.count)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let sum = |place: usize| states[place].as_primitive::<Int64Type>().iter().flatten().sum::<i64>();
        self.months += sum(0);
        self.days += sum(1);
        self.nanos += states[2].as_primitive::<Decimal128Type>().iter().flatten().sum::<i128>();
        self.count += sum(3);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::IntervalMonthDayNanoArray;

    use super::*;

    fn spans(spans: &[Option<(i32, i32, i64)>]) -> ArrayRef {
        let span =
            |(months, days, seconds): (i32, i32, i64)| IntervalMonthDayNano::new(months, days, seconds * 1_000_000_000);
        Arc::new(spans.iter().map(|one| one.map(span)).collect::<IntervalMonthDayNanoArray>())
    }

    #[test]
    fn parts_are_added_up() {
        let of = |is_average: bool, values: ArrayRef| {
            let (mut part, mut whole) = (Total::default(), Total { is_average, ..Total::default() });
            part.update_batch(&[values]).unwrap();
            let states: Vec<ArrayRef> = part.state().unwrap().iter().map(|state| state.to_array().unwrap()).collect();
            whole.merge_batch(&states).unwrap();
            whole.evaluate().unwrap()
        };
        let value = |months, days, nanos| ScalarValue::new_interval_mdn(months, days, nanos);
        let some = || spans(&[Some((1, 2, 3)), None, Some((0, 3, -10))]);
        assert_eq!(of(false, some()), value(1, 5, -7_000_000_000));
        // half a month is 15 days, half a day 12 hours
        assert_eq!(of(true, some()), value(0, 17, 43_200_000_000_000 - 3_500_000_000));
        assert_eq!(of(true, spans(&[None])), ScalarValue::IntervalMonthDayNano(None));
        // 320 years in hours are more nanoseconds than are kept
        let long = || spans(&[Some((0, 0, 5_000_000_000)), Some((0, 1, 5_000_000_000))]);
        assert_eq!(of(false, long()), value(0, 1 + 115_740, 64_000_000_000_000));
        assert_eq!(of(true, long()), value(0, 0, 5_000_043_200_000_000_000));
    }

    #[test]
    fn the_longest_is_that_of_the_most_nanoseconds() {
        const DAY: i64 = 86_400;
        let value = |months, days, nanos| ScalarValue::new_interval_mdn(months, days, nanos);
        let of = |kind, values: &[ArrayRef]| {
            let (mut part, mut whole) = (Extreme { kind, found: None }, Extreme { kind, found: None });
            values.iter().for_each(|values| part.update_batch(std::slice::from_ref(values)).unwrap());
            let states: Vec<ArrayRef> = part.state().unwrap().iter().map(|state| state.to_array().unwrap()).collect();
            whole.merge_batch(&states).unwrap();
            whole.evaluate().unwrap()
        };
        let some = [spans(&[Some((1, 0, 0)), None]), spans(&[Some((0, 40, 0)), Some((0, 0, 29 * DAY))])];
        assert_eq!(of(Kind::Longest, &some), value(0, 40, 0));
        assert_eq!(of(Kind::Shortest, &some), value(0, 0, 29 * DAY * 1_000_000_000));
        assert_eq!(of(Kind::Longest, &[spans(&[None])]), ScalarValue::IntervalMonthDayNano(None));
        // of one length, in any order
        let (month, days) = (|| spans(&[Some((1, 0, 0))]), || spans(&[Some((0, 30, 0))]));
        assert_eq!(of(Kind::Longest, &[month(), days()]), of(Kind::Longest, &[days(), month()]));
        let mut frame = SlidingExtreme { kind: Kind::Longest, counts: BTreeMap::new() };
        frame.update_batch(&[spans(&[Some((0, 40, 0)), Some((0, 40, 0)), None, Some((1, 0, 0))])]).unwrap();
        frame.retract_batch(&[spans(&[Some((0, 40, 0)), None])]).unwrap();
        assert_eq!(frame.evaluate().unwrap(), value(0, 40, 0));
        frame.retract_batch(&[spans(&[Some((0, 40, 0))])]).unwrap();
        assert_eq!(frame.evaluate().unwrap(), value(1, 0, 0));
    }
}
