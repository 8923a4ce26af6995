//! Reports as HTML files that stand alone: pictures by Apache ECharts, each with a table of the same numbers and its SQL.
//!
//! * `reports`: which parts a page has. `table`: a result as rows of cells. `chart`: what a picture takes of a table.
//! * `page`: the document around them. `assets`: style, script, and the ECharts build (`assets/build` makes it).
//!
//! What came from data is text wherever it goes: maud escapes it in HTML, [`chart`] in JSON, the script sets it as text. A
//! policy in each page forbids every other script, and any request.

mod chart;
mod page;
mod reports;
mod table;

pub(crate) use chart::{Chart, Kind};
pub(crate) use page::{ECHARTS, SCRIPT, STYLE, document};
pub use reports::{OVERVIEW, ReportChoices, page};
pub(crate) use table::{Cell, ColumnHead, Links, Table, number, texts};
