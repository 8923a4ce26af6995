//! Any question: a statement, its first rows or its error with the place, and all rows as a file.

use std::io::{BufWriter, Seek};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Extension, Form};
use futures::{TryStreamExt, stream};
use maud::{Markup, html};
use serde::Deserialize;
use tokio::io::AsyncReadExt;

use super::Web;
use super::layout::{Page, Problem, choice, link};
use super::logged_in::LoggedIn;
use super::sql_beside::{Columns, beside, tables};
use crate::format::{Format, TextStyle, csv_head, csv_lines};
use crate::lake::suites::suites;
use crate::pages::Table;
use crate::serve::ahead::ahead;
use crate::serve::failure::Failure;
use crate::serve::session::{ResultRows, Session};
use crate::shell;

/// Longer addresses are not passed on by everybody.
const LINK_BYTES: usize = 4000;

#[derive(Deserialize)]
pub(super) struct Question {
    #[serde(default)]
    q: String,
    #[serde(default)]
    suite: String,
    /// `csv`, `parquet` or `arrow` for a download.
    #[serde(default)]
    to: String,
}

/// A question that came as a link.
pub(super) async fn show(
    web: State<Arc<Web>>,
    logged_in: Extension<LoggedIn>,
    Query(question): Query<Question>,
) -> Result<Response, Problem> {
    run(web, logged_in, Form(question)).await
}

/// A question that came as a form.
pub(super) async fn run(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Form(question): Form<Question>,
) -> Result<Response, Problem> {
    let sql = question.q.trim();
    let session = web.session(&logged_in.guest, &question.suite).await?;
    let file = match question.to.as_str() {
        _ if sql.is_empty() => {
            let tables = tables(&session).await;
            return Ok(page(&web, &logged_in, &question, None, &tables).await?.into_response());
        }
        "csv" => csv(session, sql).await,
        "parquet" => columnar(session, sql, Format::Parquet).await,
        "arrow" => columnar(session, sql, Format::Arrow).await,
        _ => {
            // before the statement, which may set another suite
            let tables = tables(&session).await;
            let answer = first_rows(&session, sql).await;
            let status = answer.as_ref().err().map_or(StatusCode::OK, Failure::http);
            return Ok((status, page(&web, &logged_in, &question, Some(answer), &tables).await?).into_response());
        }
    };
    match file {
        Ok(file) => Ok(file),
        Err(failure) => {
            let status = failure.http();
            let tables = tables(&web.session(&logged_in.guest, &question.suite).await?).await;
            Ok((status, page(&web, &logged_in, &question, Some(Err(failure)), &tables).await?).into_response())
        }
    }
}

type SqlAnswer = Result<(Table, Duration), Failure>;

/// As many rows as a page shows, and the time that they took.
async fn first_rows(session: &Session, sql: &str) -> SqlAnswer {
    let start = Instant::now();
    let mut found = session.run(sql, vec![]).await?;
    let mut table = Table::exact(&found.schema);
    while !table.is_cut()
        && let Some(batch) = found.next().await
    {
        table.add(&batch?)?;
    }
    Ok((table, start.elapsed()))
}

async fn page(
    web: &Web,
    logged_in: &LoggedIn,
    question: &Question,
    answer: Option<SqlAnswer>,
    tables: &[Columns],
) -> Result<Html<String>, Problem> {
    let mut all = vec![(String::new(), "all suites".to_string())];
    all.extend(suites(&web.server.lake).await?.into_iter().map(|s| (s.suite.clone(), s.suite)));
    let failed = matches!(answer, Some(Err(_)));
    let body = html! {
        div.sides { div {
        form method="post" action="/sql" {
            div.field {
                label for="q" { "Statement" }
                textarea.code id="q" name="q" rows="6" spellcheck="false" autocapitalize="none" required
                    aria-invalid=[failed.then_some("true")] aria-describedby=[failed.then_some("sql-error")] { (question.q) }
            }
            div.line {
                @if all.len() > 2 { (choice("suite", "Suite", &question.suite, &all)) }
                @else { input type="hidden" name="suite" value=(question.suite); }
                button id="run" aria-keyshortcuts="Control+Enter" { "Run" }
                button.plain name="to" value="csv" { "Download CSV" }
                button.plain name="to" value="parquet" { "Download Parquet" }
                button.plain name="to" value="arrow" { "Download Arrow" }
            }
            small id="run-hint" hidden { "Ctrl+Enter runs it." }
        }
        @match &answer {
            None => p.note { "Questions only; nothing is written. Tables: " a href="/sql?q=SHOW+TABLES" { "SHOW TABLES" } "." },
            Some(Err(failure)) => section { (error(failure, question.q.trim())) },
            Some(Ok((table, time))) => section aria-labelledby="answer" {
                h2 id="answer" { "Result" }
                p.note role="status" {
                    @if table.is_cut() { "More than " (table.rows.len()) " rows" } @else { (table.count) @if table.count == 1 { " row" } @else { " rows" } }
                    ", " (format!("{:.2} s", time.as_secs_f64()))
                    @if let Some(href) = address(question) { " · " a href=(href) { "Link to this question" } }
                }
                (table.html("Result"))
            },
        }
        }
        (beside(tables, &question.suite))
        }
    };
    Ok(Page { script: Some("sql.js"), ..Page::new("SQL", "/sql") }.show(Some(logged_in), body))
}

