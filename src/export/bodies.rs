//! The files of bodies: written while conversions are compared, given out, and deleted when their run has ended.
//!
//! They are in `exports/NAME/RUN/` of the lake. Each run that is tried has names of its own, so that one that loses against another
//! leaves the winner's as they are.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::decide::SentConversion;
use super::target::Target;
use super::targets::{self, Frame};
use crate::lake::records::{ExportEvent, ExportRun};
use crate::lake::{Lake, Record};
use crate::{Error, Result};

/// Where bodies go while they are written.
pub struct Destination {
    lake: Lake,
    names: BodyNames,
}

/// How the bodies of a run are called.
enum BodyNames {
    /// In the lake's folder of the run.
    Lake(ExportRun),
    /// In a folder of the user's.
    Folder(ExportRun),
}

impl BodyNames {
    fn path(&self, lake: &Lake, body: i64) -> Result<Path> {
        match self {
            BodyNames::Lake(run) => lake.file_path(ExportEvent::TABLE, &in_lake(run, body)?),
            BodyNames::Folder(run) => lake.object(&in_folder(run, body)?),
        }
    }
}

impl Destination {
    /// The lake's folder of a run.
    pub fn lake(lake: &Lake, run: &ExportRun) -> Self {
        Self { lake: lake.clone(), names: BodyNames::Lake(run.clone()) }
    }

    /// A folder or a bucket of the user's.
    pub fn folder(location: &str, run: &ExportRun) -> Result<Self> {
        Ok(Self { lake: Lake::open(location)?, names: BodyNames::Folder(run.clone()) })
    }
}

fn ending(run: &ExportRun) -> Result<&'static str> {
    Ok(run.target.parse::<Target>()?.ending())
}

fn in_lake(run: &ExportRun, body: i64) -> Result<String> {
    Ok(format!("{}/{}/{body:05}-{}.{}", run.export, run.run, run.attempt, ending(run)?))
}

fn in_folder(run: &ExportRun, body: i64) -> Result<String> {
    Ok(format!("{}-{}-{body:05}.{}", run.export, run.run, ending(run)?))
}

/// Bodies in the making.
pub struct Writer {
    target: Target,
    columns: Vec<String>,
    frame: Frame,
    destination: Option<Destination>,
    text: String,
    events: usize,
    bodies: i64,
}

impl Writer {
    /// Without a destination bodies are counted alone.
    pub fn new(target: Target, columns: Vec<String>, frame: Frame, destination: Option<Destination>) -> Self {
        Self { target, columns, frame, destination, text: String::new(), events: 0, bodies: 0 }
    }

    /// Writes what is sent to the target.
    pub async fn push(&mut self, sent: &SentConversion) -> Result<()> {
        self.text.push_str(if self.events == 0 { &self.frame.open } else { self.frame.between });
        self.text.push_str(&targets::event(self.target, &self.columns, sent)?);
        self.events += 1;
        if self.events == self.target.most_events() {
            self.close().await?;
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        if self.events == 0 {
            return Ok(());
        }
        self.text.push_str(&self.frame.close);
        let text = std::mem::take(&mut self.text);
        (self.events, self.bodies) = (0, self.bodies + 1);
        if let Some(Destination { lake, names }) = &self.destination {
            lake.store().put(&names.path(lake, self.bodies)?, PutPayload::from(text)).await?;
        }
        Ok(())
    }

    /// Deletes what was written.
    pub async fn abandon(self, lake: &Lake, run: &ExportRun) {
        forget(lake, run, self.bodies).await;
    }

    /// How many there are.
    pub async fn finish(mut self) -> Result<i64> {
        self.close().await?;
        Ok(self.bodies)
    }
}

/// A body of a run that waits.
pub async fn read(lake: &Lake, run: &ExportRun, body: i64) -> Result<bytes::Bytes> {
    let path = lake.file_path(ExportEvent::TABLE, &in_lake(run, body)?)?;
    match lake.store().get(&path).await {
        Ok(found) => Ok(found.bytes().await?),
        Err(object_store::Error::NotFound { .. }) => Err(Error::configuration(format!(
            "body {body} of run {0} of export {1} is not in the lake any more; if it was sent: rejoin export ack {1} {0}",
            run.run, run.export
        ))),
        Err(error) => Err(error.into()),
    }
}

/// The names of a run's bodies, relative to the lake.
pub fn names(run: &ExportRun) -> Result<Vec<String>> {
    (1..=run.bodies).map(|body| Ok(format!("{}/{}", ExportEvent::TABLE, in_lake(run, body)?))).collect()
}

/// Puts the bodies of a run into a folder or a bucket of the user's; their names there.
pub async fn copy(lake: &Lake, run: &ExportRun, location: &str) -> Result<Vec<String>> {
    let destination = Destination::folder(location, run)?;
    let mut names = vec![];
    for body in 1..=run.bodies {
        let bytes = read(lake, run, body).await?;
        let path = destination.names.path(&destination.lake, body)?;
        destination
            .lake
            .store()
            .put(&path, PutPayload::from(bytes))
            .await
            .map_err(|e| Error::from(e).at("--output"))?;
        names.push(in_folder(run, body)?);
    }
    Ok(names)
}

/// Deletes what is left of bodies of runs that have ended.
pub async fn clean(lake: &Lake, name: &str, runs: &[ExportRun], waiting: &str) -> Result<()> {
    let folder = lake.file_path(ExportEvent::TABLE, name)?;
    let listed = lake.store().list_with_delimiter(Some(&folder)).await?;
    let ended = |folder: &&Path| {
        let number = folder.filename().and_then(|name| name.parse::<i64>().ok());
        number.is_some_and(|number| runs.iter().any(|run| run.run == number && run.status != waiting))
    };
    for folder in listed.common_prefixes.iter().filter(ended) {
        delete(lake, folder).await?;
        // a folder of a file system stays where its files go, and so does what a killed process had half written
        if let (Ok(root), Some(run)) = (lake.url().to_file_path(), folder.filename()) {
            let _ = std::fs::remove_dir_all(root.join(ExportEvent::TABLE).join(name).join(run));
        }
    }
    Ok(())
}

/// Deletes the bodies of a run that came to nothing.
pub async fn forget(lake: &Lake, run: &ExportRun, bodies: i64) {
    for body in 1..=bodies {
        let path = in_lake(run, body).and_then(|name| lake.file_path(ExportEvent::TABLE, &name));
        if let Ok(path) = path {
            lake.discard(&path).await;
        }
    }
}

async fn delete(lake: &Lake, folder: &Path) -> Result<()> {
    let objects = lake.store().list(Some(folder)).map_ok(|object| object.location);
    let mut deleted = lake.store().delete_stream(Box::pin(objects));
    loop {
        match deleted.try_next().await {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            // somebody else was faster
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
