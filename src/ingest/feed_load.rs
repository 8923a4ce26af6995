//! Hits of a data feed delivery, verified and decoded in one pass.
//!
//! In: a complete [`Delivery`]. Out: batches for `hits`, and for `offline` those rows that Adobe has integrated already.
//! What is not as the manifest says is refused when its file was read, and in any case before a row is written to the lake;
//! memory is a few blocks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Read;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, mpsc};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::{Decimal128Type, Field, Int64Type, Schema};
use xxhash_rust::xxh3::xxh3_64;

use super::content::{Content, Identity, identity_of_members};
use super::decoding::{Piece, PieceSender};
use super::delivery::{Delivery, DeliveryFile};
use super::key::FEED_SOURCE;
use super::kind::{Context, InputKind, InputRows, Owner, Prepared};
use super::lookups::{self, Lookups};
use super::offline_rows::Origin;
use super::options::IngestOptions;
use super::refusal::refused;
use super::suites_and_sources::SuitesAndSources;
use super::unpack::{Container, HIT_DATA, Member, read_members};
use crate::columns::{self, FILE, HIT_ID_REST, HIT_SEQ, HIT_SOURCE, HIT_TIME, SUITE, VISITOR_ID, VISITOR_KEY};
use crate::distinct_texts::{as_it_comes, one_text};
use crate::feed::event_list::EventIds;
use crate::feed::hit_columns::HitLayout;
use crate::feed::hits::{HitCounts, HitDecoder};
use crate::feed::records::{Block, BlockReader, SpareBytes};
use crate::feed::text::{Encoding, EncodingSoFar};
use crate::feed::{Decoded, RowIssue, lookup};
use crate::lake::bindings::Bindings;
use crate::lake::loads::as_read_now;
use crate::lake::records::Suite;
use crate::lake::suites::refuse_processed;
use crate::{Error, Result};

/// The headers of the hits.
const COLUMN_HEADERS: &str = "column_headers.tsv";
/// The lookup that says which event an id is.
const EVENTS: &str = "event.tsv";
/// Lookups of more bytes in all are refused: real ones have some ten megabytes.
const MAX_LOOKUPS_BYTES: usize = 256 << 20;

/// A delivery whose lookup archives are read.
pub struct FeedInput {
    delivery: Delivery,
    side: DeliveryExtras,
    /// Known as soon as the headers and the names of events are.
    decoder: Option<Arc<HitDecoder>>,
    suite: Suite,
    /// The dimensions that come with processed values, comma separated.
    processed: Option<String>,
    /// What the files that were read hold, by their place.
    members: BTreeMap<usize, Vec<Member>>,
    /// Its headers, where they are not the last ones that the suite knows.
    new_headers: Option<String>,
    /// For the blocks of its hits.
    spare: SpareBytes,
}

impl InputKind for Delivery {
    fn owner(&mut self, lake_has: &SuitesAndSources, options: &IngestOptions) -> Result<Owner> {
        let suite = lake_has.suite_of_feed(&self.rsid, options.suite.as_deref())?.clone();
        let (bindings, persistence) = (Bindings::new(), BTreeMap::new());
        Ok(Owner {
            suite,
            source: None,
            format: "feed",
            snapshot: None,
            bindings,
            persistence,
            rates: None,
            waits: None,
            lacks_headers: self.lacks_headers(),
        })
    }

    fn content(&mut self) -> Result<Content> {
        let data = Delivery::content(self)?;
        let identity = Identity { hash: as_read_now(&data), data };
        Ok(Content { bytes: self.bytes(), identity, packed: None })
    }

    fn prepare(self: Box<Self>, context: &Context) -> Result<Prepared> {
        let rows = Box::new(FeedRows {
            input: FeedInput::prepare(*self, &context.owner.suite, &context.read, context.spare.clone())?,
            read: context.read.clone(),
        });
        Ok(Prepared { rows, visits: Some("given"), offline_source: FEED_SOURCE.into() })
    }

    fn counter(&self) -> Arc<AtomicU64> {
        Delivery::counter(self).clone()
    }
}

struct FeedRows {
    input: FeedInput,
    read: Arc<AtomicU64>,
}

impl InputRows for FeedRows {
    fn first_issue(&self) -> Result<Option<RowIssue>> {
        Ok(None)
    }

