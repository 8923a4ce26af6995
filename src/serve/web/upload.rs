//! A file comes in: streamed to a folder of its own, never whole in memory, and loaded as `rejoin ingest` loads it. A zip
//! archive brings several at once.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::Redirect;
use futures::StreamExt;
use tempfile::TempDir;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::bodies::Stopped;
use super::files::file_link;
use super::layout::{Problem, size, source_link};
use super::logged_in::LoggedIn;
use super::{FORM_BYTES, Web};
use crate::ingest::archive::holds_texts;
use crate::ingest::blocking::blocking;
use crate::ingest::input_file::InputFile;
use crate::ingest::key::Key;
use crate::ingest::stored_mappings;
use crate::ingest::unpack::zip_members;
use crate::ingest::{IngestOptions, Outcome, Status, ingest};
use crate::lake::records::{FileEntry, Registry};
use crate::lake::sources::source;
use crate::lake::suites::suite;
use crate::serve::failure::{Failure, Reason};
use crate::{Error, ErrorKind};

/// Longest name of a file without its ending, bytes: folders take 255.
const NAME_BYTES: usize = 180;

/// Files that are taken: how they end, and what is said of others.
struct Kinds {
    endings: &'static [&'static str],
    advice: &'static str,
}

/// Data source files, and what they may be packed in.
const OF_SOURCES: Kinds = Kinds {
    endings: &[".txt", ".json", ".txt.gz", ".json.gz", ".txt.zst", ".json.zst", ZIP],
    advice: "a data source file ends in .txt (tab separated) or .json, also packed in .gz or .zst, or is a .txt in a .zip; \
             rename it",
};
const ZIP: &str = ".zip";

/// Files that a mapping reads.
const MAPPED: Kinds = Kinds {
    endings: &[
        ".csv",
        ".tsv",
        ".tab",
        ".psv",
        ".json",
        ".jsonl",
        ".ndjson",
        ".parquet",
        ".csv.gz",
        ".tsv.gz",
        ".tab.gz",
        ".psv.gz",
        ".json.gz",
        ".jsonl.gz",
        ".ndjson.gz",
        ".csv.zst",
        ".tsv.zst",
        ".tab.zst",
        ".psv.zst",
        ".json.zst",
        ".jsonl.zst",
        ".ndjson.zst",
    ],
    advice: "a mapped file ends in .csv, .tsv, .psv, .json (a row a line), .ndjson or .parquet, the texts also in .gz or .zst; \
             rename it",
};

/// What is said of an archive of something else.
const NO_TEXT: &str = "no data source file (.txt, tab separated) is in it";

/// How long a browser that sends too much is listened to, so that it reads why it was refused.
const LINGER: Duration = Duration::from_secs(2);

/// What came: a file in a folder of its own, and what the form said beside it.
struct Upload {
    folder: TempDir,
    file: String,
    replace: bool,
    mapping: String,
}

/// Takes an upload of a source and loads it.
pub(super) async fn take(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Path((suite, name)): Path<(String, String)>,
    request: Request,
) -> Result<Redirect, Problem> {
    let source = source(&web.server.lake, &suite, &name).await.map_err(Problem::not_found)?;
    let Upload { folder, file, replace, .. } = received(&web, request, &OF_SOURCES).await?;
    let options = IngestOptions { source: Some(source.source.clone()), ..options(&web, &suite, replace) };
    if file.ends_with(ZIP) {
        let archive = InputFile::alone(&folder.path().join(&file));
        // an archive of a data feed would be loaded as that
        if !holds_texts(&blocking(move || zip_members(&archive)).await?) {
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{file}: {NO_TEXT}")));
        }
    }
    let mut outcomes = load(web.clone(), folder, file.clone(), options).await?;
    if outcomes.len() == 1 {
        return show_outcome(&web, &logged_in, outcomes.remove(0), replace).await;
    }
    logged_in.notice(several(&file, outcomes)?);
    Ok(Redirect::to(&source_link(&suite, &source.source)))
}

/// Takes an upload of a suite and loads it by a stored mapping.
pub(super) async fn take_mapped(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Redirect, Problem> {
    let suite = suite(&web.server.lake, &name).await.map_err(Problem::not_found)?.suite;
    let Upload { folder, file, replace, mapping } = received(&web, request, &MAPPED).await?;
    if mapping.is_empty() {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "no mapping came; choose the one that reads the file"));
    }
    let text = stored_mappings::text(&web.server.lake, &mapping).await?;
    let path = folder.path().join(format!("{mapping}.toml"));
    tokio::fs::write(&path, text).await.map_err(unwritable)?;
    let options = IngestOptions { mappings: vec![path], ..options(&web, &suite, replace) };
    let mut outcomes = load(web.clone(), folder, file, options).await?;
    show_outcome(&web, &logged_in, outcomes.remove(0), replace).await
}

