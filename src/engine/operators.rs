//! Operators and brackets that PostgreSQL reads in another way than the parser or DataFusion: `-2 ^ 2`, `a && b` and `a ^@ b`, places of a
//! list before its first and slices without an end, `substring(text FROM 'pattern')`, and the ends of words in patterns: `\y`, `\m`, `\M`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Subscript,
    UnaryOperator, Value, VisitorMut,
};
use rejoin_instances::syntax::{PartMut, change};

use super::written_calls::call;

/// Operators that look for a regular expression.
const REGEXPS: [BinaryOperator; 4] = [
    BinaryOperator::PGRegexMatch,
    BinaryOperator::PGRegexIMatch,
    BinaryOperator::PGRegexNotMatch,
    BinaryOperator::PGRegexNotIMatch,
];

/// Writes the operators of a statement, or of a part of one, as they are meant.
pub(super) fn rewrite(part: &mut impl PartMut) {
    // it never breaks off
    let _ = change(part, &mut OperatorRewriter);
}

struct OperatorRewriter;

impl VisitorMut for OperatorRewriter {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let settled = match expr {
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: power } => signed_base(power),
            Expr::BinaryOp { left, op: BinaryOperator::PGOverlap, right } => Some(holds("array_has_any", left, right)),
            Expr::BinaryOp { left, op: BinaryOperator::PGStartsWith, right } => Some(holds("starts_with", left, right)),
            Expr::BinaryOp { op, right, .. } if REGEXPS.contains(op) => {
                mark_words(right);
                None
            }
            Expr::Function(Function { name, args: FunctionArguments::List(list), .. })
                if name.to_string().to_lowercase().starts_with("regexp_") =>
            {
                if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(pattern))) = list.args.get_mut(1) {
                    mark_words(pattern);
                }
                None
            }
            Expr::CompoundFieldAccess { access_chain, .. } => {
                access_chain.iter_mut().for_each(from_the_first);
                None
            }
            Expr::Substring { expr: text, substring_from: Some(pattern), substring_for: None, .. }
                if is_text(pattern) =>
            {
                **text = first_match(text, pattern);
                **pattern = number("1");
                None
            }
            _ => None,
        };
        if let Some(settled) = settled {
            *expr = settled;
        }
        ControlFlow::Continue(())
    }
}

/// The power of a number with a sign, of which the parser makes a power with a sign; None for anything else.
fn signed_base(power: &Expr) -> Option<Expr> {
    let Expr::BinaryOp { left, op: BinaryOperator::PGExp, right } = power else { return None };
    let base = signed_base(left)
        .unwrap_or_else(|| Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(left.as_ref().clone()) });
    Some(Expr::BinaryOp { left: Box::new(base), op: BinaryOperator::PGExp, right: right.clone() })
}

/// What an operator asks, by a function; still an operator, as which the column is named.
fn holds(function: &str, left: &Expr, right: &Expr) -> Expr {
    let found = Box::new(call(function, vec![left.clone(), right.clone()]));
    let yes = Box::new(Expr::Value(Value::Boolean(true).with_empty_span()));
    Expr::BinaryOp { left: found, op: BinaryOperator::Eq, right: yes }
}

/// A list has nothing before its first item, where DataFusion counts from its end.
fn from_the_first(access: &mut AccessExpr) {
    match access {
        AccessExpr::Subscript(Subscript::Index { index }) if is_computed(index) => {
            *index = call("greatest", vec![index.clone(), number("0")]);
        }
        AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride: None }) => {
            match lower_bound {
                None => *lower_bound = Some(number("1")),
                Some(lower) if is_computed(lower) => *lower = call("greatest", vec![lower.clone(), number("1")]),
                Some(_) => {}
            }
            // the last item
            let last = || Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(number("1")) };
            upper_bound.get_or_insert_with(last);
        }
        _ => {}
    }
}

