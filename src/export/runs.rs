//! The runs of exports: which there were, and which of them waits for its acknowledgement.

use crate::lake::records::ExportRun;
use crate::lake::{Lake, Registry};
use crate::{Error, Result, clock};

/// It was made, and nobody said yet that the target has it.
pub const WAITING: &str = "waiting";
/// The target has it.
pub const ACKNOWLEDGED: &str = "acknowledged";
/// It was never sent.
pub const DISCARDED: &str = "discarded";

/// The runs of an export, in order.
pub async fn of(lake: &Lake, name: &str) -> Result<Vec<ExportRun>> {
    let mut rows = Registry::<ExportRun>::read(lake).await?.rows;
    rows.retain(|run| run.export == name);
    rows.sort_by_key(|run| run.run);
    Ok(rows)
}

/// The run that waits.
pub fn waiting(runs: &[ExportRun]) -> Option<&ExportRun> {
    runs.iter().find(|run| run.status == WAITING)
}

/// Writes a run down, if it is not. Another one of its number is a conflict.
pub async fn note(lake: &Lake, run: &ExportRun) -> Result<()> {
    Registry::<ExportRun>::update(lake, |rows| {
        match rows.iter().find(|known| (&known.export, known.run) == (&run.export, run.run)) {
            Some(known) if known.attempt != run.attempt => Err(Error::conflict(format!(
                "another run {} of export {} was faster; run it again",
                run.run, run.export
            ))),
            Some(_) => Ok(()),
            None => {
                rows.push(run.clone());
                Ok(())
            }
        }
    })
    .await
}

/// Notes how many bodies were posted.
pub async fn posted(lake: &Lake, run: &ExportRun, bodies: i64) -> Result<()> {
    change(lake, &run.export, run.run, |run| {
        run.posted = run.posted.max(bodies);
        Ok(())
    })
    .await
    .map(drop)
}

/// Ends a run that waits, as acknowledged or discarded. Ending it so again changes nothing; ending it otherwise is a conflict.
pub async fn end(lake: &Lake, name: &str, run: i64, status: &'static str) -> Result<ExportRun> {
    change(lake, name, run, |run| {
        if run.status == status {
            return Ok(());
        }
        if run.status != WAITING {
            return Err(Error::conflict(format!("run {} of export {name} is {} already", run.run, run.status)));
        }
        if status == DISCARDED && run.posted > 0 {
            return Err(Error::conflict(format!(
                "run {0} of export {name} was sent in part, so it cannot be discarded; send the rest: rejoin export run {name} --post URL, or acknowledge it",
                run.run
            )));
        }
        run.status = status.into();
        run.ended = Some(clock::now());
        Ok(())
    })
    .await
}

async fn change(
    lake: &Lake,
    name: &str,
    number: i64,
    what: impl Fn(&mut ExportRun) -> Result<()>,
) -> Result<ExportRun> {
    Registry::<ExportRun>::update(lake, |rows| {
        let Some(found) = rows.iter_mut().find(|run| run.export == name && run.run == number) else {
            return Err(Error::configuration(format!(
                "export {name} has no run {number}; rejoin export show {name} lists its runs"
            )));
        };
        what(found)?;
        Ok(found.clone())
    })
    .await
}
