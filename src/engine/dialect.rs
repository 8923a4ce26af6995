//! The SQL that is spoken here: PostgreSQL's, but for the names of arguments, and for `* EXCLUDE (a)` and `* REPLACE (b AS a)`, as
//! which `shared_columns` writes the columns of joins.
//!
//! PostgreSQL's parser tries every argument of a call as the expression of a name first, so that each level of nested
//! calls doubles the work. A name is an identifier here (`since => '2026-09-01'`), which is seen at once. It wants `FROM` in a FETCH, which
//! PostgreSQL does not.
//!
//! The parser reads a word with a meaning of its own (CASE, POSITION, a table in parentheses) once more as something else where
//! the first reading fails, which doubles the work with each level, too. So it has so many steps as the text is long, and more.

use std::any::TypeId;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::sql::sqlparser::ast::{Expr, FetchDirection, FetchPosition, Statement};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// See above. It is for one text.
#[derive(Debug)]
pub struct EngineDialect {
    /// True for the expressions of a mapping: `x -> x + 1` is a lambda (elsewhere the arrow is left to JSON), and `user` a
    /// column.
    in_mapping: bool,
    /// Expressions and tables that may still be begun.
    steps: AtomicUsize,
}

/// Steps of the shortest text; what people and programs write takes less than one a byte.
const LEAST_STEPS: usize = 100_000;
const STEPS_OF_A_BYTE: usize = 4;

impl EngineDialect {
    /// For a text of SQL.
    pub fn new(sql: &str) -> Self {
        Self { in_mapping: false, steps: AtomicUsize::new(LEAST_STEPS + STEPS_OF_A_BYTE * sql.len()) }
    }

    /// For an expression of a mapping.
    pub fn of_mapping(expression: &str) -> Self {
        Self { in_mapping: true, ..Self::new(expression) }
    }

    /// False where there were too many.
    fn step(&self) -> bool {
        let taken = self.steps.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.is_ok()
    }
}

const POSTGRES: PostgreSqlDialect = PostgreSqlDialect {};

macro_rules! as_in_postgres {
    ($($name:ident)*) => {
        $(fn $name(&self) -> bool { POSTGRES.$name() })*
    };
}

/// What comes behind FETCH: `c`, `ALL c`, `FORWARD 2 FROM c`.
fn fetch(parser: &mut Parser) -> Result<Statement, ParserError> {
    use Keyword::{ABSOLUTE, ALL, BACKWARD, FIRST, FORWARD, FROM, IN, LAST, NEXT, PRIOR, RELATIVE};
    let number = |parser: &mut Parser| {
        let is_number = matches!(parser.peek_token().token, Token::Number(..));
        is_number.then(|| parser.parse_number_value()).transpose()
    };
    let ways = [NEXT, PRIOR, FIRST, LAST, ABSOLUTE, RELATIVE, FORWARD, BACKWARD, ALL];
    let direction = match parser.parse_one_of_keywords(&ways) {
        Some(NEXT) => FetchDirection::Next,
        Some(PRIOR) => FetchDirection::Prior,
        Some(FIRST) => FetchDirection::First,
        Some(LAST) => FetchDirection::Last,
        Some(ABSOLUTE) => FetchDirection::Absolute { limit: parser.parse_number_value()? },
        Some(RELATIVE) => FetchDirection::Relative { limit: parser.parse_number_value()? },
        Some(FORWARD) if parser.parse_keyword(ALL) => FetchDirection::ForwardAll,
        Some(FORWARD) => FetchDirection::Forward { limit: number(parser)? },
        Some(BACKWARD) if parser.parse_keyword(ALL) => FetchDirection::BackwardAll,
        Some(BACKWARD) => FetchDirection::Backward { limit: number(parser)? },
        Some(_) => FetchDirection::All,
        None => number(parser)?.map_or(FetchDirection::Next, |limit| FetchDirection::Count { limit }),
    };
    let position = match parser.parse_one_of_keywords(&[FROM, IN]) {
        Some(IN) => FetchPosition::In,
        _ => FetchPosition::From,
    };
    Ok(Statement::Fetch { name: parser.parse_identifier()?, direction, position, into: None })
}