    fn decode(mut self: Box<Self>, origin: &Arc<Origin>, pieces: &PieceSender) -> Result<()> {
        self.input.decode(origin, pieces, &self.read)
    }
}

impl FeedInput {
    /// Reads the archives of a delivery that hold no hits. `read` counts bytes, for progress.
    pub fn prepare(delivery: Delivery, suite: &Suite, read: &AtomicU64, spare: SpareBytes) -> Result<Self> {
        let (mut side, mut members) = (DeliveryExtras::default(), BTreeMap::new());
        for (at, file) in delivery.files.iter().enumerate().filter(|(_, file)| !file.has_hits) {
            if Container::of(&file.name) == Some(Container::Text) {
                continue;
            }
            let done = read_members(&file.input, read, |member, input| side.take(member, input))?;
            file.verify(&done.packed)?;
            members.insert(at, done.members);
        }
        let (suite, processed) = (suite.clone(), None);
        Ok(Self { delivery, side, decoder: None, suite, processed, members, new_headers: None, spare })
    }

    /// Decodes all hits, file by file. Sizes, MD5 and record counts must be those of the manifest, and most records must
    /// have as many fields as there are headers.
    pub fn decode(&mut self, origin: &Arc<Origin>, pieces: &PieceSender, read: &AtomicU64) -> Result<()> {
        let mut windows = BTreeSet::new();
        while let Some(mistaken) = self.decode_as(&windows, origin, pieces, read)? {
            windows.insert(mistaken);
            pieces.send(|| Ok(Piece { start_over: true, ..Default::default() }))?;
        }
        let (lookups, warnings) = (std::mem::take(&mut self.side.lookups), std::mem::take(&mut self.side.warnings));
        // what says where eVars and campaign were set; None where the feed has neither
        let touches = self.decoder.as_ref().and_then(|decoder| decoder.told_by());
        let (processed, headers) = (self.processed.take(), self.new_headers.take());
        let unpacked = Some(identity_of_members(self.members.values().map(Vec::as_slice)));
        pieces
            .send(move || Ok(Piece { lookups, warnings, touches, processed, headers, unpacked, ..Default::default() }))
    }

    /// The decoder, where what it must know was read; `all` says that there is nothing more to read.
    fn decoder(&mut self, all: bool) -> Result<Option<Arc<HitDecoder>>> {
        if self.decoder.is_none() && (all || self.side.headers.is_some() && self.side.events.is_some()) {
            if self.side.headers.is_none() {
                self.take_former_headers()?;
            }
            let headers = self.side.headers.as_deref().unwrap_or_default();
            let layout = HitLayout::parse(headers, COLUMN_HEADERS).map_err(refused)?;
            let text = std::str::from_utf8(headers).ok().map(|text| text.trim_end_matches(['\r', '\n']));
            self.new_headers = text.filter(|text| *text != self.suite.feed_headers).map(str::to_string);
            let processed: Vec<String> = layout.processed().map(str::to_string).collect();
            refuse_processed(&self.suite, &processed)?;
            self.processed = Some(processed.join(","));
            let ids = self.side.events.as_deref().map_or_else(EventIds::standard, EventIds::parse);
            self.decoder = Some(Arc::new(HitDecoder::new(&layout, &ids)));
        }
        Ok(self.decoder.clone())
    }

    /// A delivery without headers is read with the last ones of its suite; whether they fit is seen when hits are counted.
    fn take_former_headers(&mut self) -> Result<()> {
        if self.suite.feed_headers.is_empty() {
            return Err(Error::refused(format!(
                "no {COLUMN_HEADERS} in the delivery, without which hits cannot be read, and no former delivery of the suite with one; have it sent again"
            )));
        }
        self.side.headers = Some(self.suite.feed_headers.clone().into_bytes());
        self.side.warn(COLUMN_HEADERS, "not in the delivery; its hits are read with the last headers of the suite");
        Ok(())
    }