/// True for a place that may lie before the first.
fn is_computed(place: &Expr) -> bool {
    match place {
        Expr::Nested(inner) => is_computed(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, .. } => true,
        Expr::BinaryOp { op, .. } => matches!(op, BinaryOperator::Plus | BinaryOperator::Minus),
        _ => false,
    }
}

/// Begins and ends of words in a pattern as Rust's regular expressions write them.
fn mark_words(pattern: &mut Expr) {
    let Expr::Value(value) = pattern else { return };
    let (Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text)) = &mut value.value else { return };
    let mut marked = String::with_capacity(text.len());
    let mut signs = text.chars();
    while let Some(sign) = signs.next() {
        match (sign, if sign == '\\' { signs.next() } else { None }) {
            ('\\', Some('y')) => marked.push_str("\\b"),
            ('\\', Some('Y')) => marked.push_str("\\B"),
            ('\\', Some('m')) => marked.push_str("\\b{start}"),
            ('\\', Some('M')) => marked.push_str("\\b{end}"),
            (sign, next) => {
                marked.push(sign);
                marked.extend(next);
            }
        }
    }
    *text = marked;
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(
        value.value,
        Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_) | Value::DollarQuotedString(_)
    ))
}

/// What a pattern, or what stands in its first parentheses, matches first in a text.
fn first_match(text: &Expr, pattern: &Expr) -> Expr {
    let found = call("regexp_match", vec![text.clone(), pattern.clone()]);
    let first = AccessExpr::Subscript(Subscript::Index { index: number("1") });
    Expr::CompoundFieldAccess { root: Box::new(Expr::Nested(Box::new(found))), access_chain: vec![first] }
}

fn number(digits: &str) -> Expr {
    Expr::Value(Value::Number(digits.into(), false).with_empty_span())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::parser::Parser;

    use super::super::dialect::EngineDialect;
    use super::*;

    #[test]
    fn operators_as_they_are_meant() {
        for (sql, expected) in [
            ("-2 ^ 2", "-2 ^ 2"),
            ("-a ^ 2 ^ 3 * 4", "-a ^ 2 ^ 3 * 4"),
            ("-(a ^ 2)", "-(a ^ 2)"),
            ("a && b", "array_has_any(a, b) = true"),
            ("a ^@ 'b'", "starts_with(a, 'b') = true"),
            ("a[1]", "a[1]"),
            ("a[-1]", "a[greatest(-1, 0)]"),
            ("a[n - 1]", "a[greatest(n - 1, 0)]"),
            ("a[:2]", "a[1:2]"),
            ("a[2:]", "a[2:-1]"),
            ("a[-1:2]", "a[greatest(-1, 1):2]"),
            ("substring(a FROM '[0-9]+')", "SUBSTRING((regexp_match(a, '[0-9]+'))[1] FROM 1)"),
            ("substring(a FROM 2)", "SUBSTRING(a FROM 2)"),
            (r"a ~ '\yb\Y\\y'", r"a ~ '\bb\B\\y'"),
            (r"regexp_count(a, '\mb\M')", r"regexp_count(a, '\b{start}b\b{end}')"),
        ] {
            let mut parsed = parsed(&format!("SELECT {sql}"));
            for _ in 0..2 {
                rewrite(&mut parsed);
                assert_eq!(parsed.to_string(), format!("SELECT {expected}"));
            }
        }
    }

    #[test]
    fn a_sign_belongs_to_the_base() {
        for (sql, has_sign) in [("-2 ^ 2", false), ("-2 ^ 3 ^ 2", false), ("-(2 ^ 2)", true), ("-2 * 2", false)] {
            let mut parsed = parsed(&format!("SELECT {sql}"));
            rewrite(&mut parsed);
            let tree = format!("{parsed:?}");
            let of_all = tree.contains("UnnamedExpr(UnaryOp");
            assert_eq!(of_all, has_sign, "{tree}");
        }
    }

    fn parsed(sql: &str) -> datafusion::sql::sqlparser::ast::Statement {
        Parser::parse_sql(&EngineDialect::new(sql), sql).unwrap().remove(0)
    }
}
