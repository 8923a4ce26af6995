//! A file comes in: streamed to a folder of its own, never whole in memory, and loaded as `rejoin ingest` loads it.

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

use super::files::file_link;
use super::layout::{Problem, size};
use super::visitor::Visitor;
use super::{FORM_BYTES, Web};
use crate::ingest::key::Key;
use crate::ingest::{IngestOptions, Outcome, Status, ingest};
use crate::lake::records::{FileEntry, Registry};
use crate::lake::sources::source;
use crate::serve::failure::{Failure, Reason};
use crate::{Error, ErrorKind};

/// Longest name of a file.
const NAME_CHARS: usize = 120;

/// How long a browser that sends too much is listened to, so that it reads why it was refused.
const LINGER: Duration = Duration::from_secs(2);

/// Takes an upload and loads it.
pub(super) async fn take(
    State(web): State<Arc<Web>>,
    Extension(visitor): Extension<Visitor>,
    Path((suite, name)): Path<(String, String)>,
    request: Request,
) -> Result<Redirect, Problem> {
    let source = source(&web.server.lake, &suite, &name).await.map_err(Problem::not_found)?;
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|n| n.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|n| n > web.options.upload_bytes.saturating_add(FORM_BYTES as u64)) {
        tokio::spawn(tokio::time::timeout(LINGER, forget(request.into_body())));
        return Err(too_large(&web));
    }
    let form = Multipart::from_request(request, &()).await;
    let mut form =
        form.map_err(|e| Problem::new(StatusCode::BAD_REQUEST, format!("the upload is not readable: {e}")))?;
    let folder = tempfile::Builder::new().prefix("rejoin-upload-").tempdir().map_err(unwritable)?;
    let (mut replace, mut received) = (false, None);
    while let Some(field) = form.next_field().await.map_err(|e| broken(&web, e))? {
        match field.name() {
            Some("replace") => replace = true,
            // a browser sends an empty field where no file was chosen
            Some("file") if field.file_name().is_some_and(|name| !name.is_empty()) => {
                received = Some(receive(&web, folder.path(), field).await?)
            }
            _ => {}
        }
    }
    let file = received.ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "no file came; choose one"))?;
    let options = IngestOptions {
        suite: Some(suite.clone()),
        source: Some(source.source.clone()),
        replace,
        copies: true,
        memory_bytes: web.server.settings().memory_bytes,
        ..IngestOptions::default()
    };
    let outcome = load(web.clone(), folder, file, options).await?;
    let entry = &outcome.entry;
    match outcome.status {
        Status::Refused(error) if error.kind() == ErrorKind::Conflict && !replace && is_loaded(&web, entry).await? => {
            let message = format!(
                "{} is loaded already with other content; tick \"replace\" to load this one in its place",
                entry.file
            );
            Err(Problem::new(StatusCode::CONFLICT, message))
        }
        Status::Refused(error) => Err(error.into()),
        Status::Waiting(reason) => Err(Problem::new(StatusCode::CONFLICT, format!("{}: {reason}", entry.file))),
        status => {
            visitor.notice(match status {
                Status::Unchanged => format!("{} was loaded before; nothing was done.", entry.file),
                _ => format!("{} is loaded: {}, {} rejected.", entry.file, rows(entry.rows), entry.rejected),
            });
            Ok(Redirect::to(&file_link(&entry.suite, &entry.source, &entry.file)))
        }
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
async fn receive(web: &Web, folder: &FilePath, mut field: Field<'_>) -> Result<String, Problem> {
    let name = safe_name(field.file_name().unwrap_or_default());
    let Some(name) = name else {
        let message = "a data source file ends in .txt (tab separated) or .json; rename it";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    };
    let mut file = File::create(folder.join(&name)).await.map_err(unwritable)?;
    let mut left = web.options.upload_bytes;
    while let Some(bytes) = field.chunk().await.map_err(|e| broken(web, e))? {
        left = left.checked_sub(bytes.len() as u64).ok_or_else(|| too_large(web))?;
        file.write_all(&bytes).await.map_err(unwritable)?;
    }
    file.flush().await.map_err(unwritable)?;
    // the upload came to its end, which is what a .fin says
    let fin = folder.join(&name).with_extension("fin");
    File::create(fin).await.map_err(unwritable)?;
    Ok(name)
}

/// Loads a received file. It goes on when the browser does not wait; the folder goes with it.
async fn load(web: Arc<Web>, folder: TempDir, file: String, options: IngestOptions) -> Result<Outcome, Problem> {
    let threads = web.server.threads();
    let work = async move {
        let _turn = web.loading.lock().await;
        let path = folder.path().join(file);
        ingest(&web.server.lake, &[path], &options, &|_| {}).await
    };
    let broke_off = || Problem::from(Failure::new(Reason::Engine(ErrorKind::Bug), "the load broke off"));
    let outcomes = threads.spawn(work).await.map_err(|_| broke_off())??;
    outcomes.into_iter().next().ok_or_else(broke_off)
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
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(web),
        status => Problem::new(status, format!("the upload broke off: {}", error.body_text())),
    }
}

fn unwritable(error: std::io::Error) -> Problem {
    Error::unavailable(format!("the upload cannot be kept: {error}; is there room in the folder of temporary files?"))
        .into()
}

/// A name that is one in any folder, with an ending in lower case; None where the ending is none of a data source file.
fn safe_name(given: &str) -> Option<String> {
    let base = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let (stem, ending) = base.rsplit_once('.')?;
    let ending = ending.to_ascii_lowercase();
    if ending != "txt" && ending != "json" {
        return None;
    }
    let fits = |c: char| if c.is_alphanumeric() || "._- ".contains(c) { c } else { '_' };
    let stem: String = stem.trim().trim_start_matches('.').chars().take(NAME_CHARS).map(fits).collect();
    Some(format!("{}.{ending}", if stem.is_empty() { "upload" } else { &stem }))
}

#[cfg(test)]
mod tests {
    use super::safe_name;

    #[test]
    fn names_stay_in_their_folder() {
        for (given, name) in [
            ("leads_1.txt", "leads_1.txt"),
            ("../../etc/leads.TXT", "leads.txt"),
            ("C:\\data\\Größe 1.txt", "Größe 1.txt"),
            ("..txt", "upload.txt"),
            (".hidden.json", "hidden.json"),
            ("a\0b<i>\n.txt", "a_b_i_.txt"),
        ] {
            assert_eq!(safe_name(given).as_deref(), Some(name), "{given:?}");
        }
        for refused in ["", "leads", "leads.csv", "leads.txt/", ".", "/"] {
            assert_eq!(safe_name(refused), None, "{refused:?}");
        }
        assert!(safe_name(&format!("{}.txt", "x".repeat(4000))).is_some_and(|name| name.len() < 200));
    }
}
