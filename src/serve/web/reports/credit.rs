//! What each item gets of a metric: by one model or several, broken down, over time, beside the period before.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};

use super::answer::{About, Shown, heads, nothing_to_ask, rows};
use super::arguments::{OF_CONVERSIONS, arguments, found_in, limit, order};
use super::context::ReportContext;
use super::form::{self, CREDIT, MODELS, SPANS};
use super::period::Period;
use super::question::Question;
use super::values::values;
use crate::Result;
use crate::pages::{Cell, Chart, Kind, Links, Table, number};
use crate::quote::{literal, quoted};
use crate::serve::failure::Failure;
use crate::serve::web::Web;
use crate::serve::web::layout::{Problem, choice};
use crate::serve::web::logged_in::LoggedIn;
use crate::serve::web::sql::csv;

/// Models whose shares hang on all journeys, so that no conversion shows its own.
const OF_ALL_JOURNEYS: &str = "algorithmic";

/// The statements of a question.
struct CreditStatements {
    /// Credit by item.
    sql: String,
    /// Credit of all items by span of time, where that is the breakdown.
    trend: Option<String>,
    /// Number and value of the conversions; then those of the period before, where it is compared.
    totals: Vec<String>,
    /// Columns before the first number.
    names: usize,
    /// Numbers that the picture shows.
    numbers: usize,
    period: Period,
    before: Option<Period>,
}

impl CreditStatements {
    fn new(question: &Question, period: Period) -> Result<Self> {
        let models = models(question);
        let by = question.get("by");
        let span = SPANS.iter().find(|(span, _)| *span == by);
        let is_compared = question.has("compare") && models.len() == 1 && span.is_none();
        let before = if is_compared { period.before() } else { None };
        let names = if by.is_empty() { 1 } else { 2 };
        let usual = if by.is_empty() { "2 DESC NULLS LAST, 1" } else { "1, 3 DESC NULLS LAST, 2" };
        let group = if by.is_empty() { String::new() } else { format!("{}, ", quoted(by)) };
        let (item, metric) = (quoted(question.get("dimension")), quoted(question.get("metric")));
        let now = call(question, &period, &models)?;
        let found = found_in("item", question);
        let (select, numbers) = match &before {
            None => {
                let credits: Vec<String> = match models.as_slice() {
                    [_] => vec![format!("credit AS {metric}")],
                    several => several.iter().map(|model| quoted(model)).collect(),
                };
                let select = format!("SELECT {group}item AS {item}, {}\nFROM {now}{found}", credits.join(", "));
                (select, credits.len())
            }
            Some(before) => {
                let then = call(question, before, &models)?;
                let earlier = quoted(&format!("{} before", question.get("metric")));
                let groups = format!("{group}item");
                let select = format!(
                    "SELECT {group}item AS {item}, sum(this) AS {metric}, sum(earlier) AS {earlier}, \
                     sum(this) - sum(earlier) AS \"change\", \
                     100 * (sum(this) - sum(earlier)) / nullif(abs(sum(earlier)), 0.0) AS \"change in %\"\n\
                     FROM (SELECT {groups}, credit AS this, 0.0 AS earlier FROM {now}\n\
                     UNION ALL SELECT {groups}, 0.0, credit FROM {then}){found}\nGROUP BY {groups}"
                );
                (select, 2)
            }
        };
        let columns = names + if before.is_some() { 4 } else { numbers };
        let sql = format!("{select}\nORDER BY {}\nLIMIT {}", order(question, columns, usual), limit(question));
        let trend = span.map(|(span, _)| {
            let sums: Vec<String> = match models.as_slice() {
                [_] => vec![format!("sum(credit) AS {metric}")],
                several => several.iter().map(|model| format!("sum({0}) AS {0}", quoted(model))).collect(),
            };
            format!("SELECT \"{span}\", {}\nFROM {now}\nGROUP BY 1\nORDER BY 1", sums.join(", "))
        });
        let mut totals = vec![];
        for period in [Some(&period), before.as_ref()].into_iter().flatten() {
            totals.push(total(question, period)?);
        }
        Ok(Self { sql, trend, totals, names, numbers, period, before })
    }
}

