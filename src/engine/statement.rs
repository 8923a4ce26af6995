//! One statement: parsed once, with what it names. It is handed on as this value, from the client to the plan.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;

use datafusion::common::ScalarValue;
use datafusion::sql::parser::{CopyToSource, DFParserBuilder, Statement as Parsed};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, Query, SetExpr, Statement as Sql,
    TableFactor, Value, ValueWithSpan, Visitor,
};
use rejoin_instances::syntax::{PartMut, walk};
use rejoin_instances::values::same_statements;

use super::depth;
use super::dialect::EngineDialect;
use super::expanded::Expanded;
use super::lookup::table_of;
use super::misplaced::Clauses;
use super::parameters;
use super::ungrouped::Ungrouped;
use super::{
    cast_names, column_names, counts, fetch_first, json_calls, list_rows, named_windows, operators, ordered_sets,
    output_names, row_values, shared_columns, written_precision, written_times, written_types,
};
use crate::sealed::Sealed;
use crate::{Error, Result};

/// Schemas whose tables list the tables of the session.
const LISTS: [&str; 2] = ["information_schema", "pg_catalog"];

/// A statement and what it names.
#[derive(Clone)]
pub struct Statement {
    parsed: Sealed<Parsed>,
    names: Names,
}

impl PartialEq for Statement {
    fn eq(&self, other: &Self) -> bool {
        same_statements(&self.parsed, &other.parsed)
    }
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Statement({self})")
    }
}

/// What a statement names, all in lower case where it is not quoted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    /// Tables, without those that it defines itself.
    pub tables: BTreeSet<String>,
    /// Functions that stand for a table: `participation(...)`.
    pub table_functions: BTreeSet<String>,
    /// Names that stand for a table without arguments, those that it defines itself among them.
    pub relations: BTreeSet<String>,
    /// Functions of values.
    pub functions: BTreeSet<String>,
    /// Those of them that are called without `OVER`.
    pub without_window: BTreeSet<String>,
    /// Names in double quotes that stand alone, where another would write a text.
    pub quoted: BTreeSet<String>,
    /// Texts in the arguments of table functions.
    pub arguments: BTreeSet<String>,
    /// Parameters are among the arguments of table functions.
    pub has_open_arguments: bool,
    /// Segments, named as a text in `in_segment('name')`.
    pub segments: BTreeSet<String>,
    /// It asks which tables there are.
    pub lists_tables: bool,
}

impl Names {
    /// Names of functions that are no tables in it; none where it lists tables, whatever they are named.
    pub fn only_called(&self) -> BTreeSet<String> {
        let called = self.table_functions.difference(&self.relations).filter(|_| !self.lists_tables);
        called.cloned().collect()
    }

    /// True where what it asks table functions for may be in one of these columns.
    pub fn may_ask_for<'c>(&self, mut columns: impl Iterator<Item = &'c str>) -> bool {
        let arguments: Vec<String> = self.arguments.iter().map(|text| text.to_lowercase()).collect();
        let is_named = |column: &str| arguments.iter().any(|text| text.contains(&column.to_lowercase()));
        self.has_open_arguments || !self.segments.is_empty() || columns.any(is_named)
    }

    /// Lookup tables, named as `'table.column'` in an argument of a table function.
    pub fn lookups(&self) -> BTreeSet<&str> {
        self.arguments.iter().filter_map(|text| table_of(text)).collect()
    }
}

impl Statement {
    /// The statements of a text.
    pub fn all(sql: &str) -> Result<Vec<Self>> {
        depth::check(sql)?;
        let dialect = EngineDialect::new(sql);
        let mut parser = DFParserBuilder::new(sql).with_dialect(&dialect).build()?;
        parser.parse_statements()?.into_iter().map(Self::new).collect()
    }

    /// The one statement of a text.
    pub fn one(sql: &str) -> Result<Self> {
        Self::only(Self::all(sql)?)
    }

    /// The one statement of a text that somebody asks, see [`Self::asked`].
    pub fn one_asked(sql: &str) -> Result<Self> {
        Self::only(Self::asked(sql)?)
    }

    fn only(mut all: Vec<Self>) -> Result<Self> {
        match (all.pop(), all.len()) {
            (Some(only), 0) => Ok(only),
            (None, _) => Err(Error::query("there is no statement")),
            (Some(_), others) => Err(Error::query(format!("{} statements where one is expected", others + 1))),
        }
    }

