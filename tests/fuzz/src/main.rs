//! Guided fuzzing of what reads inputs: libFuzzer keeps each input that comes to new places in our code, and changes those.
//!
//! `tests/it/fuzz.rs` tries whole loads with inputs that are changed at random, in each run of the tests; this one tries the
//! readers alone, some hundred times as often, and knows what it has not seen yet. `run` builds and starts it; `keep` puts the few
//! inputs that reach all that was reached into `corpus.tar.zst`, which the tests read.
#![no_main]

mod readers;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

use readers::{LAKE, READERS, Reader};

/// What reads, by the name in `REJOIN_FUZZ_READER`.
static READER: LazyLock<Reader> = LazyLock::new(|| {
    // a panic of a library that we catch is no crash; one that nobody catches ends the process all the same
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let lake = std::env::var("REJOIN_FUZZ_LAKE").expect("REJOIN_FUZZ_LAKE is a lake with the suite web");
    LAKE.set(lake).expect("one lake");
    let name = std::env::var("REJOIN_FUZZ_READER").unwrap_or_default();
    let known = READERS.map(|(name, _)| name).join(", ");
    READERS.iter().find(|(reader, _)| *reader == name).unwrap_or_else(|| panic!("REJOIN_FUZZ_READER is one of {known}")).1
});

fuzz_target!(|data: &[u8]| READER(data));