/// The models that are asked for, each once, the main one first.
fn models(question: &Question) -> Vec<&str> {
    let mut models = vec![question.get("model")];
    for model in question.all("beside") {
        if !models.contains(&model) {
            models.push(model);
        }
    }
    models
}

/// The table function with its arguments.
fn call(question: &Question, period: &Period, models: &[&str]) -> Result<String> {
    let (function, model) = match models {
        ["participation"] => ("participation", String::new()),
        [model] => ("attribution", format!(", model => {}", literal(model))),
        several => ("attribution", format!(", models => {}", literal(&several.join(",")))),
    };
    Ok(format!(
        "{function}({}, {}{}{model}{})",
        literal(question.get("metric")),
        literal(question.get("dimension")),
        arguments(question, period, &["container"])?,
        arguments(question, period, &[["lookback", "by"].as_slice(), &OF_CONVERSIONS].concat())?,
    ))
}

/// The conversions that are asked about, and what they are worth, whatever the model.
fn total(question: &Question, period: &Period) -> Result<String> {
    let given = arguments(question, period, &[["container", "lookback"].as_slice(), &OF_CONVERSIONS].concat())?;
    let (metric, dimension) = (literal(question.get("metric")), literal(question.get("dimension")));
    Ok(format!("SELECT count(*) AS conversions, sum(value) AS value\nFROM conversions({metric}, {dimension}{given})"))
}

fn title(question: &Question) -> String {
    let words = |model: &str| {
        let known = MODELS.iter().find(|(value, _)| *value == model);
        known.map_or(model.to_string(), |(_, words)| words.to_lowercase())
    };
    let models: Vec<String> = models(question).into_iter().map(words).collect();
    let plain = |name: &str| question.get(name).replace('_', " ");
    let by = if question.has("by") { format!(" and {}", plain("by")) } else { String::new() };
    let container = question.get("container");
    format!("{} by {}{by}: {}, {container}", plain("metric"), plain("dimension"), models.join(", "))
}

/// The form, and the answer where something is asked.
pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Query(mut question): Query<Question>,
) -> Result<Response, Problem> {
    let is_asked = question.has("metric") && !question.has("list");
    let Some(context) = ReportContext::of(&web, &logged_in, &mut question).await? else {
        return Ok(nothing_to_ask(&logged_in));
    };
    context.defaults(&mut question, "revenue");
    for (name, usual) in [("container", "visitor"), ("model", "participation"), ("lookback", "30 days")] {
        question.or(name, usual);
    }
    let mut found = None;
    if is_asked {
        let asked = context.period(&question).and_then(|period| CreditStatements::new(&question, period));
        if let ("csv", Ok(asked)) = (question.get("to"), &asked) {
            return Ok(csv(context.session, &asked.sql).await?);
        }
        found = Some(match asked {
            Ok(asked) => CreditTables::of(&context, &question, asked).await,
            Err(error) => Err(error.into()),
        });
    }
    let form = fields(&context, &question, &values(&context, &question).await);
    let (about, drawn) = match found {
        None => (None, None),
        Some(Err(failure)) => (Some(Err(failure)), None),
        Some(Ok((about, found))) => (Some(Ok(about)), Some(found)),
    };
    let shown =
        Shown { page: CREDIT, saved_as: Some("credit"), context, logged_in: &logged_in, question: &question, form };
    Ok(shown.respond(about, &|linked| html! { @if let Some(found) = &drawn { (found.html(&question, linked)) } }))
}

/// What was found.
struct CreditTables {
    table: Table,
    trend: Option<Table>,
    asked: CreditStatements,
}

