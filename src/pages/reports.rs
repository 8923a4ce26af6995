//! The pages: a named report with its pictures, or the overview of all that Rejoin ties together.

use maud::{Markup, html};

use super::chart::{Chart, Kind};
use super::page::document;
use super::table::Table;
use crate::engine::Engine;
use crate::report::{Report, find, overview};
use crate::{Error, Result};

/// The page of several tables.
pub const OVERVIEW: &str = "overview";

/// The metric of the overview: online sales and what came back offline are of one kind.
const OVERVIEW_METRIC: &str = "revenue";

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct ReportChoices<'a> {
    /// Parameters and their values; defaults stand in for others.
    pub values: Vec<(&'static str, &'a str)>,
    /// The report suite, where one was named.
    pub suite: Option<&'a str>,
    /// The rebuild or time that the lake is seen as of, where one was named.
    pub as_of: Option<&'a str>,
}

/// A statement with its table and pictures.
struct PageSection {
    title: String,
    note: String,
    sql: String,
    charts: Vec<Chart>,
    report: Report,
}

impl PageSection {
    fn new(title: &str, report: Report, values: &[(&str, &str)], charts: Vec<Chart>) -> Result<Self> {
        let sql = report.with(values)?.trim_end().to_string();
        Ok(Self { title: title.into(), note: report.description.clone(), sql, charts, report })
    }

    async fn html(&self, engine: &Engine, number: usize, values: &[(&str, &str)]) -> Result<Markup> {
        let table = async {
            let running = engine.run(&self.sql).await?;
            Table::read(&running.schema, running.rows).await
        };
        let table = table.await.map_err(|error| self.report.explained(error, values))?;
        Ok(html! {
            section id={ "part-" (number) } aria-labelledby={ "title-" (number) } {
                h2 id={ "title-" (number) } { (self.title) }
                p { (self.note) }
                @for (i, chart) in self.charts.iter().enumerate() {
                    (chart.html(&format!("chart-{number}-{i}"), &self.title, &table))
                }
                (table.html(&self.title))
                details { summary { "SQL" } pre tabindex="0" { code { (self.sql) } } }
            }
        })
    }
}

/// The page of a named report, or of [`OVERVIEW`], as one HTML file.
///
/// # Errors
/// No such report, a parameter that it does not have, or a query that the lake cannot answer.
pub async fn page(engine: &Engine, name: &str, asked: &ReportChoices<'_>) -> Result<String> {
    let (title, lead, parts) = if name == OVERVIEW {
        let lead = "Online items and what they led to, online and offline, by visit and by visitor.";
        ("Overview".to_string(), lead.to_string(), overview_parts(&asked.values)?)
    } else {
        let report = find(name)?;
        (in_words(name), String::new(), report_parts(report, &asked.values)?)
    };
    let mut sections = vec![];
    for (i, part) in parts.iter().enumerate() {
        sections.push(part.html(engine, i + 1, &asked.values).await?);
    }
    let body = html! {
        @if parts.len() > 1 {
            nav aria-label="Contents" { ul {
                @for (i, part) in parts.iter().enumerate() { li { a href={ "#part-" (i + 1) } { (part.title) } } }
            } }
        }
        @for section in &sections { (section) }
    };
    Ok(document(&title, &lead, &facts(&parts, name, asked), &body))
}

fn report_parts(report: Report, values: &[(&str, &str)]) -> Result<Vec<PageSection>> {
    let charts = charts(report.name);
    Ok(vec![PageSection::new(&in_words(report.name), report, values, charts)?])
}

/// The pictures of a report: its columns by place, because metric and dimension give them their names.
fn charts(report: &str) -> Vec<Chart> {
    let bars = |columns: &[usize]| Chart::new(Kind::Bars, columns.iter().copied());
    match report {
        "assisted_conversions" => vec![bars(&[1, 2, 3])],
        "content_velocity" => vec![bars(&[3])],
        "credit_by" => vec![bars(&[2])],
        "devices" => vec![Chart::new(Kind::Columns, [1])],
        "flow" => vec![Chart::new(Kind::Flow, [3])],
        "funnel" => vec![Chart::new(Kind::Columns, [2])],
        "top_paths" => vec![bars(&[1])],
        "model_comparison" => vec![Chart::new(Kind::Bars, 1..=9).showing([1, 2, 3, 8])],
        "net_revenue" => vec![bars(&[1, 2, 3, 4])],
        "offline_share" | "person_credit" => vec![bars(&[1, 2])],
        "path_length" | "time_lag" => vec![Chart::new(Kind::Columns, [1])],
        "return_on_ad_spend" => vec![bars(&[3]), bars(&[1, 2])],
        _ => vec![],
    }
}

