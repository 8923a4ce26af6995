//! Files with a part of their bucket: an equal range of its keys.
//!
//! A bucket is an eighth of all keys, and of a very large lake a file of one would be larger than some stores take, and the work of
//! one core for an hour. A compaction writes it as several files side by side, a **set**: each bears, besides the number of its
//! bucket, which of how many equal parts of the bucket it has, and the name of its set. A reader that does not know of parts takes them for
//! loads that came one after another, and reads the same rows. Numbers of parts are powers of two, so that parts nest.

use std::collections::{BTreeMap, HashMap};

use super::layout::{BUCKETS, TAG_BUCKET, TAG_PART, first_key};
use crate::lake::DataFile;
use crate::lake::stats::TimeSpan;

/// Parts of a bucket at most: with all buckets these are 1,024 ranges of keys.
const MOST_PARTS: usize = 128;

/// Visitors' keys next to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRange {
    /// The lowest.
    pub first: i64,
    /// The highest, inclusive.
    pub last: i64,
}

impl KeyRange {
    /// Those of one of so many equal ranges of all keys; their number is a power of two.
    pub fn of_range(range: usize, ranges: usize) -> Self {
        let last = if range + 1 < ranges { first_key(range + 1, ranges) - 1 } else { i64::MAX };
        Self { first: first_key(range, ranges), last }
    }

    /// Those that a file of ours may have, as its tags say: of its bucket, or of its part of that. All keys for a file of
    /// somebody else.
    pub fn of_tags(tags: &HashMap<String, String>) -> Self {
        let bucket = tags.get(TAG_BUCKET).and_then(|bucket| bucket.parse::<usize>().ok());
        match (bucket.filter(|bucket| *bucket < BUCKETS), BucketPart::of_tags(tags)) {
            (Some(bucket), Some(part)) => part.keys(bucket),
            (Some(bucket), None) => Self::of_range(bucket, BUCKETS),
            (None, _) => Self { first: i64::MIN, last: i64::MAX },
        }
    }