impl CreditTables {
    async fn of(
        context: &ReportContext,
        question: &Question,
        asked: CreditStatements,
    ) -> Result<(About, Self), Failure> {
        let table = rows(&context.session, &asked.sql).await?;
        let trend = match &asked.trend {
            Some(trend) => Some(rows(&context.session, trend).await?),
            None => None,
        };
        let suite = &context.suite;
        let money = if question.get("metric") == "revenue" { format!(" {}", suite.currency) } else { String::new() };
        let mut facts = vec![
            ("suite", suite.suite.clone()),
            ("currency", suite.currency.clone()),
            ("period", format!("{} ({})", asked.period.words(), suite.time_zone)),
        ];
        facts.extend(asked.before.as_ref().map(|before| ("compared with", before.words())));
        for (total, which) in
            asked.totals.iter().zip([("conversions", "value"), ("conversions before", "value before")])
        {
            // credit can be had where conversions cannot be listed
            let Ok(total) = rows(&context.session, total).await else { continue };
            for (name, cell, unit) in [(which.0, 0, ""), (which.1, 1, money.as_str())] {
                let value = total.rows.first().and_then(|row| row[cell].value()).unwrap_or_default();
                facts.push((name, format!("{}{unit}", number(value))));
            }
        }
        let about = About { title: title(question), facts, sql: asked.sql.clone() };
        Ok((about, Self { table, trend, asked }))
    }

    fn html(&self, question: &Question, linked: bool) -> Markup {
        let (title, names) = (title(question), self.asked.names);
        let lines = Chart::new(Kind::Lines, 1..=self.asked.numbers);
        let by = question.get("by");
        let over_time = format!("All items by {by}");
        let is_shared = models(question)[0] != OF_ALL_JOURNEYS;
        let conversions = |row: &[Cell]| link_to_conversions(question, row, names);
        let links = match linked {
            true => Links {
                heads: heads(CREDIT, question, &self.table),
                cells: is_shared.then_some((names - 1, &conversions as &dyn Fn(&[Cell]) -> String)),
            },
            false => Links::default(),
        };
        html! {
            @if names == 1 { (Chart::new(Kind::Bars, 1..=self.asked.numbers).html("chart", &title, &self.table)) }
            @if let Some(trend) = &self.trend {
                h3 { (over_time) }
                (lines.html("trend", &over_time, trend))
                (trend.html(&over_time))
                h3 { "By item" }
            }
            @if question.has("compare") && self.asked.before.is_none() {
                p.note {
                    "Not compared: it takes a first and a last day, one model, and no breakdown by time."
                }
            }
            (self.table.linked(&title, &links))
            @if linked && is_shared && !self.table.rows.is_empty() {
                p.note { "An item leads to the conversions that it has a part of." }
            }
        }
    }
}

/// The conversions that an item of a row has a part of.
fn link_to_conversions(question: &Question, row: &[Cell], names: usize) -> String {
    let of_this_page = ["sort", "find", "compare", "beside", "limit", "item", "no_item", "group", "no_group"];
    let mut question = question.with(&of_this_page.map(|name| (name, "")));
    let mut set = |name: &str, cell: &Cell| match cell {
        Cell::Missing => question.set(&format!("no_{name}"), "true"),
        cell => question.set(name, &cell.label()),
    };
    set("item", &row[names - 1]);
    if names == 2 {
        set("group", &row[0]);
    }
    question.link("/reports/conversions")
}