    /// One pass, in which the files of `windows` are Windows-1252. Gives a file that turned out to be another such.
    fn decode_as(
        &mut self,
        windows: &BTreeSet<String>,
        origin: &Arc<Origin>,
        pieces: &PieceSender,
        read: &AtomicU64,
    ) -> Result<Option<String>> {
        let files: Vec<usize> = (0..self.delivery.files.len()).filter(|&at| self.delivery.files[at].has_hits).collect();
        let (mut records, mut last) = (0, None);
        let mut queue = VecDeque::from(files.clone());
        while let Some(at) = queue.pop_front() {
            let name = self.delivery.files[at].name.clone();
            // a line number alone does not say where
            let place = (files.len() > 1).then(|| name.clone());
            let ((tell, counted), spare) = (mpsc::channel(), self.spare.clone());
            let mut send = |block: Block, encoding, decoder: Arc<HitDecoder>| {
                let (origin, place, tell, spare) = (origin.clone(), place.clone(), tell.clone(), spare.clone());
                pieces.send(move || {
                    let (decoded, counts) = decoder.decode(&block, encoding);
                    // the other side is gone where the reading has failed
                    let _ = tell.send(counts);
                    spare.give_back(block.bytes);
                    let HitCounts { disagreeing, binding_instances, .. } = counts;
                    Ok(Piece { disagreeing, binding_instances, ..piece(&origin, decoded, place.as_deref())? })
                })
            };
            match self.read_hits(at, windows.contains(&name), read, &mut send)? {
                FileRead::Sent => {}
                FileRead::TooEarly => {
                    queue.push_back(at);
                    continue;
                }
                FileRead::OtherEncoding => return Ok(Some(name)),
            }
            drop(tell);
            // its last blocks are decoded while the next file is read
            if let Some((former, counted)) = last.replace((at, counted)) {
                records += self.records_of(former, &counted)?;
            }
        }
        if let Some((at, counted)) = last {
            records += self.records_of(at, &counted)?;
        }
        if let Some(total) = self.delivery.total_records.filter(|total| *total != records) {
            return Err(Error::refused(format!(
                "{records} records, the manifest says {total}; have the delivery sent again"
            )));
        }
        Ok(None)
    }

    /// How many records a file has, which must be as announced, when its last block is decoded: `counted` ends then.
    fn records_of(&self, at: usize, counted: &mpsc::Receiver<HitCounts>) -> Result<u64> {
        let counts = counted.iter().fold(HitCounts::default(), HitCounts::and);
        let columns = self.decoder.as_ref().map_or(0, |decoder| decoder.columns());
        check_counts(&self.delivery.files[at], &counts, columns)?;
        Ok(counts.records)
    }

    /// Reads a file with hits, which may hold lookups beside them, and sends its hits block by block.
    fn read_hits(
        &mut self,
        at: usize,
        is_windows: bool,
        read: &AtomicU64,
        send: &mut dyn FnMut(Block, Encoding, Arc<HitDecoder>) -> Result<()>,
    ) -> Result<FileRead> {
        let (input, name) = (self.delivery.files[at].input.clone(), self.delivery.files[at].name.clone());
        let takes_lookups = !self.members.contains_key(&at);
        let may_tell_more = |(at, file): (usize, &DeliveryFile)| file.is_archive() && !self.members.contains_key(&at);
        let all = !self.delivery.files.iter().enumerate().any(may_tell_more);
        let (mut found, mut done) = (false, FileRead::Sent);
        let file = read_members(&input, read, |member, stream| {
            if member != HIT_DATA {
                return if takes_lookups { self.side.take(member, stream) } else { Ok(()) };
            }
            found = true;
            let Some(decoder) = self.decoder(all)? else {
                done = FileRead::TooEarly;
                return Ok(());
            };
            let mut encodings = EncodingSoFar::new(is_windows);
            let mut blocks = BlockReader::reusing(self.spare.clone(), stream, name.as_str());
            while let Some(block) = blocks.next_block().map_err(refused)? {
                let Some(encoding) = encodings.of_next(&block.bytes) else {
                    done = FileRead::OtherEncoding;
                    break;
                };
                send(block, encoding, decoder.clone())?;
            }
            Ok(())
        })?;
        self.members.insert(at, file.members);
        if !found {
            return Err(Error::refused(format!("{name}: no {HIT_DATA} in it; have the delivery sent again")));
        }
        self.delivery.files[at].verify(&file.packed)?;
        Ok(done)
    }
}