    /// True where some key is in both.
    pub fn meets(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// True where each of the other's keys is one of these.
    pub fn has_all_of(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

/// Which part of its bucket a file has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketPart {
    /// From 0.
    pub number: usize,
    /// Of so many, a power of two.
    pub count: usize,
    /// The name of the set: of the files that were written together in place of one.
    pub set: String,
}

impl BucketPart {
    /// What the tags of a file say; None for a whole bucket, and for what makes no sense.
    pub fn of_tags(tags: &HashMap<String, String>) -> Option<Self> {
        let mut words = tags.get(TAG_PART)?.split_whitespace();
        let (place, set) = (words.next()?, words.next()?);
        let (number, count) = place.split_once('/')?;
        let (number, count) = (number.parse::<usize>().ok()?, count.parse::<usize>().ok()?);
        let makes_sense = count.is_power_of_two() && count <= MOST_PARTS && number < count;
        makes_sense.then(|| Self { number, count, set: set.to_string() })
    }

    /// The name of a file's set, or the file's own where it has all of its bucket: what was written in place of one file.
    pub fn whole_of(file: &DataFile) -> &str {
        let set = Self::of_tags(&file.tags).and(file.tags.get(TAG_PART)).and_then(|tag| tag.split_whitespace().nth(1));
        set.unwrap_or(&file.relative)
    }

    /// As a tag says it.
    pub fn to_tag(&self) -> String {
        format!("{}/{} {}", self.number, self.count, self.set)
    }

    /// Its keys, in a bucket.
    pub fn keys(&self, bucket: usize) -> KeyRange {
        KeyRange::of_range(bucket * self.count + self.number, BUCKETS * self.count)
    }
}

/// Into how many parts a bucket with so many bytes is cut, so that none has more than `most_bytes` where its visitors are of about one
/// size; up to twice as many bytes stay one file.
pub fn parts_for(bytes: u64, most_bytes: u64) -> usize {
    if bytes <= most_bytes.saturating_mul(2) {
        return 1;
    }
    let parts = usize::try_from(bytes.div_ceil(most_bytes.max(1))).unwrap_or(MOST_PARTS);
    parts.min(MOST_PARTS).next_power_of_two()
}

/// The first and last instant of two files together; None where one does not say when its rows are, and so may have any.
pub fn times_of_both(one: Option<TimeSpan>, other: Option<TimeSpan>) -> Option<TimeSpan> {
    one.zip(other).map(|(one, other)| (one.0.min(other.0), one.1.max(other.1)))
}

/// The files of one bucket, each set as one file in place of its own, and the files of each such set by the path that stands for it.
pub fn as_whole_files(files: Vec<DataFile>) -> (Vec<DataFile>, HashMap<String, Vec<DataFile>>) {
    let (mut whole, mut sets) = (vec![], BTreeMap::<String, Vec<DataFile>>::new());
    for file in files {
        match BucketPart::of_tags(&file.tags) {
            Some(part) => sets.entry(part.set).or_default().push(file),
            None => whole.push(file),
        }
    }
    let mut parts = HashMap::new();
    for files in sets.into_values() {
        let Some(first) = files.iter().min_by(|a, b| a.relative.cmp(&b.relative)) else { continue };
        let set = DataFile {
            size: files.iter().map(|file| file.size).sum(),
            rows: files.iter().map(|file| file.rows).sum(),
            hit_time: files.iter().map(|file| file.hit_time).reduce(times_of_both).flatten(),
            ..first.clone()
        };
        parts.insert(set.relative.clone(), files);
        whole.push(set);
    }
    (whole, parts)
}

/// The files of one bucket in lanes, in each of which no two files have a key in common: a file with all of the bucket is a lane of its
/// own, and parts share one. Files of a lane come in the order of their keys.
pub fn lanes<'a>(files: &[&'a DataFile]) -> Vec<Vec<&'a DataFile>> {
    let (mut lanes, mut shared): (Vec<Vec<&DataFile>>, Vec<usize>) = (vec![], vec![]);
    for file in files {
        let keys = KeyRange::of_tags(&file.tags);
        let is_part = BucketPart::of_tags(&file.tags).is_some();
        let is_free = |lane: &usize| lanes[*lane].iter().all(|other| !KeyRange::of_tags(&other.tags).meets(keys));
        let free = if is_part { shared.iter().copied().find(is_free) } else { None };
        match free {
            Some(lane) => lanes[lane].push(file),
            None => {
                shared.extend(is_part.then_some(lanes.len()));
                lanes.push(vec![file]);
            }
        }
    }
    for lane in &mut lanes {
        lane.sort_by_key(|file| KeyRange::of_tags(&file.tags).first);
    }
    lanes
}