    /// The statements of a text that somebody asks: the columns of their results are called as [`column_names`] has it, and what
    /// counts has the type of `counts`.
    pub fn asked(sql: &str) -> Result<Vec<Self>> {
        let headed = |mut sql: Sql| {
            column_names::name_result_columns(&mut sql);
            counts::rewrite(&mut sql);
            sql
        };
        Self::all(sql)?.into_iter().map(|statement| statement.reworded(headed)).collect()
    }

    /// A statement that somebody else parsed.
    fn new(mut parsed: Parsed) -> Result<Self> {
        if let ControlFlow::Break(error) = visit(&parsed, &mut Clauses) {
            return Err(*error);
        }
        if let ControlFlow::Break(error) = visit(&parsed, &mut Expanded::default()) {
            return Err(*error);
        }
        resolve(&mut parsed)?;
        let mut names = Names::default();
        // it never breaks off
        let _ = visit(&parsed, &mut Named { names: &mut names, within: 0 });
        let (tables, _) = resolve_table_references(&parsed, true)?;
        for table in tables {
            names.lists_tables |= table.schema().is_some_and(|schema| LISTS.contains(&schema));
            names.tables.insert(table.table().to_string());
        }
        names.tables.retain(|name| !names.table_functions.contains(name));
        Ok(Self { parsed: Sealed::new(parsed), names })
    }

    /// The same with other words, where it is SQL's own (and no extension of the engine).
    pub fn reworded(self, reword: impl FnOnce(Sql) -> Sql) -> Result<Self> {
        Self::new(reworded(Parsed::clone(&self.parsed), reword))
    }

    /// The same with values for `$1`, `$2`, ... in place of the parameters among the arguments of table functions, whose plans
    /// need them; all others stay parameters.
    ///
    /// # Errors
    /// One of them has no value.
    pub fn with_values(self, values: &[ScalarValue]) -> Result<Self> {
        if !self.names.has_open_arguments {
            return Ok(self);
        }
        let mut put = Ok(());
        let statement = self.reworded(|mut sql| {
            put = parameters::with_values(&mut sql, values);
            sql
        })?;
        put.map(|()| statement)
    }

    /// What it names.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// `CREATE TABLE` and the like: the words of a statement that changes tables of the session, which end with it.
    pub fn changes_the_session(&self) -> Option<&'static str> {
        let Parsed::Statement(statement) = self.parsed() else {
            return matches!(self.parsed(), Parsed::CreateExternalTable(_)).then_some("CREATE EXTERNAL TABLE");
        };
        match statement.as_ref() {
            Sql::CreateTable(_) => Some("CREATE TABLE"),
            Sql::CreateView(_) => Some("CREATE VIEW"),
            Sql::CreateSchema { .. } => Some("CREATE SCHEMA"),
            Sql::CreateFunction(_) => Some("CREATE FUNCTION"),
            Sql::Drop { .. } => Some("DROP"),
            Sql::AlterTable(_) => Some("ALTER TABLE"),
            Sql::Insert(_) => Some("INSERT"),
            Sql::Update(_) => Some("UPDATE"),
            Sql::Delete(_) => Some("DELETE"),
            Sql::Merge(_) => Some("MERGE"),
            Sql::Truncate(_) => Some("TRUNCATE"),
            Sql::CreateIndex(_) => Some("CREATE INDEX"),
            Sql::Query(query) if is_into(query) => Some("SELECT INTO"),
            _ => None,
        }
    }

    /// A column that it shows of groups although it is in none of them, if there is one.
    pub(super) fn ungrouped(&self) -> Option<String> {
        match visit(self.parsed(), &mut Ungrouped) {
            ControlFlow::Break(column) => Some(column),
            ControlFlow::Continue(()) => None,
        }
    }

    /// True for `EXPLAIN`.
    pub fn explains(&self) -> bool {
        matches!(self.parsed(), Parsed::Explain(_))
    }

    /// True for `SET name = value`.
    pub fn sets(&self) -> bool {
        matches!(self.parsed(), Parsed::Statement(statement) if matches!(statement.as_ref(), Sql::Set(_)))
    }

    /// As the parser has it.
    pub fn parsed(&self) -> &Parsed {
        &self.parsed
    }
}

fn reworded(parsed: Parsed, reword: impl FnOnce(Sql) -> Sql) -> Parsed {
    match parsed {
        Parsed::Statement(sql) => Parsed::Statement(Box::new(reword(*sql))),
        Parsed::Explain(mut explain) => {
            let mut inner = *explain.statement;
            // what is explained is no other explanation
            if let Parsed::Statement(sql) = inner {
                inner = Parsed::Statement(Box::new(reword(*sql)));
            }
            explain.statement = Box::new(inner);
            Parsed::Explain(explain)
        }
        other => other,
    }
}

