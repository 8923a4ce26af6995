//! Statements from a pipe or a file: each runs as soon as it is whole; the first error is the end.

use std::io::BufRead;

use super::reader::Reader;
use super::session::{Next, Session};
use crate::Result;

/// Runs everything that `input` gives.
pub async fn script(session: &mut Session<'_>, input: impl BufRead) -> Result<()> {
    let mut reader = Reader::new(input);
    while let Some((line, text)) = reader.next()? {
        match session.execute(&text).await {
            Ok(Next::Continue) => {}
            Ok(Next::Quit) => break,
            Err(error) => {
                // what was printed before stays
                session.finish()?;
                return Err(error.at(format!("line {line}")));
            }
        }
    }
    session.finish()
}
