//! Records of a data feed's tab separated files: a decompressed stream in, blocks of whole records out, and the fields
//! of a record.
//!
//! A backslash makes a tab, newline or backslash after it data, so a record can span lines. Windows line ends and a
//! missing last newline are tolerated; blank lines are no records.

use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memchr::{memchr, memchr_iter, memchr2, memrchr_iter};

use super::FeedError;
use super::text::fill;

/// A record of this size or more is refused: no real one comes near (2 KB on average).
pub const MAX_RECORD_BYTES: usize = 16 << 20;
/// How much of a stream makes a block at most, unless a single record is larger.
pub const BLOCK_BYTES: usize = 4 << 20;
/// How much makes the first block, and the last ones: they are decoded while little else is, so that a large one would be waited
/// for.
const LEAST_BLOCK_BYTES: usize = 1 << 20;
/// How much more is read than makes a block: most records that are across its end are whole then, and little is left for the next.
const MORE_BYTES: usize = 64 << 10;
/// Memory of how many blocks is kept at most where nobody needs it.
const MOST_SPARE: usize = 8;
/// Eight bytes each, of a field that is looked through word by word.
const SHORT_FIELD_WORDS: usize = 4;
/// A block ends at the record that reaches this many lines, so that what is kept for each record stays small beside it.
const MAX_BLOCK_LINES: u64 = 32 * 1024;

/// Whole records, one after another, as they stand in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The bytes, from the start of a record to the end of one.
    pub bytes: Vec<u8>,
    /// Physical line of the first record, from 1.
    pub first_line: u64,
    /// Line ends in it.
    lines: u64,
}

impl Block {
    /// Whole records, the first of which begins on that line.
    pub fn new(bytes: Vec<u8>, first_line: u64) -> Self {
        let lines = line_ends(&bytes);
        Self { bytes, first_line, lines }
    }

    /// Records that it has at most: physical lines.
    pub fn most_records(&self) -> usize {
        self.lines as usize + 1
    }

    /// The records with their physical lines, without line ends, still escaped; blank lines left out.
    pub fn records(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.record_ranges().map(move |(line, range)| (line, &self.bytes[range]))
    }

    /// Where the [`Self::records`] are, with their physical lines.
    pub fn record_ranges(&self) -> impl Iterator<Item = (u64, Range<usize>)> {
        let (mut at, mut line) = (0, self.first_line);
        std::iter::from_fn(move || {
            while at < self.bytes.len() {
                let rest = &self.bytes[at..];
                let (start, mut lines) = (line, 0);
                let end = memchr_iter(b'\n', rest).find(|end| {
                    lines += 1;
                    ends_record(rest, *end)
                });
                let (record, taken) = end.map_or((rest, rest.len()), |end| (&rest[..end], end + 1));
                let record = record.strip_suffix(b"\r").unwrap_or(record);
                let range = at..at + record.len();
                at += taken;
                line += lines;
                if !range.is_empty() {
                    return Some((start, range));
                }
            }
            None
        })
    }
}

/// Memory of blocks that nobody needs any more, for blocks to come, of this stream and of others. That costs less than new memory, which
/// the system clears page by page.
#[derive(Debug, Clone, Default)]
pub struct SpareBytes(Arc<Mutex<Vec<Vec<u8>>>>);

impl SpareBytes {
    /// Takes the bytes of a block that is done.
    pub fn give_back(&self, bytes: Vec<u8>) {
        let mut kept = self.kept();
        // what a very long record took is not kept, nor is what is too small
        if (BLOCK_BYTES..2 * BLOCK_BYTES).contains(&bytes.capacity()) && kept.len() < MOST_SPARE {
            kept.push(bytes);
        }
    }

