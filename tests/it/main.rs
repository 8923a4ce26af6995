//! All integration tests, in one binary: linking DataFusion once is slow enough.
//!
//! * `slt`: runs `tests/slt/**/*.slt`, the rules of the domain and the SQL functions by example.
//! * `oracle`, `laws`: participation and attribution by brute force on random journeys, and their laws.
//! * `bindings`: values bound to products by brute force on random worlds. `product_lines`: lines with and without an item.
//! * `persistence`: dimensions that persist, by brute force on random histories.
//! * `bad_input`: hostile and broken files through the binary. `fuzz`: inputs that were damaged at random.
//! * `cli`: exit codes, formats and JSON shapes of the commands.
//! * `compaction`: files of whole months, readers and writers undisturbed.
//! * `faults`: a store that fails at any request, and what readers and second tries then see. `faulty`: that store.
//! * `plans`: approved plans: nothing is sorted or shuffled above the lake. `ranges`: tables cut into any number of ranges.
//! * `twins`: two visitors with one key, ids that need not be read, and a visitor with very many hits.
//! * `feeds`: histories of data feeds by brute force: instances, background hits, repeats.
//! * `histories`: any history of a lake ends in the tables of one full rebuild. `record_order`: records at one hit have one order.
//! * `kept_ids`: what rebuilds keep of customer IDs changes no person.
//! * `outages`: killed commands, many writers and secrets, on S3.
//! * `stores`: the S3 store of the tests, a SeaweedFS.
//! * `bucket`: inputs in a bucket of that store.
//! * `time`: history and vacuum. `forget`: erasure and retention.
//! * `schedule`: runs by the clock, one runner a lake.
//! * `cluster`: the same answers by scheduler and executors, and their failures. `members`: such a cluster.
//! * `requests`: what a store is asked, and how often inputs are read. `inputs`: inputs as a new user has them.
//! * `packed_inputs`: inputs as they come packed. `packed`: how.
//! * `distant`: a store where each request is a wait, and how many of them wait for each other.
//! * `doors`: `rejoin serve` with psql, psycopg and a Flight SQL client.
//! * `pages`: reports as HTML files, in a real browser. `web`: the web page, in a real browser and by hostile requests.
//!   `web_server`: its server for tests.
//! * `exports`: targets are told what the lake has, over five rebuilds, random histories and faults, by documented bodies.
//! * `questions`: filters, breakdowns and credits of single conversions. `sequences`: funnels and flows.
//! * `manual`: its examples run. `terminal`: the shell in a pseudo terminal.
//! * `layers`: imports go one way. `syntax`: what stands outside of the queries in an expression.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod bad_input;
mod bindings;
mod bucket;
mod cli;
mod cluster;
mod compaction;
mod distant;
mod doors;
mod exports;
mod faults;
mod faulty;
mod feeds;
mod forget;
mod fuzz;
mod histories;
mod inputs;
mod journeys;
mod kept_ids;
mod laws;
mod layers;
mod manual;
mod members;
mod oracle;
mod outages;
mod packed;
mod packed_inputs;
mod pages;
mod persistence;
mod persons;
mod place;
mod plans;
mod product_lines;
mod questions;
mod ranges;
mod readers;
mod record_order;
mod requests;
mod schedule;
mod sequences;
mod slt;
mod stores;
mod syntax;
mod table;
mod terminal;
mod time;
mod twins;
mod web;
mod web_server;

/// As in the program: a third of what these tests compute would be the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