/// What came of reading a file with hits.
enum FileRead {
    /// All of its hits are on their way.
    Sent,
    /// They come before what says how they are read: the file is read once more, when all others were.
    TooEarly,
    /// It is Windows-1252, and some of it was taken for UTF-8.
    OtherEncoding,
}

/// What a delivery brings beside hits.
#[derive(Default)]
struct DeliveryExtras {
    headers: Option<Vec<u8>>,
    events: Option<String>,
    lookups: Lookups,
    lookup_bytes: usize,
    warnings: Vec<RowIssue>,
}

impl DeliveryExtras {
    fn take(&mut self, member: &str, input: &mut dyn Read) -> Result<()> {
        let Some(name) = member.strip_suffix(".tsv").filter(|_| member != HIT_DATA) else { return Ok(()) };
        if member == COLUMN_HEADERS {
            let headers = lookup::read_all(input, member).map_err(refused)?;
            if self.headers.as_ref().is_some_and(|former| *former != headers) {
                return Err(Error::refused(format!(
                    "{COLUMN_HEADERS} is there twice and differs; have the delivery sent again"
                )));
            }
            self.headers = Some(headers);
            return Ok(());
        }
        if !lookups::can_be_table(name) {
            self.warn(member, "not loaded: its name is not that of a lookup table");
            return Ok(());
        }
        let bytes = lookup::read_all(input, member).map_err(refused)?;
        if member == EVENTS {
            self.events = Encoding::of_bytes(&bytes).decode(&bytes).map(|text| text.into_owned());
        }
        self.lookup_bytes += bytes.len();
        if self.lookup_bytes > MAX_LOOKUPS_BYTES {
            let limit = MAX_LOOKUPS_BYTES >> 20;
            return Err(Error::refused(format!(
                "{member}: more than {limit} MiB of lookups; this is no delivery of Adobe's"
            )));
        }
        let table = match lookup::read(bytes.as_slice(), member) {
            Ok(table) => table,
            Err(error) => {
                self.warn(member, &format!("not loaded: {error}"));
                return Ok(());
            }
        };
        if let Some(issue) = table.issues.first() {
            self.warn(
                member,
                &format!("{} rows passed over, the first: line {}: {}", table.issues.len(), issue.line, issue.reason),
            );
        }
        let (ids, names) = (table.batch.column(0).as_string::<i32>(), table.batch.column(1).as_string::<i32>());
        let rows = self.lookups.entry(name.to_string()).or_default();
        rows.extend(
            ids.iter()
                .zip(names)
                .filter_map(|(id, name)| Some((id?.to_string(), name.unwrap_or_default().to_string()))),
        );
        Ok(())
    }

    fn warn(&mut self, member: &str, reason: &str) {
        self.warnings.push(RowIssue::new(1, member, reason, ""));
    }
}

fn check_counts(file: &DeliveryFile, counts: &HitCounts, columns: usize) -> Result<()> {
    let (name, records) = (&file.name, counts.records);
    if let Some(wrong) = counts.wrong.filter(|wrong| wrong.records * 2 > records) {
        return Err(Error::refused(format!(
            "{name}: {HIT_DATA} line {}: {} fields, expected {columns}; is {COLUMN_HEADERS} from the same delivery?",
            wrong.line, wrong.fields
        )));
    }
    let announced = file.announced.as_ref().and_then(|a| a.records);
    match announced.filter(|announced| *announced != records) {
        Some(announced) => {
            Err(Error::refused(format!("{name}: {records} records, the manifest says {announced}; fetch it again")))
        }
        None => Ok(()),
    }
}

fn piece(origin: &Origin, decoded: Decoded, place: Option<&str>) -> Result<Piece> {
    let (mut issues, mut warnings) = (decoded.issues, decoded.warnings);
    if let Some(place) = place {
        for issue in issues.iter_mut().chain(&mut warnings) {
            issue.reason = format!("{place}: {}", issue.reason);
        }
    }
    let (hits, offline) = split(origin, &decoded.batch)?;
    Ok(Piece { hits, offline, issues, warnings, ..Default::default() })
}