    /// Room for any block, with whatever a former one has left there.
    fn take(&self) -> Vec<u8> {
        let spare = self.kept().pop();
        spare.unwrap_or_else(|| Vec::with_capacity(BLOCK_BYTES + MORE_BYTES))
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cuts a stream into [`Block`]s.
pub struct BlockReader<R> {
    input: R,
    file: String,
    buffer: Vec<u8>,
    /// Where in `buffer` the next block begins, and where what was read ends.
    start: usize,
    end: usize,
    line: u64,
    ended: bool,
    /// How much makes the next block, as long as the stream goes on.
    block_bytes: usize,
    /// For the bytes of blocks to come.
    spare: SpareBytes,
}

impl<R> Drop for BlockReader<R> {
    fn drop(&mut self) {
        self.spare.give_back(std::mem::take(&mut self.buffer));
    }
}

impl<R: Read> BlockReader<R> {
    /// Reads nothing yet; `file` names the stream in errors.
    pub fn new(input: R, file: impl Into<String>) -> Self {
        Self::reusing(SpareBytes::default(), input, file)
    }

    /// The same, with blocks in memory of former ones, as far as it is given back.
    pub fn reusing(spare: SpareBytes, input: R, file: impl Into<String>) -> Self {
        let (file, block_bytes) = (file.into(), LEAST_BLOCK_BYTES);
        Self { input, file, buffer: vec![], start: 0, end: 0, line: 1, ended: false, block_bytes, spare }
    }

    /// The next block, `None` after the last one.
    ///
    /// # Errors
    /// The stream cannot be read, or a record has [`MAX_RECORD_BYTES`] or more.
    pub fn next_block(&mut self) -> Result<Option<Block>, FeedError> {
        loop {
            let pending = &self.buffer[self.start..self.end];
            let whole = self.ended || pending.len() >= self.block_bytes;
            // what is left of a stream is shared by those who decode
            let rest = if self.ended { pending.len() / 2 } else { usize::MAX };
            let block_bytes = self.block_bytes.min(rest.max(LEAST_BLOCK_BYTES));
            let (end, lines) = if whole { last_record_end(pending, block_bytes) } else { (0, 0) };
            // After the end of the stream the last record may lack its newline.
            let (end, lines) = match end {
                0 if self.ended => (pending.len(), line_ends(pending)),
                end => (end, lines),
            };
            if end == 0 && pending.len() >= MAX_RECORD_BYTES {
                let message = format!(
                    "a record of {} MiB or more; is this a tab separated hit_data.tsv with one hit a line?",
                    MAX_RECORD_BYTES >> 20
                );
                return Err(FeedError::new(&self.file, message).on_line(self.line));
            }
            if end > 0 {
                let block = Block { bytes: self.take(end), first_line: self.line, lines };
                self.line += lines;
                self.block_bytes = (2 * end).clamp(LEAST_BLOCK_BYTES, BLOCK_BYTES);
                return Ok(Some(block));
            }
            if self.ended {
                return Ok(None);
            }
            self.read_more()?;
        }
    }

    /// Takes the next so many bytes: in the memory in which they are, if little is left behind them, which is then copied in their place.
    fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.start + count..self.end;
        // with room for a larger block that comes to be there
        let mut other = self.spare.take();
        if self.start > 0 || rest.len() > MORE_BYTES {
            other.clear();
            other.extend_from_slice(&self.buffer[self.start..rest.start]);
            self.start = rest.start;
            return other;
        }
        // what a former block has left there is not cleared, for more is read over it
        if other.len() < rest.len() {
            other.resize(rest.len(), 0);
        }
        other[..rest.len()].copy_from_slice(&self.buffer[rest.clone()]);
        (self.start, self.end) = (0, rest.len());
        let mut bytes = std::mem::replace(&mut self.buffer, other);
        bytes.truncate(count);
        bytes
    }

    fn read_more(&mut self) -> Result<(), FeedError> {
        if self.buffer.capacity() == 0 {
            self.buffer = self.spare.take();
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let wanted = (self.block_bytes + MORE_BYTES).max(2 * self.end).min(MAX_RECORD_BYTES);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        let read = fill(&mut self.input, &mut self.buffer[self.end..wanted]);
        self.end += read.map_err(|e| FeedError::unreadable(&self.file, e).on_line(self.line))?;
        self.ended = self.end < wanted;
        Ok(())
    }
}

/// Calls `visit(column, range, escaped)` for each field of `record` that is not empty, and returns how many fields
/// there are. `escaped` says that the field holds a backslash and needs [`unescape`].
#[inline]
pub fn non_empty_fields(record: &[u8], mut visit: impl FnMut(usize, Range<usize>, bool)) -> usize {
    let (mut at, mut column) = (0, 0);
    loop {
        // most fields of most records are empty
        while record[at..].starts_with(&[b'\t'; 8]) {
            at += 8;
            column += 8;
        }
        while record.get(at) == Some(&b'\t') {
            at += 1;
            column += 1;
        }
        if at == record.len() {
            return column + 1;
        }
        let (start, mut escaped) = (at, false);
        loop {
            match tab_or_backslash(record, at) {
                None => {
                    visit(column, start..record.len(), escaped);
                    return column + 1;
                }
                Some(found) if record[found] == b'\t' => {
                    visit(column, start..found, escaped);
                    at = found + 1;
                    column += 1;
                    break;
                }
                Some(found) => {
                    escaped = true;
                    at = (found + 2).min(record.len());
                }
            }
        }
    }
}

/// Where the first tab or backslash from `at` on is. Most fields are short, for which a search of long texts takes long to begin.
#[inline]
fn tab_or_backslash(record: &[u8], mut at: usize) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xFF;
    // the lowest high bit that is set is that of the first byte that is 0
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    for _ in 0..SHORT_FIELD_WORDS {
        let Some(bytes) = record[at..].first_chunk() else { break };
        let word = u64::from_le_bytes(*bytes);
        let found = zeros(word ^ (ONES * u64::from(b'\t'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr2(b'\t', b'\\', &record[at..]).map(|found| at + found)
}

/// A field with its escapes resolved: a backslash before a tab, newline (also a Windows one) or backslash goes, any
/// other stays.
pub fn unescape(field: &str) -> Cow<'_, str> {
    let bytes = field.as_bytes();
    if memchr(b'\\', bytes).is_none() {
        return Cow::Borrowed(field);
    }
    let mut plain = String::with_capacity(field.len());
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = memchr(b'\\', &bytes[at..]) {
        at += found;
        match &bytes[at + 1..] {
            [b'\t' | b'\n' | b'\\', ..] | [b'\r', b'\n', ..] => {
                plain.push_str(&field[copied..at]);
                copied = at + 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    plain.push_str(&field[copied..]);
    Cow::Owned(plain)
}

/// True where the newline at `at` is not escaped: an even number of backslashes stands before it.
fn ends_record(bytes: &[u8], at: usize) -> bool {
    let before = bytes[..at].strip_suffix(b"\r").unwrap_or(&bytes[..at]);
    before.iter().rev().take_while(|b| **b == b'\\').count() % 2 == 0
}

fn line_ends(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

/// The end of the last whole record of a block that begins with `bytes` and is about as large as said, and the lines up to there.
fn last_record_end(bytes: &[u8], block_bytes: usize) -> (usize, u64) {
    // what is within the block is looked at record by record only where it is too many lines
    let inner = bytes.len().min(block_bytes.saturating_sub(1));
    let lines = line_ends(&bytes[..inner]);
    if lines < MAX_BLOCK_LINES {
        let newlines = memchr_iter(b'\n', &bytes[inner..]).map(|at| inner + at);
        let beyond = newlines.zip(lines + 1..).find(|(newline, _)| ends_record(bytes, *newline));
        if let Some((newline, lines)) = beyond {
            return (newline + 1, lines);
        }
        let last = memrchr_iter(b'\n', &bytes[..inner]).find(|newline| ends_record(bytes, *newline));
        return last.map_or((0, 0), |newline| (newline + 1, line_ends(&bytes[..=newline])));
    }
    let (mut end, mut end_lines) = (0, 0);
    for (newline, lines) in memchr_iter(b'\n', bytes).zip(1..) {
        if ends_record(bytes, newline) {
            (end, end_lines) = (newline + 1, lines);
            if lines >= MAX_BLOCK_LINES || end >= block_bytes {
                break;
            }
        }
    }
    (end, end_lines)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn blocks(bytes: &[u8]) -> Vec<Block> {
        let mut reader = BlockReader::new(bytes, "hit_data.tsv");
        std::iter::from_fn(|| reader.next_block().unwrap()).collect()
    }

    fn records(bytes: &[u8]) -> Vec<(u64, String)> {
        let blocks = blocks(bytes);
        let all = blocks.iter().flat_map(|b| b.records());
        all.map(|(line, record)| (line, String::from_utf8(record.to_vec()).unwrap())).collect()
    }

    fn fields(record: &str) -> (usize, Vec<(usize, String)>) {
        let mut found = Vec::new();
        let count = non_empty_fields(record.as_bytes(), |column, range, escaped| {
            let text = &record[range];
            assert_eq!(escaped, text.contains('\\'));
            found.push((column, unescape(text).into_owned()));
        });
        (count, found)
    }

    #[test]
    fn records_span_lines() {
        let text = b"a\tb\r\nc\\\nd\te\\\\\n\n\\\\\\\nf\ng\\\r\nh\r\nlast";
        let expected = [(1, "a\tb"), (2, "c\\\nd\te\\\\"), (5, "\\\\\\\nf"), (7, "g\\\r\nh"), (9, "last")];
        assert_eq!(records(text), expected.map(|(l, r)| (l, r.to_owned())));
        assert_eq!(records(b""), []);
        assert_eq!(records(b"\n\r\n\n"), []);
        assert_eq!(records(b"a\\"), [(1, "a\\".to_owned())]);
        assert_eq!(records(b"a\\\n"), [(1, "a\\\n".to_owned())]);
    }

    #[test]
    fn fields_and_escapes() {
        let own = |list: &[(usize, &str)]| list.iter().map(|(c, t)| (*c, t.to_string())).collect::<Vec<_>>();
        assert_eq!(fields("a\t\tb"), (3, own(&[(0, "a"), (2, "b")])));
        assert_eq!(fields("\t\t"), (3, vec![]));
        assert_eq!(fields("a\\\tb\tc\\\\\td"), (3, own(&[(0, "a\tb"), (1, "c\\"), (2, "d")])));
        assert_eq!(fields("C:\\dir\tx\\"), (2, own(&[(0, "C:\\dir"), (1, "x\\")])));
        assert_eq!(fields("a\\\nb\\é"), (1, own(&[(0, "a\nb\\é")])));
        assert_eq!(fields("a\\\r\nb\\r"), (1, own(&[(0, "a\r\nb\\r")])));
        assert_eq!(fields(&"\t".repeat(1199)), (1200, vec![]));
        for (before, after) in (0..40).flat_map(|before| [(before, 0), (before, 7), (before, 8), (before, 17)]) {
            let record = format!("{}x{}", "\t".repeat(before), "\t".repeat(after));
            assert_eq!(fields(&record), (before + after + 1, own(&[(before, "x")])));
        }
    }

    /// Wherever a field ends, and whatever stands around it.
    #[test]
    fn fields_of_all_lengths() {
        for length in 1..80 {
            // bytes that differ from a tab and a backslash in one bit, and those above 127
            for filling in ["x", "\u{8}", "\u{b}", "]", "X", "\u{89}", "\u{dc}", "é"] {
                let text: String = filling.repeat(length);
                let record = format!("{text}\t\t{text}\\{text}\t{text}");
                let expected = [(0, text.clone()), (2, format!("{text}\\{text}")), (3, text.clone())];
                assert_eq!(fields(&record), (4, expected.to_vec()), "{length} of {filling:?}");
            }
        }
    }

    #[test]
    fn blocks_hold_whole_records_and_know_their_lines() {
        let record = format!("{}\\\n{}\n", "x".repeat(1500), "y".repeat(500));
        let text = record.repeat(10_000);
        let blocks = blocks(text.as_bytes());
        assert!(blocks.len() > 3);
        let sizes: Vec<usize> = blocks.iter().map(|b| b.bytes.len()).collect();
        assert!(sizes.iter().any(|size| size + record.len() > BLOCK_BYTES), "{sizes:?}");
        assert!(
            [sizes[0], sizes[sizes.len() - 1]].iter().all(|size| *size < LEAST_BLOCK_BYTES + record.len()),
            "{sizes:?}"
        );
        let mut line = 1;
        for block in &blocks {
            assert_eq!(block.first_line, line);
            assert!(block.bytes.len() <= BLOCK_BYTES + record.len());
            line += block.bytes.iter().filter(|b| **b == b'\n').count() as u64;
        }
        assert_eq!(blocks.iter().flat_map(|b| b.bytes.clone()).collect::<Vec<_>>(), text.as_bytes());
        assert_eq!(blocks.iter().map(|b| b.records().count()).sum::<usize>(), 10_000);
    }

    /// Where the first record ends that reaches so many bytes, else the last one, found record by record.
    #[test]
    fn ends_of_blocks() {
        let parts = ["a", "bb", "\n", "\\\n", "\\\\\n", "\r\n", "\\\r\n", "ccc\\\\\\\n", "\n\n"];
        let mut seed = 7_usize;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..2000 {
            let text: String = (0..random(30)).map(|_| parts[random(parts.len())]).collect();
            let bytes = text.as_bytes();
            for block_bytes in 1..bytes.len() + 3 {
                let ends =
                    (0..bytes.len()).filter(|at| bytes[*at] == b'\n' && ends_record(bytes, *at)).map(|at| at + 1);
                let (before, beyond): (Vec<usize>, Vec<usize>) = ends.partition(|end| *end < block_bytes);
                let end = beyond.first().or(before.last()).copied().unwrap_or(0);
                let lines = bytes[..end].iter().filter(|byte| **byte == b'\n').count() as u64;
                assert_eq!(last_record_end(bytes, block_bytes), (end, lines), "{text:?}, {block_bytes} bytes");
            }
        }
    }

    #[test]
    fn former_bytes_are_in_no_block() {
        let text = (0..400_000).fold(String::new(), |text, n| text + &format!("{n}\t\\\n{n}\n"));
        let expected = blocks(text.as_bytes());
        let spare = SpareBytes::default();
        let mut places = std::collections::HashSet::new();
        // the second stream is read into what the first one has left
        for part in ["x".repeat(5 * BLOCK_BYTES / 2), text.clone(), text] {
            let mut reader = BlockReader::reusing(spare.clone(), part.as_bytes(), "hit_data.tsv");
            let mut found = Vec::new();
            while let Some(block) = reader.next_block().unwrap() {
                found.push(block.clone());
                places.insert(block.bytes.as_ptr());
                spare.give_back(block.bytes);
            }
            let is_long = part.starts_with('x');
            assert!(is_long && found.len() == 1 || found.len() > 3 && found == expected);
        }
        assert!(places.len() < 5, "{} places", places.len());
        assert!((1..=3).contains(&spare.kept().len()));
    }

    #[test]
    fn little_memory_is_kept() {
        let spare = SpareBytes::default();
        for bytes in [0, 7, BLOCK_BYTES - 1, 2 * BLOCK_BYTES] {
            spare.give_back(Vec::with_capacity(bytes));
        }
        assert_eq!(spare.kept().len(), 0);
        for _ in 0..2 * MOST_SPARE {
            spare.give_back(Vec::with_capacity(BLOCK_BYTES));
        }
        assert_eq!(spare.kept().len(), MOST_SPARE);
    }

    #[test]
    fn short_lines_make_small_blocks() {
        let blocks = blocks("a\n".repeat(100_000).as_bytes());
        assert!(blocks.iter().all(|block| block.most_records() == block.records().count() + 1));
        assert_eq!(blocks.iter().map(|b| b.records().count()).collect::<Vec<_>>(), [32_768, 32_768, 32_768, 1_696]);
        assert_eq!(blocks[3].first_line, 98_305);
    }

    #[test]
    fn large_records() {
        let largest = "x".repeat(MAX_RECORD_BYTES - 1);
        let text = format!("a\n{largest}\nb\n");
        let mut reader = BlockReader::new(text.as_bytes(), "hit_data.tsv");
        let mut sizes = Vec::new();
        let error = loop {
            match reader.next_block() {
                Ok(Some(block)) => sizes.extend(block.records().map(|(_, r)| r.len())),
                Ok(None) => break None,
                Err(e) => break Some(e.to_string()),
            }
        };
        assert_eq!((sizes.as_slice(), error), (&[1, MAX_RECORD_BYTES - 1, 1][..], None));
        for text in ["x".repeat(MAX_RECORD_BYTES), "a\\\n".repeat(MAX_RECORD_BYTES / 3 + 1), "x".repeat(40 << 20)] {
            let mut reader = BlockReader::new(text.as_bytes(), "hit_data.tsv");
            let error = reader.next_block().unwrap_err().to_string();
            assert!(error.starts_with("hit_data.tsv line 1: a record of 16 MiB"), "{error}");
        }
    }
}