fn options(web: &Web, suite: &str, replace: bool) -> IngestOptions {
    IngestOptions {
        suite: Some(suite.to_string()),
        replace,
        copies: true,
        memory_bytes: web.server.settings().memory_bytes,
        ..IngestOptions::default()
    }
}

/// Receives a form with a file.
async fn received(web: &Web, request: Request, kinds: &Kinds) -> Result<Upload, Problem> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|n| n.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|n| n > web.options.upload_bytes.saturating_add(FORM_BYTES as u64)) {
        tokio::spawn(tokio::time::timeout(LINGER, forget(request.into_body())));
        return Err(too_large(web));
    }
    let form = Multipart::from_request(request, &()).await;
    let mut form =
        form.map_err(|e| Problem::new(StatusCode::BAD_REQUEST, format!("the upload is not readable: {e}")))?;
    let folder = tempfile::Builder::new().prefix("rejoin-upload-").tempdir().map_err(unwritable)?;
    let (mut replace, mut mapping, mut received) = (false, String::new(), None);
    while let Some(field) = form.next_field().await.map_err(|e| broken(web, e))? {
        match field.name() {
            Some("replace") => replace = true,
            Some("mapping") => mapping = field.text().await.map_err(|e| broken(web, e))?,
            // a browser sends an empty field where no file was chosen
            Some("file") if field.file_name().is_some_and(|name| !name.is_empty()) => {
                if received.is_some() {
                    let message = "more than one file came, and nothing was loaded; upload one after the other";
                    return Err(Problem::new(StatusCode::BAD_REQUEST, message));
                }
                received = Some(receive(web, folder.path(), field, kinds).await?)
            }
            _ => {}
        }
    }
    let file = received.ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "no file came; choose one"))?;
    Ok(Upload { folder, file, replace, mapping })
}

/// Shows what became of a file: on its page, or as a problem.
async fn show_outcome(web: &Web, logged_in: &LoggedIn, outcome: Outcome, replace: bool) -> Result<Redirect, Problem> {
    let entry = &outcome.entry;
    match outcome.status {
        Status::Refused(error) if error.kind() == ErrorKind::Conflict && !replace && is_loaded(web, entry).await? => {
            let message = format!(
                "{} is loaded already with other content; tick \"replace\" to load this one in its place",
                entry.file
            );
            Err(Problem::new(StatusCode::CONFLICT, message))
        }
        Status::Refused(error) => Err(error.into()),
        Status::Waiting(reason) => Err(Problem::new(StatusCode::CONFLICT, format!("{}: {reason}", entry.file))),
        status => {
            logged_in.notice(match status {
                Status::Unchanged => format!("{} was loaded before; nothing was done.", entry.file),
                Status::Copy(reason) => format!("{}: {reason}.", entry.file),
                _ => format!("{} is loaded: {}, {} rejected.", entry.file, rows(entry.rows), entry.rejected),
            });
            Ok(Redirect::to(&file_link(&entry.suite, &entry.source, &entry.file)))
        }
    }
}

/// What became of the files of an archive. A problem where one of them is not loaded; the others are.
fn several(archive: &str, outcomes: Vec<Outcome>) -> Result<String, Problem> {
    let (mut loaded, mut unchanged, mut rejected, mut reasons) = (0, 0, 0, vec![]);
    let all = outcomes.len();
    for Outcome { entry, status, .. } in outcomes {
        match status {
            Status::Refused(error) => reasons.push(error.to_string()),
            Status::Waiting(reason) => reasons.push(format!("{}: {reason}", entry.file)),
            Status::Unchanged | Status::Copy(_) => unchanged += 1,
            Status::Loaded | Status::Replaced | Status::Validated => {
                (loaded, rejected) = (loaded + entry.rows, rejected + entry.rejected);
            }
        }
    }
    match reasons.first() {
        Some(first) => {
            let message = format!("{} of {all} files of {archive} are not loaded; the first: {first}", reasons.len());
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, message))
        }
        None if unchanged == all => Ok(format!("{archive} was loaded before; nothing was done.")),
        None => Ok(format!("{archive} is loaded: {all} files, {}, {rejected} rejected.", rows(loaded))),
    }
}

/// True where a file of this name is loaded for this source; a conflict is with the bytes of another one otherwise.
async fn is_loaded(web: &Web, entry: &FileEntry) -> Result<bool, Problem> {
    let key = Key::of(entry);
    let log = Registry::<FileEntry>::read(&web.server.lake).await?;
    Ok(log.rows.iter().any(|row| key.is_loaded_as(row)))
}

fn rows(count: i64) -> String {
    format!("{count} {}", if count == 1 { "row" } else { "rows" })
}

