//! A suite's page: its settings, its sources, and the form for a new source.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, Redirect};
use axum::{Extension, Form};
use maud::{Markup, html};
use serde::Deserialize;

use super::Web;
use super::layout::{Page, Problem, choice, field, suite_link};
use super::logged_in::LoggedIn;
use super::manage;
use super::mappings;
use super::suite_sources::{self, NewSourceForm, new_source};
use crate::Result;
use crate::lake::records::Suite;
use crate::lake::suites::{CURRENT_EXPIRY_MONTHS, SuiteChanges, create_suite, names, placeholders, set_suite, suite};
use crate::serve::users::Role;

#[derive(Deserialize)]
pub(super) struct NewSuite {
    suite: String,
    time_zone: String,
    currency: String,
}

/// The settings as the form has them.
#[derive(Deserialize)]
pub(super) struct Settings {
    rules: String,
    #[serde(default)]
    expiry_days: Option<i64>,
    expiry_basis: String,
    time_zone: String,
    currency: String,
    visit_timeout_minutes: i64,
    visit_hours: i64,
    visit_hits: i64,
    placeholders: String,
    names: String,
}

#[derive(Deserialize)]
pub(super) struct Switch {
    to: String,
}

/// Asks before transaction ID recording is switched off, and says what that does.
pub(super) async fn ask_switch(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Path(name): Path<String>,
) -> Result<Html<String>, Problem> {
    let suite = suite(&web.server.lake, &name).await.map_err(Problem::not_found)?;
    let address = suite_link(&suite.suite);
    let body = html! {
        section aria-labelledby="off" {
            h2 id="off" { "Switch off transaction ID recording of " (suite.suite) "?" }
            p { "From the next rebuild on, for old rows as for new ones:" }
            ul {
                li { "No snapshots are taken of online hits with a transaction ID." }
                li { "Transaction records are kept, but tied to no visitor: they count like summary rows, and no touch gets credit for them. Their status is " code { "disabled" } "." }
                li { "Records of customer and summary sources stay as they are." }
            }
            p { "Nothing is lost: switched on again, the next rebuild brings all of it back." }
            @if logged_in.guest.role == Role::Manager {
                div.actions {
                    form method="post" action={ (address) "/transaction-id" } {
                        button name="to" value="off" { "Switch recording off" }
                    }
                    a href=(address) { "Leave it on" }
                }
            }
        }
    };
    Ok(Page::new("Transaction ID recording", "/").show(Some(&logged_in), body))
}

/// Creates a suite.
pub(super) async fn create(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Form(new): Form<NewSuite>,
) -> Result<Redirect, Problem> {
    let given = |text: &str| Some(text.trim().to_string()).filter(|text| !text.is_empty());
    let changes =
        SuiteChanges { time_zone: given(&new.time_zone), currency: given(&new.currency), ..SuiteChanges::default() };
    let created = create_suite(&web.server.lake, new.suite.trim(), &changes).await?;
    logged_in.notice(format!("Suite {} is created.", created.suite));
    Ok(Redirect::to(&suite_link(&created.suite)))
}

/// The page of a suite.
pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Path(name): Path<String>,
) -> Result<Html<String>, Problem> {
    page(&web, &logged_in, &name, &NewSourceForm::default(), "").await
}

/// The page of a suite, with what was typed for a new source and what is wrong with it.
pub(super) async fn page(
    web: &Web,
    logged_in: &LoggedIn,
    name: &str,
    typed: &NewSourceForm,
    error: &str,
) -> Result<Html<String>, Problem> {
    let suite = suite(&web.server.lake, name).await.map_err(Problem::not_found)?;
    let manager = logged_in.guest.role == Role::Manager;
    let body = html! {
        div.actions { (manage::switch(&suite, manager)) }
        (suite_sources::of_suite(web, name).await?)
        @if manager {
            (new_source(name, typed, error))
            (mappings::of_suite(web, name).await?)
        }
        section aria-labelledby="settings" {
            h2 id="settings" { "Settings" }
            @if manager {
                p { "They hold for all rows, old and new, from the next rebuild on." }
                (settings(&suite)?)
            } @else { (settings_read(&suite)?) }
        }
    };
    Ok(Page::new(&format!("Suite {name}"), "/").show(Some(logged_in), body))
}

/// Changes settings of a suite.
pub(super) async fn set(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Path(name): Path<String>,
    Form(typed): Form<Settings>,
) -> Result<Redirect, Problem> {
    let former = suite(&web.server.lake, &name).await?;
    set_suite(&web.server.lake, &name, &typed.changes(&former)?).await?;
    logged_in.notice("The settings are stored; rows follow at the next rebuild.");
    Ok(Redirect::to(&suite_link(&name)))
}

