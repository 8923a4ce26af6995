//! The parts that forms of the tab share: the links between its pages, choices of what is asked, of whom and of which days.

use maud::{Markup, html};

use super::arguments::{MOST_ROWS, limit};
use super::context::{Choices, ReportContext};
use super::filters::{LINES, TESTS, WHOSE, parts};
use super::period::NAMED;
use super::question::Question;
use crate::serve::web::layout::{choice, field, link};

/// The pages of the tab.
pub(super) const CREDIT: &str = "/reports";
pub(super) const FUNNEL: &str = "/reports/funnel";
pub(super) const FLOW: &str = "/reports/flow";
pub(super) const PATHS: &str = "/reports/paths";
pub(super) const SAVED: &str = "/reports/saved";
const PAGES: [(&str, &str); 5] =
    [(CREDIT, "Credit"), (FUNNEL, "Funnel"), (FLOW, "Flow"), (PATHS, "Paths"), (SAVED, "Saved reports")];

/// Models in words.
pub(super) const MODELS: [(&str, &str); 11] = [
    ("participation", "Participation"),
    ("first_touch", "First touch"),
    ("last_touch", "Last touch"),
    ("same_touch", "Same touch"),
    ("linear", "Linear"),
    ("u_shaped", "U shaped"),
    ("j_shaped", "J shaped"),
    ("inverse_j", "Inverse J"),
    ("time_decay", "Time decay (7 days)"),
    ("algorithmic", "Algorithmic"),
    ("markov", "Markov chain"),
];

/// Spans of time that an answer can be broken down by.
pub(super) const SPANS: [(&str, &str); 5] =
    [("day", "Day"), ("week", "Week"), ("month", "Month"), ("quarter", "Quarter"), ("year", "Year")];

const CONTAINERS: [(&str, &str); 3] = [("visitor", "Visitor"), ("visit", "Visit"), ("person", "Person")];

/// The links between the pages, which keep the suite.
pub(super) fn pages(current: &str, suite: &str) -> Markup {
    html! {
        nav.parts aria-label="Kinds of reports" { ul {
            @for (href, name) in PAGES {
                li { a href=(link(href, &[("suite", suite)])) aria-current=[(href == current).then_some("page")] { (name) } }
            }
        } }
    }
}

/// The suite, where there are several.
pub(super) fn suite(context: &ReportContext) -> Markup {
    let all: Vec<_> = context.suites.iter().map(|suite| (&suite.suite, &suite.suite)).collect();
    html! {
        @if all.len() > 1 { (choice("suite", "Suite", &context.suite.suite, &all)) }
        @else { input type="hidden" name="suite" value=(context.suite.suite); }
    }
}

pub(super) fn metric(context: &ReportContext, question: &Question) -> Markup {
    choice("metric", "Metric", question.get("metric"), &context.metrics)
}

pub(super) fn dimension(context: &ReportContext, question: &Question) -> Markup {
    choice("dimension", "Dimension", question.get("dimension"), &context.dimensions)
}

pub(super) fn container(question: &Question) -> Markup {
    choice("container", "Container", question.get("container"), &CONTAINERS)
}

pub(super) fn lookback(question: &Question) -> Markup {
    field("lookback", "Lookback", question.get("lookback"), "30 days, 12 hours; a visit ignores it")
}

/// The days, by name or by their first and last.
pub(super) fn days(question: &Question) -> Markup {
    html! {
        (choice("period", "Period", question.get("period"), &NAMED))
        (day("since", "First day", question.get("since")))
        (day("last", "Last day, inclusive", question.get("last")))
        @if question.has("until") { (day("until", "Before", question.get("until"))) }
    }
}

/// A breakdown by a span of time or a dimension.
pub(super) fn breakdown(context: &ReportContext, question: &Question) -> Markup {
    let nothing = (String::new(), "Nothing".to_string());
    let spans = SPANS.iter().map(|(span, words)| (span.to_string(), words.to_string()));
    let all: Choices = [nothing].into_iter().chain(spans).chain(context.dimensions.iter().cloned()).collect();
    choice("by", "Broken down by", question.get("by"), &all)
}

pub(super) fn segment(context: &ReportContext, question: &Question) -> Markup {
    let everybody = (String::new(), "Everybody".to_string());
    let all: Choices = [everybody].into_iter().chain(context.segments.iter().cloned()).collect();
    choice("segment", "Segment", question.get("segment"), &all)
}

/// A text that items are looked for by, and the number of rows.
pub(super) fn rows(question: &Question, looked_for: &str) -> Markup {
    html! {
        (field("find", looked_for, question.get("find"), "part of a name, in either case"))
        div.field {
            label for="limit" { "Rows" }
            input id="limit" name="limit" type="number" min="1" max=(MOST_ROWS) value=(limit(question));
        }
        @if question.has("sort") { input type="hidden" name="sort" value=(question.get("sort")); }
    }
}

/// Filters from lists, and as SQL. `values` are those of the columns that were listed, by line.
pub(super) fn filters(context: &ReportContext, question: &Question, values: &[(String, Vec<String>)]) -> Markup {
    let none = (String::new(), "no column".to_string());
    let columns: Choices =
        [none].into_iter().chain(context.dimensions.iter().cloned()).chain(context.metrics.iter().cloned()).collect();
    let is_used = LINES.iter().any(|line| question.has(&parts(line)[1]))
        || WHOSE.iter().any(|(whose, _)| question.has(whose))
        || question.has("last_resort");
    html! {
        details.wide open[is_used] {
            summary { "Filters" }
            @for line in LINES {
                @let [of, column, test, value] = parts(line);
                @let known = values.iter().find(|(of, _)| of == line).map(|(_, values)| values);
                fieldset.grid {
                    legend.unseen { "Filter " (line) }
                    (choice(&of, &format!("Filter {line}"), question.get(&of), &WHOSE))
                    (choice(&column, "Column", question.get(&column), &columns))
                    (choice(&test, "Test", question.get(&test), &TESTS))
                    div.field {
                        label for=(value) { "Value" }
                        input id=(value) name=(value) value=(question.exact(&value)) autocomplete="off" spellcheck="false"
                            list=[known.map(|_| format!("{value}-known"))];
                        @if let Some(known) = known {
                            datalist id={ (value) "-known" } { @for known in known { option value=(known) {} } }
                            small { (known.len()) " most frequent values are listed." }
                        }
                    }
                }
            }
            p { button.plain name="list" value="values" { "List values of these columns" } }
            div.grid {
                @for (whose, words) in WHOSE {
                    (field(whose, words, question.get(whose), "SQL over a row of events"))
                }
                (field("last_resort", "Last resort", question.get("last_resort"), "items that count only without others"))
            }
        }
    }
}

/// A day; an instant that a link asks for stays as it is.
fn day(name: &str, label: &str, value: &str) -> Markup {
    let kind = if value.is_empty() || value.len() == "2026-01-01".len() { "date" } else { "text" };
    html! {
        div.field {
            label for=(name) { (label) }
            input id=(name) name=(name) type=(kind) value=(value);
        }
    }
}