/// Streams a file to the folder. Gives its name.
async fn receive(web: &Web, folder: &FilePath, mut field: Field<'_>, kinds: &Kinds) -> Result<String, Problem> {
    let Some(name) = safe_name(field.file_name().unwrap_or_default(), kinds.endings) else {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, kinds.advice));
    };
    let mut file = File::create(folder.join(&name)).await.map_err(unwritable)?;
    let mut left = web.options.upload_bytes;
    while let Some(bytes) = field.chunk().await.map_err(|e| broken(web, e))? {
        left = left.checked_sub(bytes.len() as u64).ok_or_else(|| too_large(web))?;
        file.write_all(&bytes).await.map_err(unwritable)?;
    }
    file.flush().await.map_err(unwritable)?;
    // the upload came to its end, which is what a .fin says
    let stem = kinds.endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    let fin = folder.join(format!("{stem}.fin"));
    File::create(fin).await.map_err(unwritable)?;
    Ok(name)
}

/// Loads a received file. It goes on when the browser does not wait; the folder goes with it.
async fn load(web: Arc<Web>, folder: TempDir, file: String, options: IngestOptions) -> Result<Vec<Outcome>, Problem> {
    let threads = web.server.threads();
    let work = async move {
        let _turn = web.loading.lock().await;
        let path = folder.path().join(file);
        ingest(&web.server.lake, &[path], &options, &|_| {}).await
    };
    let broke_off = || Problem::from(Failure::new(Reason::Engine(ErrorKind::Bug), "the load broke off"));
    let outcomes = threads.spawn(work).await.map_err(|_| broke_off())??;
    if outcomes.is_empty() { Err(broke_off()) } else { Ok(outcomes) }
}

/// Reads a body to nowhere.
async fn forget(body: Body) {
    let mut chunks = body.into_data_stream();
    while let Some(Ok(_)) = chunks.next().await {}
}

fn too_large(web: &Web) -> Problem {
    let most = size(web.options.upload_bytes);
    let message = format!(
        "the file is larger than {most}; split it, load it with rejoin ingest, or serve with a larger --max-upload"
    );
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

fn broken(web: &Web, error: MultipartError) -> Problem {
    if Stopped::is_in(&error) {
        return Problem::new(StatusCode::REQUEST_TIMEOUT, format!("the upload broke off: {Stopped}"));
    }
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(web),
        status => Problem::new(status, format!("the upload broke off: {}", error.body_text())),
    }
}

fn unwritable(error: std::io::Error) -> Problem {
    Error::unavailable(format!("the upload cannot be kept: {error}; is there room in the folder of temporary files?"))
        .into()
}

/// A name that is one in any folder, with an ending in lower case; None where it ends in none of these.
fn safe_name(given: &str, endings: &[&str]) -> Option<String> {
    let base = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let lower = base.to_ascii_lowercase();
    let ending = endings.iter().find(|ending| lower.ends_with(**ending))?;
    let stem = &base[..base.len() - ending.len()];
    let fits = |c: char| if c.is_alphanumeric() || "._- ".contains(c) { c } else { '_' };
    let mut stem: String = stem.trim().trim_start_matches('.').chars().map(fits).collect();
    stem.truncate(stem.floor_char_boundary(NAME_BYTES));
    Some(format!("{}{ending}", if stem.is_empty() { "upload" } else { &stem }))
}

#[cfg(test)]
mod tests {
    use super::{MAPPED, OF_SOURCES, safe_name};

    #[test]
    fn names_stay_in_their_folder() {
        for (given, name) in [
            ("leads_1.txt", "leads_1.txt"),
            ("../../etc/leads.TXT", "leads.txt"),
            ("C:\\data\\Größe 1.txt", "Größe 1.txt"),
            ("..txt", "upload.txt"),
            (".hidden.json", "hidden.json"),
            ("a\0b<i>\n.txt", "a_b_i_.txt"),
            ("Leads 1.TXT.gz", "Leads 1.txt.gz"),
            ("..\\drop.ZIP", "drop.zip"),
            ("leads.JSON.zst", "leads.json.zst"),
        ] {
            assert_eq!(safe_name(given, OF_SOURCES.endings).as_deref(), Some(name), "{given:?}");
        }
        for refused in ["", "leads", "leads.csv", "leads.txt/", "leads.gz", "leads.zst", ".", "/"] {
            assert_eq!(safe_name(refused, OF_SOURCES.endings), None, "{refused:?}");
        }
        for long in ["x", "漢", "🦆"] {
            let long = format!("{}.txt", long.repeat(4000));
            assert!(safe_name(&long, OF_SOURCES.endings).is_some_and(|name| (150..200).contains(&name.len())));
        }
        assert_eq!(safe_name("../Clicks.CSV.gz", MAPPED.endings).as_deref(), Some("Clicks.csv.gz"));
        assert_eq!(safe_name("Clicks.tsv.ZST", MAPPED.endings).as_deref(), Some("Clicks.tsv.zst"));
        assert_eq!(safe_name("clicks.zip", MAPPED.endings), None);
    }
}
