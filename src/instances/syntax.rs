//! The one way through the parts of a statement.
//!
//! sqlparser makes its way through a statement, thousands of functions, anew for each type of visitor. Here all visitors go the
//! same way, each behind a pointer.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, ExprWithAlias, FunctionArg, GroupByExpr, NamedWindowDefinition, ObjectName, Query, Select,
    SelectItem, Statement, TableFactor, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};

/// Shows a visitor all parts of a statement, or of a part of one, until it breaks off.
pub fn walk<V: Visitor>(part: &impl Part, visitor: &mut V) -> ControlFlow<V::Break> {
    let mut held = VisitorAndBreak { visitor, broken: None };
    let _ = part.show(&mut held);
    held.broken.map_or(ControlFlow::Continue(()), ControlFlow::Break)
}

/// Lets a visitor change all parts of a statement, or of a part of one, until it breaks off.
pub fn change<V: VisitorMut>(part: &mut impl PartMut, visitor: &mut V) -> ControlFlow<V::Break> {
    let mut held = VisitorAndBreak { visitor, broken: None };
    let _ = part.give(&mut held);
    held.broken.map_or(ControlFlow::Continue(()), ControlFlow::Break)
}

/// Shows the expressions of a part of a statement, the outer ones first, until `see` breaks off.
///
/// What stands within a query in that part, as in `a IN (SELECT b FROM t)`, is that query's and is not shown; the expression that
/// has the query in it is. Of a part that is a query itself nothing is shown.
pub fn walk_outside_queries<B>(part: &impl Part, see: &mut dyn FnMut(&Expr) -> ControlFlow<B>) -> ControlFlow<B> {
    walk(part, &mut OutsideQueries { see, queries: 0 })
}

/// Changes the expressions of a part of a statement, the inner ones first.
///
/// As in [`walk_outside_queries`], what stands within a query in that part stays as it is.
pub fn change_outside_queries(part: &mut impl PartMut, alter: &mut dyn FnMut(&mut Expr)) {
    // it never breaks off
    let _ = change(part, &mut OutsideQueriesMut { alter, queries: 0 });
}

/// A statement, or a part of one, that visitors see.
pub trait Part {
    /// Shows a visitor all that it is made of.
    fn show(&self, visitor: &mut dyn Visitor<Break = ()>) -> ControlFlow<()>;
}

/// A statement, or a part of one, that visitors change.
pub trait PartMut {
    /// Gives a visitor all that it is made of.
    fn give(&mut self, visitor: &mut dyn VisitorMut<Break = ()>) -> ControlFlow<()>;
}

macro_rules! seen {
    ($($part:ty),*) => {
        $(impl Part for $part {
            fn show(&self, visitor: &mut dyn Visitor<Break = ()>) -> ControlFlow<()> {
                Visit::visit(self, &mut AnyVisitor(visitor))
            }
        })*
    };
}

macro_rules! changed {
    ($($part:ty),*) => {
        $(impl PartMut for $part {
            fn give(&mut self, visitor: &mut dyn VisitorMut<Break = ()>) -> ControlFlow<()> {
                VisitMut::visit(self, &mut AnyVisitorMut(visitor))
            }
        })*
    };
}

seen!(Expr, ExprWithAlias, FunctionArg, Query, SelectItem, Statement);
changed!(Distinct, Expr, GroupByExpr, NamedWindowDefinition, Query, Select, SelectItem, Statement);

impl<P: Part> Part for Box<P> {
    fn show(&self, visitor: &mut dyn Visitor<Break = ()>) -> ControlFlow<()> {
        (**self).show(visitor)
    }
}

impl<P: PartMut> PartMut for Box<P> {
    fn give(&mut self, visitor: &mut dyn VisitorMut<Break = ()>) -> ControlFlow<()> {
        (**self).give(visitor)
    }
}

impl<P: PartMut> PartMut for Option<P> {
    fn give(&mut self, visitor: &mut dyn VisitorMut<Break = ()>) -> ControlFlow<()> {
        if let Some(part) = self {
            part.give(visitor)?;
        }
        ControlFlow::Continue(())
    }
}

impl<P: PartMut> PartMut for Vec<P> {
    fn give(&mut self, visitor: &mut dyn VisitorMut<Break = ()>) -> ControlFlow<()> {
        for part in self {
            part.give(visitor)?;
        }
        ControlFlow::Continue(())
    }
}

/// Sees the expressions that stand in no query.
struct OutsideQueries<'f, B> {
    see: &'f mut dyn FnMut(&Expr) -> ControlFlow<B>,
    /// In how many queries, one in another, the visitor is.
    queries: usize,
}

impl<B> Visitor for OutsideQueries<'_, B> {
    type Break = B;

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<B> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<B> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<B> {
        match self.queries {
            0 => (self.see)(expr),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Changes the expressions that stand in no query.
struct OutsideQueriesMut<'f> {
    alter: &'f mut dyn FnMut(&mut Expr),
    /// In how many queries, one in another, the visitor is.
    queries: usize,
}

impl VisitorMut for OutsideQueriesMut<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.queries == 0 {
            (self.alter)(expr);
        }
        ControlFlow::Continue(())
    }
}

/// A visitor of any type.
struct AnyVisitor<'v>(&'v mut (dyn Visitor<Break = ()> + 'v));

/// A visitor of any type that changes parts.
struct AnyVisitorMut<'v>(&'v mut (dyn VisitorMut<Break = ()> + 'v));

/// A visitor, and with what it broke off.
struct VisitorAndBreak<'v, V, B> {
    visitor: &'v mut V,
    broken: Option<B>,
}

impl<V, B> VisitorAndBreak<'_, V, B> {
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

impl Visitor for AnyVisitor<'_> {
    type Break = ();

    parts!(passed_on);
}

impl VisitorMut for AnyVisitorMut<'_> {
    type Break = ();

    parts!(passed_on_mut);
}

impl<V: Visitor> Visitor for VisitorAndBreak<'_, V, V::Break> {
    type Break = ();

    parts!(held);
}

impl<V: VisitorMut> VisitorMut for VisitorAndBreak<'_, V, V::Break> {
    type Break = ();

    parts!(held_mut);
}