impl Dialect for EngineDialect {
    fn parse_statement(&self, parser: &mut Parser) -> Option<Result<Statement, ParserError>> {
        parser.parse_keyword(Keyword::FETCH).then(|| fetch(parser))
    }

    fn parse_prefix(&self, _: &mut Parser) -> Option<Result<Expr, ParserError>> {
        (!self.step()).then_some(Err(ParserError::RecursionLimitExceeded))
    }

    // asked by each SELECT; without it the next expression is missed
    fn supports_empty_projections(&self) -> bool {
        self.step()
    }

    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        false
    }

    fn supports_select_wildcard_exclude(&self) -> bool {
        true
    }

    fn supports_select_wildcard_replace(&self) -> bool {
        true
    }

    fn supports_lambda_functions(&self) -> bool {
        self.in_mapping
    }

    fn dialect(&self) -> TypeId {
        // by this the parser knows whose special words to look for
        if self.in_mapping { TypeId::of::<Self>() } else { POSTGRES.dialect() }
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        POSTGRES.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, c: char) -> bool {
        POSTGRES.is_delimited_identifier_start(c)
    }

    fn is_identifier_start(&self, c: char) -> bool {
        POSTGRES.is_identifier_start(c)
    }

    fn is_identifier_part(&self, c: char) -> bool {
        POSTGRES.is_identifier_part(c)
    }

    fn is_custom_operator_part(&self, c: char) -> bool {
        POSTGRES.is_custom_operator_part(c)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        POSTGRES.is_reserved_for_identifier(keyword)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        POSTGRES.get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        POSTGRES.prec_value(precedence)
    }

    as_in_postgres! {
        supports_unicode_string_literal
        supports_filter_during_aggregation
        supports_group_by_expr
        allow_extract_custom
        allow_extract_single_quotes
        supports_create_index_with_clause
        supports_explain_with_utility_options
        supports_listen_notify
        supports_factorial_operator
        supports_bitwise_shift_operators
        supports_comment_on
        supports_load_extension
        supports_named_fn_args_with_colon_operator
        supports_nested_comments
        supports_string_escape_constant
        supports_numeric_literal_underscores
        supports_array_typedef_with_brackets
        supports_geometric_types
        supports_set_names
        supports_alter_column_type_using
        supports_notnull_operator
        supports_interval_options
        supports_insert_table_alias
        supports_create_table_like_parenthesized
        supports_select_wildcard_with_alias
        supports_comma_separated_trim
        supports_xml_expressions
        supports_comment_optimizer_hint
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn parsed(sql: &str) -> String {
        Parser::parse_sql(&EngineDialect::new(sql), sql).unwrap()[0].to_string()
    }

    /// Where each level doubled the work, this many would take days.
    const LEVELS: usize = 40;

    #[test]
    fn nested_calls_take_no_time() {
        let (sender, done) = mpsc::channel();
        let parse = move || {
            for (call, end) in [
                ("abs(", ")"),
                ("replace('a', 'b', ", ")"),
                ("coalesce(x, ", ")"),
                ("abs(-(", "))"),
                ("CAST(abs(", ") AS DOUBLE)"),
            ] {
                let sql = format!("SELECT {}x{}", call.repeat(LEVELS), end.repeat(LEVELS));
                let dialect = EngineDialect::new(&sql);
                let parser = Parser::new(&dialect).with_recursion_limit(10 * LEVELS);
                sender.send(parser.try_with_sql(&sql).unwrap().parse_statements().unwrap().len()).unwrap();
            }
        };
        thread::Builder::new().stack_size(64 << 20).spawn(parse).unwrap();
        for _ in 0..5 {
            assert_eq!(done.recv_timeout(Duration::from_secs(120)), Ok(1));
        }
    }

    /// What is read in two ways on each level, and fails in the end.
    #[test]
    fn what_is_wrong_is_told_soon() {
        let (sender, done) = mpsc::channel();
        let parse = move || {
            for (level, end) in [
                ("CASE (a, ", ""),
                ("CAST(a, ", ""),
                ("position(a, ", ""),
                ("position(a, ", "x"),
                ("substring(position(a, ", "x"),
                ("a IN ((SELECT ", ""),
                ("EXISTS (a, ", ""),
                ("INTERVAL (a, ", ""),
                ("extract(a, ", ""),
                ("(SELECT 1 FROM ((SELECT ", ""),
                ("1 FROM ((SELECT ", ""),
                ("FROM ((SELECT ", ""),
                ("NOT (CASE (a), ", ")"),
            ] {
                let sql = format!("SELECT {}{end}", level.repeat(LEVELS));
                let dialect = EngineDialect::new(&sql);
                let parser = Parser::new(&dialect).with_recursion_limit(10 * LEVELS);
                let failed = parser.try_with_sql(&sql).unwrap().parse_statements().is_err();
                sender.send((level, failed)).unwrap();
            }
        };
        let parsing = thread::Builder::new().stack_size(64 << 20).spawn(parse).unwrap();
        for _ in 0..13 {
            let (level, failed) = done.recv_timeout(Duration::from_secs(120)).unwrap();
            assert!(failed, "{level}");
        }
        parsing.join().unwrap();
    }

    #[test]
    fn columns_left_out_and_replaced() {
        let sql =
            "SELECT a.* REPLACE (coalesce(a.x, b.x) AS x), b.* EXCLUDE (x), c.* FROM a FULL JOIN b ON a.x = b.x, c";
        assert_eq!(parsed(sql), sql);
    }

    #[test]
    fn lambdas_where_they_are_wanted() {
        let sql = "SELECT array_transform(a, x -> x + 1), array_filter(a, (x) -> x['n'] > 1), user['id']::INT FROM t";
        let parsed = Parser::parse_sql(&EngineDialect::of_mapping(sql), sql).unwrap();
        assert!(format!("{parsed:?}").matches("Lambda").count() >= 2, "{parsed:?}");
        assert!(format!("{parsed:?}").contains("Identifier(Ident { value: \"user\""), "{parsed:?}");
    }

    #[test]
    fn cursors_with_and_without_from() {
        for (sql, expected) in [
            ("FETCH c", "FETCH NEXT FROM c"),
            ("FETCH ALL c", "FETCH ALL FROM c"),
            ("FETCH 2 IN c", "FETCH 2 IN c"),
            ("FETCH FORWARD c", "FETCH FORWARD FROM c"),
            ("FETCH FORWARD 2 c", "FETCH FORWARD 2 FROM c"),
            ("FETCH FORWARD ALL FROM c", "FETCH FORWARD ALL FROM c"),
            ("FETCH ABSOLUTE 3 c", "FETCH ABSOLUTE 3 FROM c"),
            ("FETCH BACKWARD ALL c", "FETCH BACKWARD ALL FROM c"),
        ] {
            assert_eq!(parsed(sql), expected);
        }
        assert_eq!(
            Parser::parse_sql(&EngineDialect::new("FETCH 2 c; CLOSE c"), "FETCH 2 c; CLOSE c").unwrap().len(),
            2
        );
    }

    #[test]
    fn everything_else_is_as_in_postgres() {
        for sql in [
            "SELECT * FROM participation('orders', 'page_name', since => '2026-09-01', until => '2026-10-01')",
            "SELECT 'a' || E'\\n', 1_000, x::INT, a ->> 'b', f(a := 1), EXTRACT(dow FROM t), a NOTNULL, 5 # 3, 2 << 1",
            "SELECT ARRAY[1, 2], count(*) FILTER (WHERE a > 1), \"Quoted\" FROM t /* a /* b */ */ WHERE x ~ 'a' GROUP BY ()",
        ] {
            let theirs = Parser::parse_sql(&POSTGRES, sql).map(|s| s[0].to_string());
            assert_eq!(Parser::parse_sql(&EngineDialect::new(sql), sql).map(|s| s[0].to_string()), theirs, "{sql}");
        }
    }
}
