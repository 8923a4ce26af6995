//! Which rows convert.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::attribution::Container;
use crate::engine::journey::Follows;

/// Rows that satisfy these steps.
fn in_sequence(steps: &[i64]) -> Columns {
    let numbers = || -> ArrayRef { Arc::new(Int64Array::from_iter_values(0..steps.len() as i64)) };
    let ids = steps.iter().map(|_| Some("v")).collect::<StringArray>();
    let columns: [(&str, ArrayRef); 5] = [
        ("visitor_key", numbers()),
        ("visitor_id", Arc::new(ids)),
        ("hit_time", numbers()),
        ("hit_seq", numbers()),
        ("steps", Arc::new(Int64Array::from(steps.to_vec()))),
    ];
    let follows = vec![Follows { within_us: None, next: false }; 63];
    let spec = SequenceSpec { in_visits: false, sequence: Sequence::Members { steps: follows } };
    Columns::in_sequence(&RecordBatch::try_from_iter(columns).unwrap(), &spec).unwrap()
}

/// Rows with these values, a visitor each.
fn with_values(values: Vec<Option<f64>>) -> Columns {
    let numbers = || -> ArrayRef { Arc::new(Int64Array::from_iter_values(0..values.len() as i64)) };
    let texts = || -> ArrayRef { Arc::new(values.iter().map(|_| Some("v")).collect::<StringArray>()) };
    let columns: [(&str, ArrayRef); 6] = [
        ("visitor_key", numbers()),
        ("visitor_id", texts()),
        ("hit_time", numbers()),
        ("hit_seq", numbers()),
        ("item", texts()),
        ("value", Arc::new(Float64Array::from(values.clone()))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    Columns::evaluated(&batch, &JourneySpec::without_models(Container::Visitor)).unwrap()
}

#[test]
fn rows_convert_whose_value_is_not_zero() {
    let mut converting = vec![7; 3];
    for rows in [0, 1, 7, 8, 9, 40] {
        for step in 1..=rows.max(1) {
            let value = |row: usize| match row % step {
                0 => Some(-0.5),
                1 => None,
                _ => Some(0.0),
            };
            let columns = with_values((0..rows).map(value).collect());
            columns.converting(&mut converting);
            let expected: Vec<u32> = (0..rows as u32).filter(|row| (*row as usize).is_multiple_of(step)).collect();
            assert_eq!(converting, expected, "{rows} rows, each {step}");
            let values = (0..rows as u32).filter(|row| columns.value(*row as usize) != 0.0);
            assert_eq!(values.collect::<Vec<u32>>(), expected);
        }
    }
}

#[test]
fn rows_convert_that_can_be_the_first() {
    let mut converting = vec![7; 3];
    let cases: [(Vec<i64>, Vec<u32>); 4] = [
        (vec![0b10, 0b01, 0b00, 0b11, 1 << 62], vec![1, 3]),
        (vec![1; 70], (0..70).collect()),
        (vec![0; 70], vec![]),
        (vec![], vec![]),
    ];
    for (steps, expected) in cases {
        let columns = in_sequence(&steps);
        columns.converting(&mut converting);
        assert_eq!(converting, expected, "{steps:?}");
        let values = (0..steps.len() as u32).filter(|row| columns.value(*row as usize) != 0.0);
        assert_eq!(values.collect::<Vec<u32>>(), expected, "{steps:?}");
        assert_eq!(columns.steps(), steps.iter().map(|steps| *steps as u64).collect::<Vec<u64>>());
    }
}
