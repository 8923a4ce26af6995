//! Parts of a file as a distant store is asked for them: what is close together is one request.

use std::ops::Range;

use bytes::Bytes;
use object_store::OBJECT_STORE_COALESCE_DEFAULT;

/// What is asked for with one request each, in the order of the file, to bring all these parts. A request brings no more than `most`
/// bytes, but for a part that is larger.
pub(super) fn pieces_of(mut parts: Vec<Range<u64>>, most: u64) -> Vec<Range<u64>> {
    parts.sort_unstable_by_key(|part| part.start);
    let mut pieces: Vec<Range<u64>> = vec![];
    for part in parts {
        match pieces.last_mut() {
            Some(piece) if brings(piece, &part, most) => piece.end = piece.end.max(part.end),
            _ => pieces.push(part),
        }
    }
    pieces
}

/// True for a part that comes with those before it. What they have in common is never asked for twice.
fn brings(piece: &Range<u64>, part: &Range<u64>, most: u64) -> bool {
    let is_close = part.start <= piece.end.saturating_add(OBJECT_STORE_COALESCE_DEFAULT);
    let overlaps = part.start < piece.end;
    overlaps || is_close && part.end.saturating_sub(piece.start) <= most
}

/// Which of the pieces brings a part.
pub(super) fn place_in(pieces: &[Range<u64>], part: &Range<u64>) -> usize {
    pieces.partition_point(|piece| piece.start <= part.start).saturating_sub(1)
}

/// A part, of the bytes of the pieces; what a store gave too little of is shorter. None before its piece is there.
pub(super) fn part_of(pieces: &[Range<u64>], bytes: &[Bytes], part: &Range<u64>) -> Option<Bytes> {
    let place = place_in(pieces, part);
    let (piece, bytes) = (pieces.get(place)?, bytes.get(place)?);
    let within = |at: u64| usize::try_from(at.saturating_sub(piece.start)).unwrap_or(usize::MAX).min(bytes.len());
    Some(bytes.slice(within(part.start)..within(part.end.max(part.start))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn close_parts_are_one_request() {
        let parts = vec![3 * MIB..3 * MIB + 5, 0..10, MIB + 10..MIB + 20, 15 * MIB..16 * MIB, 4 * MIB..15 * MIB];
        let pieces = pieces_of(parts, 6 * MIB);
        // a gap of more than a megabyte, and what is large, stand apart
        assert_eq!(pieces, [0..MIB + 20, 3 * MIB..3 * MIB + 5, 4 * MIB..15 * MIB, 15 * MIB..16 * MIB]);
        assert_eq!(place_in(&pieces, &(MIB + 10..MIB + 20)), 0);
        assert_eq!(place_in(&pieces, &(15 * MIB..16 * MIB)), 3);
        let overlapping = pieces_of(vec![0..8 * MIB, 7 * MIB..9 * MIB], 6 * MIB);
        assert_eq!((overlapping.len(), overlapping.first().cloned()), (1, Some(0..9 * MIB)));
    }

    #[test]
    fn parts_are_cut_from_what_came() {
        let pieces = [10..20, 30..40];
        let bytes = [Bytes::from_static(b"0123456789"), Bytes::from_static(b"abc")];
        for (part, expected) in [(10..12, Some("01")), (19..20, Some("9")), (31..40, Some("bc")), (35..40, Some(""))] {
            assert_eq!(part_of(&pieces, &bytes, &part).as_deref(), expected.map(str::as_bytes), "{part:?}");
        }
        assert!(part_of(&pieces, &bytes[..1], &(30..31)).is_none(), "it is not there yet");
    }
}