fn overview_parts(given: &[(&'static str, &str)]) -> Result<Vec<PageSection>> {
    let mut reports = overview();
    reports.insert(2, find("model_comparison")?);
    if let Some((name, _)) = given.iter().find(|(n, _)| !reports.iter().any(|r| r.has(n))) {
        return Err(Error::usage(format!(
            "the report {OVERVIEW} has no {name}; it has metric, dimension, lookback, since, until"
        )));
    }
    let mut values = given.to_vec();
    if !values.iter().any(|(name, _)| *name == "metric") {
        values.push(("metric", OVERVIEW_METRIC));
    }
    let part = |report: Report| {
        let (title, charts) = match report.name {
            "participation" => ("Visit and visitor participation", vec![Chart::new(Kind::Bars, [1, 2])]),
            "trend" => ("By day, online and offline", vec![Chart::new(Kind::Lines, [1, 2])]),
            "flow" => ("From online to offline", vec![Chart::new(Kind::Flow, [2])]),
            "match_rates" => ("Match rates by file", vec![Chart::new(Kind::Bars, [11, 12]).up_to(100)]),
            _ => ("Attribution models", charts(report.name)),
        };
        let own: Vec<_> = values.iter().filter(|(name, _)| report.has(name)).copied().collect();
        PageSection::new(title, report, &own, charts)
    };
    reports.into_iter().map(part).collect()
}

/// What was asked for, in words; the defaults, too.
fn facts(parts: &[PageSection], name: &str, asked: &ReportChoices<'_>) -> Vec<(&'static str, String)> {
    let value = |parameter: &str| {
        let given = asked.values.iter().find(|(n, _)| *n == parameter).map(|(_, value)| value.to_string());
        let of_overview = (name == OVERVIEW && parameter == "metric").then(|| OVERVIEW_METRIC.to_string());
        let default = || parts.iter().find_map(|p| p.report.parameters.iter().find(|p| p.name == parameter));
        given.or(of_overview).or_else(|| Some(default()?.default.to_string()))
    };
    let mut facts = vec![];
    facts.extend(asked.suite.map(|suite| ("suite", suite.to_string())));
    for parameter in ["metric", "cost", "dimension", "model", "lookback"] {
        facts.extend(value(parameter).map(|value| (parameter, value)));
    }
    let bound = |name: &str| asked.values.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
    let period = match (bound("since"), bound("until")) {
        (None, None) => "all history".to_string(),
        (Some(since), None) => format!("from {since}"),
        (None, Some(until)) => format!("before {until}"),
        (Some(since), Some(until)) => format!("from {since}, before {until}"),
    };
    facts.push(("period", period));
    facts.extend(asked.as_of.map(|as_of| ("as of", as_of.to_string())));
    facts
}

/// `net_revenue` as `Net revenue`.
fn in_words(name: &str) -> String {
    let words = name.replace('_', " ");
    let first = words.chars().take(1).flat_map(char::to_uppercase);
    first.chain(words.chars().skip(1)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::report::reports;

    #[test]
    fn each_report_has_a_picture() {
        for report in reports() {
            let parts = report_parts(report.clone(), &[]).unwrap();
            assert!(parts.iter().any(|p| !p.charts.is_empty()), "{}", report.name);
        }
    }

    #[test]
    fn the_overview_takes_what_a_part_has() {
        let parts = overview_parts(&[("dimension", "page_name")]).unwrap();
        assert_eq!(parts.len(), 5);
        assert!(parts[0].sql.contains("'page_name'") && parts[2].sql.contains("'revenue'"));
        let error = overview_parts(&[("cost", "event20")]).err().unwrap().to_string();
        assert!(error.contains("no cost; it has metric"), "{error}");
    }
}
