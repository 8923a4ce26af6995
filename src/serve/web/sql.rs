//! Any question: a statement, its first rows or its error with the place, and all rows as CSV.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Extension, Form};
use futures::{TryStreamExt, stream};
use maud::{Markup, html};
use serde::Deserialize;

use super::Web;
use super::layout::{Page, Problem, choice, link};
use super::visitor::Visitor;
use crate::lake::suites::suites;
use crate::pages::{Table, texts};
use crate::serve::failure::Failure;
use crate::serve::session::{Rows, Session};

/// Longer addresses are not passed on by everybody.
const LINK_BYTES: usize = 4000;

#[derive(Deserialize)]
pub(super) struct Question {
    #[serde(default)]
    q: String,
    #[serde(default)]
    suite: String,
    /// `csv` for a download.
    #[serde(default)]
    to: String,
}

/// A question that came as a link.
pub(super) async fn show(
    web: State<Arc<Web>>,
    visitor: Extension<Visitor>,
    Query(question): Query<Question>,
) -> Result<Response, Problem> {
    run(web, visitor, Form(question)).await
}

/// A question that came as a form.
pub(super) async fn run(
    State(web): State<Arc<Web>>,
    Extension(visitor): Extension<Visitor>,
    Form(question): Form<Question>,
) -> Result<Response, Problem> {
    let sql = question.q.trim();
    if sql.is_empty() {
        return Ok(page(&web, &visitor, &question, None).await?.into_response());
    }
    let session = web.session(&visitor.guest, &question.suite).await?;
    if question.to == "csv" {
        return match csv(session, sql).await {
            Ok(download) => Ok(download),
            Err(failure) => {
                let status = failure.http();
                Ok((status, page(&web, &visitor, &question, Some(Err(failure))).await?).into_response())
            }
        };
    }
    let answer = first_rows(&session, sql).await;
    let status = answer.as_ref().err().map_or(StatusCode::OK, Failure::http);
    Ok((status, page(&web, &visitor, &question, Some(answer)).await?).into_response())
}

type Answer = Result<(Table, Duration), Failure>;

/// As many rows as a page shows, and the time that they took.
async fn first_rows(session: &Session, sql: &str) -> Answer {
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
    visitor: &Visitor,
    question: &Question,
    answer: Option<Answer>,
) -> Result<Html<String>, Problem> {
    let mut all = vec![(String::new(), "all suites".to_string())];
    all.extend(suites(&web.server.lake).await?.into_iter().map(|s| (s.suite.clone(), s.suite)));
    let failed = matches!(answer, Some(Err(_)));
    let body = html! {
        form method="post" action="/sql" {
            div.field {
                label for="q" { "Statement" }
                textarea.code id="q" name="q" rows="6" spellcheck="false" autocapitalize="none" required
                    aria-invalid=[failed.then_some("true")] aria-describedby=[failed.then_some("sql-error")] { (question.q) }
            }
            div.line {
                @if all.len() > 2 { (choice("suite", "Suite", &question.suite, &all)) }
                @else { input type="hidden" name="suite" value=(question.suite); }
                button { "Run" }
                button.plain name="to" value="csv" { "Download CSV" }
            }
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
    };
    Ok(Page::new("SQL", "/sql").show(Some(visitor), body))
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
            @if let Some((number, line, column)) = place(&failure.message, sql) {
                pre { code { (number) " | " (line) "\n" (" ".repeat(number.to_string().len() + 2 + column)) "^" } }
            }
        }
    }
}

/// `Line: 2, Column: 7` as the number of the line, the line, and the column.
fn place<'a>(message: &str, sql: &'a str) -> Option<(usize, &'a str, usize)> {
    let number = |rest: &str| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<usize>().ok()
    };
    let (_, rest) = message.rsplit_once("Line: ")?;
    let line = number(rest)?;
    let column = number(rest.split_once("Column: ")?.1)?;
    let text = sql.lines().nth(line.checked_sub(1)?)?;
    (1..=text.chars().count() + 1).contains(&column).then_some((line, text, column))
}

/// All rows, as a file. What fails after its beginning breaks it off, so that nobody takes it for whole.
pub(super) async fn csv(session: Session, sql: &str) -> Result<Response, Failure> {
    let mut rows = session.run(sql, vec![]).await?;
    // an error before the first rows is told as a page
    let first = rows.next().await.transpose()?;
    let mut head = header_line(&rows.schema);
    if let Some(batch) = &first {
        lines(batch, &mut head)?;
    }
    // the session is the guest's place, as long as rows come
    let start = (session, rows, Some(head));
    let body = stream::try_unfold(start, async |(session, mut rows, head): (Session, Rows, Option<String>)| {
        if let Some(head) = head {
            return Ok(Some((head, (session, rows, None))));
        }
        let Some(batch) = rows.next().await.transpose()? else { return Ok(None) };
        let mut text = String::new();
        lines(&batch, &mut text)?;
        Ok::<_, Failure>(Some((text, (session, rows, None))))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"result.csv\""),
    ];
    let body = Body::from_stream(body.map_err(|failure| std::io::Error::other(failure.message)));
    Ok((headers, body).into_response())
}

fn header_line(schema: &Schema) -> String {
    let names: Vec<String> = schema.fields().iter().map(|f| quoted(f.name())).collect();
    names.join(",") + "\n"
}

/// NULL is an empty field, an empty text is `""`.
fn lines(batch: &RecordBatch, out: &mut String) -> Result<(), Failure> {
    let columns = batch.columns().iter().map(texts).collect::<crate::Result<Vec<_>>>()?;
    for row in 0..batch.num_rows() {
        for (i, column) in columns.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            if let Some(text) = &column[row] {
                out.push_str(&quoted(text));
            }
        }
        out.push('\n');
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && !text.contains([',', '"', '\n', '\r']) && text.trim() == text;
    if plain { text.to_string() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::{place, quoted};

    #[test]
    fn an_error_has_its_place() {
        let sql = "SELECT 1\nFROM x WHRE y";
        let message = "Expected: end of statement, found: y at Line: 2, Column: 13";
        assert_eq!(place(message, sql), Some((2, "FROM x WHRE y", 13)));
        for other in ["there is no table x", "Line: 9, Column: 1", "Line: 1, Column: 99", "Line: x"] {
            assert_eq!(place(other, sql), None, "{other}");
        }
    }

    #[test]
    fn fields_of_csv() {
        assert_eq!(quoted("a b"), "a b");
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
    }
}
