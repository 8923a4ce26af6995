//! The one way through the parts of a statement.
//!
//! sqlparser makes its way through a statement, thousands of functions, anew for each type of visitor: they were nearly half of
//! the functions of our crate. Here all visitors go the same way, each behind a pointer.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, Select, Statement, TableFactor, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};

/// Shows a visitor all parts of a statement, or of a part of one, until it breaks off.
pub fn look<V: Visitor>(part: &impl Visit, visitor: &mut V) -> ControlFlow<V::Break> {
    let mut held = Held { visitor, broken: None };
    let _ = part.visit(&mut Any(&mut held));
    held.broken.map_or(ControlFlow::Continue(()), ControlFlow::Break)
}

/// Lets a visitor change all parts of a statement, or of a part of one, until it breaks off.
pub fn change<V: VisitorMut>(part: &mut impl VisitMut, visitor: &mut V) -> ControlFlow<V::Break> {
    let mut held = Held { visitor, broken: None };
    let _ = part.visit(&mut AnyMut(&mut held));
    held.broken.map_or(ControlFlow::Continue(()), ControlFlow::Break)
}

/// A visitor of any type.
struct Any<'v>(&'v mut (dyn Visitor<Break = ()> + 'v));

/// A visitor of any type that changes parts.
struct AnyMut<'v>(&'v mut (dyn VisitorMut<Break = ()> + 'v));

/// A visitor, and with what it broke off.
struct Held<'v, V, B> {
    visitor: &'v mut V,
    broken: Option<B>,
}

impl<V, B> Held<'_, V, B> {
    fn after(&mut self, step: ControlFlow<B>) -> ControlFlow<()> {
        match step {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(with) => {
                self.broken = Some(with);
                ControlFlow::Break(())
            }
        }
    }
}

/// All that a visitor is shown.
macro_rules! parts {
    ($shown:ident) => {
        $shown! {
            pre_visit_query Query, post_visit_query Query, pre_visit_select Select, post_visit_select Select,
            pre_visit_relation ObjectName, post_visit_relation ObjectName,
            pre_visit_table_factor TableFactor, post_visit_table_factor TableFactor,
            pre_visit_expr Expr, post_visit_expr Expr, pre_visit_statement Statement, post_visit_statement Statement,
            pre_visit_value ValueWithSpan, post_visit_value ValueWithSpan
        }
    };
}

macro_rules! passed_on {
    ($($name:ident $part:ty),*) => {
        $(fn $name(&mut self, part: &$part) -> ControlFlow<()> {
            self.0.$name(part)
        })*
    };
}

macro_rules! passed_on_mut {
    ($($name:ident $part:ty),*) => {
        $(fn $name(&mut self, part: &mut $part) -> ControlFlow<()> {
            self.0.$name(part)
        })*
    };
}

macro_rules! held {
    ($($name:ident $part:ty),*) => {
        $(fn $name(&mut self, part: &$part) -> ControlFlow<()> {
            let step = self.visitor.$name(part);
            self.after(step)
        })*
    };
}

macro_rules! held_mut {
    ($($name:ident $part:ty),*) => {
        $(fn $name(&mut self, part: &mut $part) -> ControlFlow<()> {
            let step = self.visitor.$name(part);
            self.after(step)
        })*
    };
}

impl Visitor for Any<'_> {
    type Break = ();

    parts!(passed_on);
}

impl VisitorMut for AnyMut<'_> {
    type Break = ();

    parts!(passed_on_mut);
}

impl<V: Visitor> Visitor for Held<'_, V, V::Break> {
    type Break = ();

    parts!(held);
}

impl<V: VisitorMut> VisitorMut for Held<'_, V, V::Break> {
    type Break = ();

    parts!(held_mut);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    /// Breaks off at a name.
    struct Finds(&'static str, usize);

    impl Visitor for Finds {
        type Break = String;

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
            self.1 += 1;
            match expr {
                Expr::Identifier(name) if name.value == self.0 => ControlFlow::Break(name.value.to_uppercase()),
                _ => ControlFlow::Continue(()),
            }
        }
    }

    struct Renames;

    impl VisitorMut for Renames {
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
        let (mut found, mut none) = (Finds("c", 0), Finds("z", 0));
        assert_eq!(look(&statement, &mut found), ControlFlow::Break("C".into()));
        assert_eq!((look(&statement, &mut none), found.1, none.1), (ControlFlow::Continue(()), 4, 7));
        assert!(change(&mut statement, &mut Renames).is_continue());
        assert_eq!(statement.to_string(), sql.replace("FROM t", "FROM t2").replace("FROM u", "FROM u2"));
    }
}