/// Switches transaction ID recording on or off.
pub(super) async fn switch(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Path(name): Path<String>,
    Form(Switch { to }): Form<Switch>,
) -> Result<Redirect, Problem> {
    let on = match to.as_str() {
        "on" => true,
        "off" => false,
        _ => return Err(Problem::new(StatusCode::BAD_REQUEST, "transaction ID recording is switched to on or off")),
    };
    let changes = SuiteChanges { transaction_id: Some(on), ..SuiteChanges::default() };
    let word = if set_suite(&web.server.lake, &name, &changes).await?.transaction_id { "on" } else { "off" };
    logged_in.notice(format!("Transaction ID recording of {name} is {word}; rows follow at the next rebuild."));
    Ok(Redirect::to("/"))
}

impl Settings {
    fn changes(&self, former: &Suite) -> Result<SuiteChanges> {
        let mut changed = vec![];
        let lines = self.names.lines().map(str::trim).filter(|line| !line.is_empty());
        for line in lines {
            let Some((column, name)) = line.split_once('=') else {
                return Err(crate::Error::usage(format!(
                    "friendly name {line:?}: expected COLUMN=NAME, such as evar5=Plan"
                )));
            };
            changed.push((column.trim().to_lowercase(), name.trim().to_string()));
        }
        // names are taken away first, so that another column can have them
        let mut all: Vec<(String, String)> = names(former)?
            .into_iter()
            .filter(|former| !changed.contains(former))
            .map(|(column, _)| (column, String::new()))
            .collect();
        all.extend(changed);
        Ok(SuiteChanges {
            // the other edition fixes it
            expiry_days: self.expiry_days.filter(|_| self.rules == "classic"),
            expiry_basis: Some(self.expiry_basis.clone()),
            rules: Some(self.rules.clone()),
            time_zone: Some(self.time_zone.trim().to_string()),
            currency: Some(self.currency.trim().to_string()),
            visit_timeout_minutes: Some(self.visit_timeout_minutes),
            visit_hours: Some(self.visit_hours),
            visit_hits: Some(self.visit_hits),
            placeholders: Some(self.placeholders.split([',', '\n']).map(str::to_string).collect()),
            names: all,
            // what the page does not show stays as it is
            ..SuiteChanges::default()
        })
    }
}

/// Rules in words.
const RULES: [(&str, &str); 2] = [("classic", "classic"), ("current", "current (expiry 25 months)")];
/// What an expiry counts to, in words.
const BASES: [(&str, &str); 2] = [("event", "the record's own time"), ("received", "when the file was received")];

fn settings(suite: &Suite) -> Result<Markup> {
    let names: Vec<String> = names(suite)?.iter().map(|(column, name)| format!("{column}={name}")).collect();
    Ok(html! {
        form.grid method="post" action=(suite_link(&suite.suite)) {
            (choice("rules", "Rules", &suite.rules, &RULES))
            (number("expiry_days", "Transaction ID expires after days", suite.expiry_days, 730))
            (choice("expiry_basis", "Expiry is counted to", &suite.expiry_basis, &BASES))
            (field("time_zone", "Time zone", &suite.time_zone, ""))
            (field("currency", "Base currency", &suite.currency, ""))
            (number("visit_timeout_minutes", "Visit: minutes without a hit", suite.visit_timeout_minutes, 1440))
            (number("visit_hours", "Visit: at most hours", suite.visit_hours, 8760))
            (number("visit_hits", "Visit: at most hits", suite.visit_hits, 1_000_000))
            (area("placeholders", "Customer IDs of nobody", &placeholders(suite)?.join("\n"), "one a line, besides 0 and null"))
            (area("names", "Friendly names", &names.join("\n"), "one a line: evar5=Plan"))
            div.field { button { "Store settings" } }
        }
    })
}

fn settings_read(suite: &Suite) -> Result<Markup> {
    let expiry = match suite.rules.as_str() {
        "current" => format!("{CURRENT_EXPIRY_MONTHS} months"),
        _ => format!("{} days", suite.expiry_days),
    };
    let visits = format!(
        "end after {} minutes without a hit, {} hours, or {} hits",
        suite.visit_timeout_minutes, suite.visit_hours, suite.visit_hits
    );
    let names: Vec<String> = names(suite)?.iter().map(|(column, name)| format!("{column} {name}")).collect();
    let facts = [
        ("Rules", suite.rules.clone()),
        ("Expiry", expiry),
        ("Time zone", suite.time_zone.clone()),
        ("Currency", suite.currency.clone()),
        ("Visits", visits),
        ("Friendly names", names.join(", ")),
    ];
    Ok(html! {
        dl.facts { @for (name, value) in facts.iter().filter(|(_, v)| !v.is_empty()) { div { dt { (name) } dd { (value) } } } }
    })
}

fn number(name: &str, label: &str, value: i64, most: i64) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            input id=(name) name=(name) type="number" min="1" max=(most) value=(value) required;
        }
    }
}

fn area(name: &str, label: &str, value: &str, hint: &str) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            textarea id=(name) name=(name) rows="3" spellcheck="false" aria-describedby={ (name) "-hint" } { (value) }
            small id={ (name) "-hint" } { (hint) }
        }
    }
}