fn fields(context: &ReportContext, question: &Question, values: &[(String, Vec<String>)]) -> Markup {
    let beside = question.all("beside");
    html! {
        form.question method="get" action=(CREDIT) {
            div.grid {
                (form::suite(context))
                (form::metric(context, question))
                (form::dimension(context, question))
                (choice("model", "Model", question.get("model"), &MODELS))
                (form::container(question))
                (form::lookback(question))
                (form::days(question))
                (form::breakdown(context, question))
                (form::segment(context, question))
                (form::rows(question, "Items named"))
                div.field { button { "Show report" } }
            }
            div.field.check {
                input id="compare" name="compare" type="checkbox" value="before" checked[question.has("compare")];
                label for="compare" { "compare with the period before" }
            }
            details.wide open[!beside.is_empty()] {
                summary { "More models beside it" }
                div.line {
                    @for (model, words) in MODELS {
                        div.field.check {
                            input id={ "beside-" (model) } name="beside" type="checkbox" value=(model) checked[beside.contains(&model)];
                            label for={ "beside-" (model) } { (words) }
                        }
                    }
                }
            }
            (form::filters(context, question, values))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use chrono::NaiveDate;

    fn asked(question: &str) -> CreditStatements {
        let mut question = Question::parse(question);
        for (name, usual) in [("container", "visitor"), ("model", "participation"), ("lookback", "30 days")] {
            question.or(name, usual);
        }
        let period = Period::of(&question, NaiveDate::default()).unwrap();
        CreditStatements::new(&question, period).unwrap()
    }

    #[test]
    fn what_is_typed_stays_a_value() {
        let hostile = "metric=o'r%22d&dimension=tracking_code&model=linear&until=' OR 1&limit=5; DROP&sort=2 DROP";
        let plain = asked(hostile);
        assert_eq!(
            plain.sql,
            "SELECT item AS \"tracking_code\", credit AS \"o'r\"\"d\"\nFROM attribution('o''r\"d', 'tracking_code', \
             container => 'visitor', model => 'linear', lookback => '30 days', until => ''' OR 1')\n\
             ORDER BY 2 DESC NULLS LAST, 1\nLIMIT 50"
        );
        assert!(plain.trend.is_none() && plain.before.is_none());
        let by_month = asked(&format!("{hostile}&by=month&segment=it's&touches=x = 'y'"));
        let call = "attribution('o''r\"d', 'tracking_code', container => 'visitor', model => 'linear', \
                    lookback => '30 days', by => 'month', until => ''' OR 1', segment => 'it''s', touches => 'x = ''y''')";
        assert!(
            by_month.sql.contains(call) && by_month.sql.starts_with("SELECT \"month\", item AS"),
            "{}",
            by_month.sql
        );
        assert!(by_month.trend.is_some_and(|sql| sql.contains(call) && sql.contains("sum(credit)")));
        assert!(by_month.totals[0].contains("FROM conversions('o''r\"d', 'tracking_code', container => 'visitor'"));
    }

    #[test]
    fn models_stand_side_by_side() {
        let asked = asked("metric=orders&dimension=evar1&beside=linear&beside=time_decay&beside=linear");
        let select = "SELECT item AS \"evar1\", \"participation\", \"linear\", \"time_decay\"\nFROM attribution('orders', \
                      'evar1', container => 'visitor', models => 'participation,linear,time_decay'";
        assert!(asked.sql.starts_with(select) && asked.numbers == 3, "{}", asked.sql);
    }

    #[test]
    fn a_period_is_compared_with_the_one_before() {
        let question = "metric=orders&dimension=evar1&since=2026-09-01&last=2026-09-30&compare=before&find=O'R";
        let compared = asked(question);
        for part in [
            "since => '2026-09-01', until => '2026-10-01'",
            "since => '2026-08-01', until => '2026-09-01'",
            "sum(this) AS \"orders\", sum(earlier) AS \"orders before\"",
            "WHERE strpos(lower(item), lower('O''R')) > 0\nGROUP BY item\nORDER BY 2 DESC",
        ] {
            assert!(compared.sql.contains(part), "{part}: {}", compared.sql);
        }
        assert_eq!(compared.totals.len(), 2);
        // months of two periods are not the same
        assert!(asked(&format!("{question}&by=month")).before.is_none());
        assert!(asked(&format!("{question}&by=evar2")).sql.contains("GROUP BY \"evar2\", item"));
    }

    #[test]
    fn an_item_leads_to_its_conversions() {
        let question = Question::parse("metric=orders&by=month&sort=2&item=x");
        let row = [Cell::Text("2026-09-01".into()), Cell::Missing, Cell::Number(1.0)];
        let link = link_to_conversions(&question, &row, 2);
        assert_eq!(link, "/reports/conversions?metric=orders&by=month&no_item=true&group=2026-09-01");
    }
}