/// Online hits, and the rows of data sources that Adobe has integrated already.
fn split(origin: &Origin, batch: &RecordBatch) -> Result<(Option<RecordBatch>, Option<RecordBatch>)> {
    let sources = column(batch, HIT_SOURCE)?.as_primitive::<Int64Type>();
    let is_offline: BooleanArray = sources.iter().map(|s| Some(matches!(s, Some(5 | 7..=9)))).collect();
    if is_offline.true_count() == 0 {
        return Ok((Some(online(origin, batch)?), None));
    }
    let hits = online(origin, &filter_record_batch(batch, &not(&is_offline)?)?)?;
    Ok((Some(hits), Some(offline(origin, &filter_record_batch(batch, &is_offline)?)?)))
}

fn online(origin: &Origin, batch: &RecordBatch) -> Result<RecordBatch> {
    let visitors = column(batch, VISITOR_ID)?.as_string::<i32>();
    let keys: Int64Array = visitors.iter().map(|id| Some(id.map_or(0, columns::visitor_key))).collect();
    let fixed: Vec<(&str, ArrayRef)> = vec![
        (SUITE, one_text(&origin.suite, batch.num_rows())),
        (FILE, one_text(&origin.file, batch.num_rows())),
        (VISITOR_KEY, Arc::new(keys)),
    ];
    beside(fixed, batch)
}

fn offline(origin: &Origin, batch: &RecordBatch) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let sources = column(batch, HIT_SOURCE)?.as_primitive::<Int64Type>();
    let visitors = column(batch, VISITOR_ID)?.as_string::<i32>();
    let sequences = column(batch, HIT_SEQ)?.as_primitive::<Decimal128Type>();
    let rests = column(batch, HIT_ID_REST)?.as_primitive::<Int64Type>();
    let hash = |row: usize| {
        let mut id = sequences.value(row).to_le_bytes().to_vec();
        id.extend((rests.is_valid(row) && rests.value(row) > 0).then(|| rests.value(row) as u8));
        xxh3_64(&id)
    };
    let hashes: Vec<u64> = (0..rows).map(hash).collect();
    let key = |row: usize| {
        if visitors.is_valid(row) { columns::visitor_key(visitors.value(row)) } else { hashes[row] as i64 }
    };
    let keys: Int64Array = (0..rows).map(|row| Some(key(row))).collect();
    let sequence: Decimal128Array =
        (0..rows).map(|row| Some(columns::integrated_sequence(sequences.value(row)))).collect();
    let rest =
        |row: usize| rests.is_valid(row).then(|| columns::integrated_rest(sequences.value(row), rests.value(row)));
    let left: Int64Array = (0..rows).map(rest).collect();
    let kinds: StringArray =
        sources.iter().map(|s| Some(if s == Some(7) { "transaction" } else { "summary" })).collect();
    let fixed: Vec<(&str, ArrayRef)> = vec![
        (SUITE, constant(&origin.suite, rows)),
        ("source", constant(FEED_SOURCE, rows)),
        ("kind", Arc::new(kinds)),
        (FILE, constant(&origin.file, rows)),
        ("received", Arc::new(TimestampMicrosecondArray::from(vec![origin.received; rows]).with_timezone("UTC"))),
        (VISITOR_KEY, Arc::new(keys)),
        ("record_time", column(batch, HIT_TIME)?.clone()),
        ("has_time", Arc::new(BooleanArray::from(vec![true; rows]))),
        (HIT_SEQ, Arc::new(sequence.with_data_type(columns::sequence()))),
        (HIT_ID_REST, Arc::new(left)),
    ];
    beside(fixed, batch)
}

/// Columns of ours, then those of the batch that they do not replace.
fn beside(fixed: Vec<(&str, ArrayRef)>, batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let mut fields: Vec<Arc<Field>> = vec![];
    let mut arrays = vec![];
    for (name, array) in fixed {
        let field = columns::key_field(name).ok_or_else(|| Error::bug(format!("{name} is no key")))?;
        fields.push(as_it_comes(&Arc::new(field), &array));
        arrays.push(array);
    }
    let ours = fields.len();
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        if fields[..ours].iter().all(|f| f.name() != field.name()) {
            fields.push(field.clone());
            arrays.push(array.clone());
        }
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| Error::bug(format!("decoded hits without {name}")))
}

fn constant(text: &str, rows: usize) -> ArrayRef {
    Arc::new(StringArray::from(vec![text; rows]))
}
