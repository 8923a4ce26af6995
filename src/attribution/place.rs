//! The place of a row among those of its visitor, by which a conversion finds the row that it stands at.

/// Time in microseconds, sequence, and what of the hit id is not in that; rows of one instant and sequence may come in any order.
pub type Place = (i64, i128, Option<i64>);

/// The row at a place, of `rows` in order: where several have its time and sequence, the one with its hit id, else the last of
/// them. Otherwise where such a row would stand.
pub fn find_place(rows: usize, place: impl Fn(usize) -> Place, wanted: Place) -> Result<usize, usize> {
    let (mut low, mut high) = (0, rows);
    while low < high {
        let middle = low.midpoint(high);
        let (time, sequence, _) = place(middle);
        if (time, sequence) < (wanted.0, wanted.1) { low = middle + 1 } else { high = middle }
    }
    let tied = (low..rows).take_while(|row| (place(*row).0, place(*row).1) == (wanted.0, wanted.1));
    let mut last = None;
    for row in tied {
        if place(row).2 == wanted.2 {
            return Ok(row);
        }
        last = Some(row);
    }
    last.ok_or(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_of_one_second_are_told_apart_by_all_of_their_ids() {
        let rows = [(1, 7, None), (2, 7, Some(5)), (2, 7, Some(3)), (2, 7, Some(4)), (2, 8, Some(3)), (4, 1, None)];
        let found = |wanted| find_place(rows.len(), |row| rows[row], wanted);
        assert_eq!([Some(5), Some(3), Some(4), Some(9), None].map(|rest| found((2, 7, rest))), [1, 2, 3, 3, 3].map(Ok));
        assert_eq!((found((1, 7, None)), found((4, 1, None)), found((1, 7, Some(1)))), (Ok(0), Ok(5), Ok(0)));
        assert_eq!((found((0, 9, None)), found((3, 0, None)), found((9, 0, None))), (Err(0), Err(5), Err(6)));
    }
}