/// True for `SELECT ... INTO table`.
fn is_into(query: &Query) -> bool {
    matches!(query.body.as_ref(), SetExpr::Select(select) if select.into.is_some())
}

/// Rewrites what DataFusion does not read as PostgreSQL does, before a statement is planned. The order matters where one of these writes
/// what another reads.
fn resolve(parsed: &mut Parsed) -> Result<()> {
    fn resolve_part(part: &mut impl PartMut) -> Result<()> {
        fetch_first::rewrite(part)?;
        named_windows::resolve(part)?;
        row_values::rewrite(part)?;
        operators::rewrite(part);
        list_rows::rewrite(part);
        ordered_sets::rewrite(part);
        written_precision::rewrite(part);
        written_times::rewrite(part)?;
        json_calls::rewrite(part);
        shared_columns::resolve(part);
        output_names::resolve(part);
        written_types::rewrite(part)?;
        cast_names::rewrite(part);
        column_names::name_sorted_groups(part);
        Ok(())
    }
    match parsed {
        Parsed::Statement(sql) => resolve_part(sql),
        Parsed::CopyTo(copy) => {
            if let CopyToSource::Query(query) = &mut copy.source {
                resolve_part(query)?;
            }
            Ok(())
        }
        Parsed::Explain(explain) => resolve(&mut explain.statement),
        Parsed::CreateExternalTable(_) | Parsed::Reset(_) => Ok(()),
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parsed.fmt(f)
    }
}

fn visit<V: Visitor>(parsed: &Parsed, visitor: &mut V) -> ControlFlow<V::Break> {
    match parsed {
        Parsed::Statement(statement) => walk(statement, visitor),
        Parsed::CopyTo(copy) => match &copy.source {
            CopyToSource::Query(query) => walk(query, visitor),
            CopyToSource::Relation(_) => ControlFlow::Continue(()),
        },
        Parsed::Explain(explain) => visit(&explain.statement, visitor),
        Parsed::CreateExternalTable(_) | Parsed::Reset(_) => ControlFlow::Continue(()),
    }
}

/// Collects names on the way through a statement.
struct Named<'a> {
    names: &'a mut Names,
    /// Table functions within whose arguments the visitor is.
    within: usize,
}

impl Visitor for Named<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let Some(function) = table_function(factor) {
            self.names.table_functions.insert(last(function));
            self.within += 1;
        } else if let TableFactor::Table { name, .. } = factor {
            self.names.relations.insert(last(name));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.within -= usize::from(table_function(factor).is_some());
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => {
                let name = last(&function.name);
                if name == "in_segment" {
                    self.names.segments.extend(only_text(function));
                }
                if function.over.is_none() {
                    self.names.without_window.insert(name.clone());
                }
                self.names.functions.insert(name);
            }
            Expr::Identifier(name) if name.quote_style.is_some() => {
                self.names.quoted.insert(name.value.clone());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        if self.within > 0 {
            match &value.value {
                Value::SingleQuotedString(text) => drop(self.names.arguments.insert(text.clone())),
                Value::Placeholder(_) => self.names.has_open_arguments = true,
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

/// The text of a call that has no other argument.
fn only_text(function: &Function) -> Option<String> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))] = list.args.as_slice() else { return None };
    match &value.value {
        Value::SingleQuotedString(text) => Some(text.clone()),
        _ => None,
    }
}

fn table_function(factor: &TableFactor) -> Option<&ObjectName> {
    match factor {
        TableFactor::Table { name, args: Some(_), .. } => Some(name),
        _ => None,
    }
}