/// True where the rows of each lane are later than all of the lane before it.
pub fn come_in_turn(lanes: &[Vec<&DataFile>]) -> bool {
    let span = |files: &[&DataFile]| files.iter().map(|file| file.hit_time).reduce(times_of_both).flatten();
    let spans: Vec<Option<TimeSpan>> = lanes.iter().map(|files| span(files)).collect();
    spans.windows(2).all(|pair| pair[0].zip(pair[1]).is_some_and(|((_, last), (first, _))| last < first))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn lanes_of_different_times_come_in_turn() {
        let file = |hit_time: Option<TimeSpan>, part: Option<&str>| DataFile { hit_time, ..file("a", part) };
        let come = |files: &[DataFile]| come_in_turn(&lanes(&files.iter().collect::<Vec<_>>()));
        let of = |first: i64, last: i64| file(Some((first, last)), None);
        assert!(come(&[]) && come(&[file(None, None)]) && come(&[of(0, 4), of(5, 5), of(6, 9)]));
        assert!(!come(&[of(0, 4), of(4, 9)]), "an instant of both");
        assert!(!come(&[of(5, 9), of(0, 4)]), "the later one is before");
        assert!(!come(&[of(0, 4), file(None, None)]), "any time");
        // parts of one set are a lane, whatever their times are
        let part = |first: i64, last: i64, part: &str| file(Some((first, last)), Some(part));
        let january = [part(0, 8, "0/2 january"), part(2, 9, "1/2 january")];
        let february = [part(10, 15, "0/2 february"), part(12, 19, "1/2 february")];
        assert!(come(&january) && come(&[january.clone(), february.clone()].concat()));
        assert!(!come(&[february, january].concat()));
    }

    /// A file of bucket 3 with what its tag says of its part.
    fn file(name: &str, part: Option<&str>) -> DataFile {
        let part = part.map(|part| (TAG_PART.to_string(), part.to_string()));
        DataFile {
            relative: name.into(),
            path: name.into(),
            size: 10,
            rows: Some(5),
            hit_time: Some((0, name.len() as i64)),
            tags: [(TAG_BUCKET.to_string(), "3".to_string())].into_iter().chain(part).collect(),
        }
    }

    fn names<'a>(files: impl IntoIterator<Item = &'a DataFile>) -> Vec<&'a str> {
        files.into_iter().map(|file| file.relative.as_str()).collect()
    }

    #[test]
    fn parts_cover_their_bucket_in_order() {
        let bucket = KeyRange::of_range(3, BUCKETS);
        for count in [1, 2, 8, MOST_PARTS] {
            let keys: Vec<KeyRange> =
                (0..count).map(|number| BucketPart { number, count, set: "s".into() }.keys(3)).collect();
            assert_eq!((keys[0].first, keys[count - 1].last), (bucket.first, bucket.last));
            assert!(keys.windows(2).all(|pair| pair[0].last + 1 == pair[1].first && !pair[0].meets(pair[1])));
            assert!(keys.iter().all(|keys| bucket.has_all_of(*keys) && bucket.meets(*keys)));
        }
    }

    #[test]
    fn a_tag_that_makes_no_sense_is_none() {
        let part = BucketPart { number: 2, count: 4, set: "a-b".into() };
        assert_eq!(BucketPart::of_tags(&file("a", Some(&part.to_tag())).tags), Some(part));
        let bucket = KeyRange::of_range(3, BUCKETS);
        for tag in ["", "1/2", "2/2 s", "0/3 s", "0/256 s", "-1/2 s", "x/2 s", "1 s", "18446744073709551616/2 s"] {
            let tags = file("a", Some(tag)).tags;
            assert_eq!(BucketPart::of_tags(&tags), None, "{tag:?}");
            assert_eq!(KeyRange::of_tags(&tags), bucket, "{tag:?}");
        }
        let all = KeyRange { first: i64::MIN, last: i64::MAX };
        assert_eq!(KeyRange::of_tags(&HashMap::new()), all);
        assert_eq!(KeyRange::of_tags(&[(TAG_BUCKET.to_string(), "8".to_string())].into()), all);
    }

    #[test]
    fn files_of_a_set_have_its_name() {
        let names = [file("a", Some("0/2 s")), file("b", Some("1/2 s")), file("c", None), file("d", Some("7/2 s"))];
        assert_eq!(names.each_ref().map(BucketPart::whole_of), ["s", "s", "c", "d"]);
    }

    #[test]
    fn parts_stay_below_the_size() {
        assert_eq!([0, 200, 201, 400, 401, 12_800].map(|bytes| parts_for(bytes, 100)), [1, 1, 4, 4, 8, MOST_PARTS]);
        assert_eq!((parts_for(u64::MAX, 100), parts_for(1, 0)), (MOST_PARTS, 1));
    }

    #[test]
    fn a_set_stands_for_its_files() {
        let files =
            vec![file("x", None), file("bb", Some("1/2 s")), file("a", Some("0/2 s")), file("c", Some("0/2 t"))];
        let (whole, parts) = as_whole_files(files);
        assert_eq!(names(&whole), ["x", "a", "c"]);
        assert_eq!((whole[1].size, whole[1].rows, whole[1].hit_time), (20, Some(10), Some((0, 2))));
        assert_eq!(names(&parts["a"]), ["bb", "a"]);
        assert_eq!(names(&parts["c"]), ["c"]);
        let (whole, _) =
            as_whole_files(vec![DataFile { hit_time: None, ..file("a", Some("0/2 s")) }, file("b", Some("1/2 s"))]);
        assert_eq!(whole[0].hit_time, None);
    }

    #[test]
    fn parts_share_a_lane_where_they_have_no_key_in_common() {
        let files = [
            file("b1", Some("1/2 b")),
            file("whole", None),
            file("c0", Some("0/4 c")),
            file("b0", Some("0/2 b")),
            file("c1", Some("1/4 c")),
        ];
        let lanes = lanes(&files.iter().collect::<Vec<_>>());
        let lanes: Vec<Vec<&str>> = lanes.into_iter().map(names).collect();
        assert_eq!(lanes, [vec!["c0", "c1", "b1"], vec!["whole"], vec!["b0"]]);
    }
}
