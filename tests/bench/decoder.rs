//! How fast the hits of a data feed are cut into records and decoded: `cargo bench --bench decoder`.
//!
//! The hits are those of `rejoin sample`, in memory and unpacked; one thread, so the figure is that of one core.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rejoin::feed::event_list::EventIds;
use rejoin::feed::hit_columns::HitLayout;
use rejoin::feed::hits::HitDecoder;
use rejoin::feed::records::{Block, BlockReader};
use rejoin::feed::text::Encoding;
use rejoin::ingest::input_file::InputFile;
use rejoin::ingest::unpack::read_members;
use rejoin::sample::{SampleOptions, write_sample};

const HITS: u64 = 20_000;

fn decoder(criterion: &mut Criterion) {
    let (headers, hits) = sample().expect("a sample is written to a temporary folder and read again");
    let headers = std::str::from_utf8(&headers).expect("the sample's headers are ASCII");
    let headers: Vec<&str> = headers.trim_end().split('\t').collect();
    let layout = HitLayout::from_headers(&headers, "column_headers.tsv").expect("the sample's headers are whole");
    let decoder = HitDecoder::new(&layout, &EventIds::standard());
    let blocks = || {
        let mut reader = BlockReader::new(hits.as_slice(), "hit_data.tsv");
        std::iter::from_fn(move || reader.next_block().expect("the sample's records are short"))
    };

    let mut group = criterion.benchmark_group("decoder");
    group.throughput(Throughput::Bytes(hits.len() as u64)).sample_size(10);
    group.bench_function("blocks", |bench| bench.iter(|| blocks().map(|block| block.bytes.len()).sum::<usize>()));
    let all: Vec<Block> = blocks().collect();
    group.bench_function("rows", |bench| {
        bench.iter(|| all.iter().for_each(|block| drop(black_box(decoder.decode(block, Encoding::Utf8)))));
    });
    group.finish();
}

/// `column_headers.tsv` and `hit_data.tsv` of the last delivery of a sample.
fn sample() -> Result<(Vec<u8>, Vec<u8>), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let options = SampleOptions { hits: HITS, days: 1, ..Default::default() };
    let sample = write_sample(folder.path(), &options, &mut |_| {})?;
    let delivery = sample.deliveries.last().ok_or("no delivery")?;
    let lookups = delivery.manifest.with_file_name(format!("shop_{}-lookup_data.tar.gz", delivery.date));
    let hits = delivery.data_files.first().ok_or("a delivery without hits")?;
    Ok((member(&lookups, "column_headers.tsv")?, member(hits, "hit_data.tsv")?))
}

fn member(archive: &Path, wanted: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut bytes = vec![];
    read_members(&InputFile::alone(archive), &AtomicU64::new(0), |name, input| {
        if name == wanted {
            input.read_to_end(&mut bytes)?;
        }
        Ok(())
    })?;
    Ok(bytes)
}

criterion_group!(benches, decoder);
criterion_main!(benches);