fn last(name: &ObjectName) -> String {
    let last = name.0.last().and_then(|part| part.as_ident());
    last.map_or_else(|| name.to_string(), |ident| ident.value.clone()).to_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::sql::sqlparser::ast::VisitorMut;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;
    use rejoin_instances::syntax::change;

    use super::*;

    fn names(sql: &str) -> Names {
        Statement::one(sql).unwrap().names
    }

    #[test]
    fn columns_that_may_be_asked_for() {
        let asked = names("SELECT * FROM participation('event1', 'page_name', conversions => 'Revenue > 100')");
        let may_ask_for = |columns: &[&'static str]| asked.may_ask_for(columns.iter().copied());
        assert!(may_ask_for(&["event1"]) && may_ask_for(&["x", "revenue"]) && !may_ask_for(&["x", "orders"]));
        let open = names("SELECT * FROM participation($1, 'page_name')");
        assert!(open.may_ask_for(["x"].into_iter()), "any of them");
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn what_a_statement_names() {
        let sql = "WITH a AS (SELECT lower(x) FROM events) SELECT * FROM a JOIN Daily USING (x) \
                   JOIN participation('orders', 'campaigns.channel', lookback => '1.5 days') p ON p.item = 'b.c'";
        let found = names(sql);
        assert_eq!(found.tables, set(&["daily", "events"]));
        assert_eq!(found.table_functions, set(&["participation"]));
        assert_eq!(found.functions, set(&["lower"]));
        assert_eq!(found.arguments, set(&["1.5 days", "campaigns.channel", "orders"]));
        assert_eq!(found.lookups(), BTreeSet::from(["campaigns"]));
        assert!(!found.lists_tables);
    }

    #[test]
    fn words_in_texts_name_nothing() {
        assert_eq!(names("SELECT 'participation', 'a.b', 'local_time'"), Names::default());
        assert_eq!(names("SELECT in_segment('a b') FROM events").segments, set(&["a b"]));
        assert_eq!(names("EXPLAIN SELECT local_time(t) FROM hits").functions, set(&["local_time"]));
        assert_eq!(names("COPY (SELECT * FROM hits) TO 'x.csv' STORED AS CSV").tables, set(&["hits"]));
    }

    #[test]
    fn lists_of_tables_are_known_by_their_schema() {
        for sql in ["SHOW TABLES", "SHOW COLUMNS FROM hits", "SELECT * FROM information_schema.tables"] {
            assert!(names(sql).lists_tables, "{sql}");
        }
    }

    #[test]
    fn values_are_put_where_a_plan_needs_them() {
        let sql = "SELECT $1 FROM participation($2, 'page''s', last_touches => $3) JOIN range($3, 9) ON a = $1";
        let text = |text: &str| ScalarValue::Utf8(Some(text.to_string()));
        let values = [text("x"), text("o'rders"), ScalarValue::Int64(Some(-3))];
        let statement = Statement::one(sql).unwrap();
        assert!(statement.names().has_open_arguments);
        assert_eq!(
            statement.clone().with_values(&values).unwrap().to_string(),
            "SELECT $1 FROM participation('o''rders', 'page''s', last_touches => -3) JOIN range(-3, 9) ON a = $1"
        );
        let wrong = statement.with_values(&values[..2]).unwrap_err().to_string();
        assert!(wrong.contains("$3 has no value"), "{wrong}");
        assert!(!Statement::one("SELECT $1 FROM range(1, 2)").unwrap().names().has_open_arguments);
    }

    #[test]
    fn one_is_one() {
        let message = |sql| Statement::one(sql).unwrap_err().to_string();
        assert_eq!(
            (message(""), message("SELECT 1; SELECT 2")),
            ("there is no statement".into(), "2 statements where one is expected".into())
        );
        assert_eq!(Statement::all("SELECT 1; SET a.b = 2;").unwrap().len(), 2);
    }

    /// Breaks off at a name.
    struct NameFinder(&'static str, usize);

    impl Visitor for NameFinder {
        type Break = String;

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
            self.1 += 1;
            match expr {
                Expr::Identifier(name) if name.value == self.0 => ControlFlow::Break(name.value.to_uppercase()),
                _ => ControlFlow::Continue(()),
            }
        }
    }

    struct NameRewriter;

    impl VisitorMut for NameRewriter {
        type Break = ();

        fn post_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
            *relation = ObjectName::from(vec![format!("{relation}2").as_str().into()]);
            ControlFlow::Continue(())
        }
    }

    #[test]
    fn visitors_see_change_and_break_off() {
        let sql = "SELECT a, b + c FROM t WHERE d IN (SELECT e FROM u)";
        let mut statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
        let (mut found, mut none) = (NameFinder("c", 0), NameFinder("z", 0));
        assert_eq!(walk(&statement, &mut found), ControlFlow::Break("C".into()));
        assert_eq!((walk(&statement, &mut none), found.1, none.1), (ControlFlow::Continue(()), 4, 7));
        assert!(change(&mut statement, &mut NameRewriter).is_continue());
        assert_eq!(statement.to_string(), sql.replace("FROM t", "FROM t2").replace("FROM u", "FROM u2"));
    }
}