fn address(question: &Question) -> Option<String> {
    let href = link("/sql", &[("suite", &question.suite), ("q", question.q.trim())]);
    Some(href).filter(|href| href.len() <= LINK_BYTES)
}

/// An error, with the line of the statement that it is about where it says so.
fn error(failure: &Failure, sql: &str) -> Markup {
    html! {
        div.error id="sql-error" role="alert" {
            p { (failure.message) }
            @if let Some((number, line, column)) = place(failure, sql) {
                pre { code { (number) " | " (line) "\n" (" ".repeat(number.to_string().len() + 2 + column)) "^" } }
            }
        }
    }
}

/// The number of the line that a failure is about, the line, and the column.
fn place<'a>(failure: &Failure, sql: &'a str) -> Option<(usize, &'a str, usize)> {
    let at = shell::place(sql, failure.spot.as_ref()?)?;
    let start = sql[..at].rfind('\n').map_or(0, |before| before + 1);
    let line = sql[start..].lines().next().unwrap_or_default();
    Some((sql[..start].matches('\n').count() + 1, line, sql[start..at].chars().count() + 1))
}

/// Bytes of a file that are sent at once.
const PIECE_BYTES: usize = 64 << 10;

/// All rows, as a Parquet or an Arrow file. It is written whole before it is sent: an error is a page.
async fn columnar(session: Session, sql: &str, format: Format) -> Result<Response, Failure> {
    let mut rows = session.run(sql, vec![]).await?;
    let mut file = BufWriter::new(tempfile::tempfile().map_err(crate::Error::from)?);
    let mut encoder = format.encoder(&rows.schema, TextStyle::default(), &mut file)?;
    while let Some(batch) = rows.next().await {
        encoder.rows(&batch?)?;
    }
    encoder.finish()?;
    let mut file = file.into_inner().map_err(|error| crate::Error::from(error.into_error()))?;
    file.rewind().map_err(crate::Error::from)?;
    let body = stream::try_unfold(tokio::fs::File::from_std(file), async |mut file: tokio::fs::File| {
        let mut piece = vec![0; PIECE_BYTES];
        let length = file.read(&mut piece).await?;
        piece.truncate(length);
        Ok::<_, std::io::Error>((length > 0).then_some((piece, file)))
    });
    let kind =
        if format == Format::Parquet { "application/vnd.apache.parquet" } else { "application/vnd.apache.arrow.file" };
    let headers = [
        (header::CONTENT_TYPE, kind.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"result.{format}\"")),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// All rows, as a file. What fails after its beginning breaks it off, so that nobody takes it for whole.
pub(super) async fn csv(session: Session, sql: &str) -> Result<Response, Failure> {
    let mut rows = session.run(sql, vec![]).await?;
    // an error before the first rows is a page
    let first = rows.next().await.transpose()?;
    let mut head = csv_head(&rows.schema);
    if let Some(batch) = &first {
        csv_lines(batch, &mut head)?;
    }
    // the session is the guest's place, as long as rows come
    let start = (session, rows, Some(head));
    let body = stream::try_unfold(start, async |(session, mut rows, head): (Session, ResultRows, Option<String>)| {
        if let Some(head) = head {
            return Ok(Some((head, (session, rows, None))));
        }
        let Some(batch) = rows.next().await.transpose()? else { return Ok(None) };
        let mut text = String::new();
        csv_lines(&batch, &mut text)?;
        Ok::<_, Failure>(Some((text, (session, rows, None))))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"result.csv\""),
    ];
    // lines are written while those before are sent
    let body = Body::from_stream(ahead(body).map_err(|failure| std::io::Error::other(failure.message)));
    Ok((headers, body).into_response())
}

#[cfg(test)]
mod tests {
    use super::place;
    use crate::Error;
    use crate::error::Spot;

    #[test]
    fn an_error_has_its_place() {
        let sql = "SELECT nme\r\nFROM x WHRE y";
        let of = |spot: Spot| place(&Error::query("no").at_spot(spot).into(), sql);
        assert_eq!(of(Spot::LineAndColumn(2, 13)), Some((2, "FROM x WHRE y", 13)));
        assert_eq!(of(Spot::Name("x.nme".into())), Some((1, "SELECT nme", 8)));
        assert_eq!(of(Spot::Name("nobody".into())), None);
        assert_eq!(of(Spot::LineAndColumn(9, 1)), None);
        assert_eq!(place(&Error::query("too hot").into(), sql), None);
    }
}
