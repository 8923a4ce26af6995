//! The names of metrics and dimensions in the arguments of table functions: texts in, columns of `events` out, or errors with
//! the nearest right name.

use std::sync::Arc;

use arrow::datatypes::{Field, Fields};

use super::view::LakeView;
use crate::columns::{self, is_dimension};
use crate::error::did_you_mean;
use crate::functions::Classes;
use crate::lake::bindings::Bindings;
use crate::{Error, Result};

/// What metrics and dimensions are called.
pub(super) struct ColumnNames<'v> {
    pub view: &'v LakeView,
    /// Columns of `events`.
    pub fields: &'v Fields,
    /// Dimensions whose values are bound to products: their values may be in product lines alone.
    pub bound: Bindings,
}

impl<'v> ColumnNames<'v> {
    /// Of a view whose events are loaded.
    pub fn of(view: &'v LakeView) -> Result<Self> {
        Ok(Self { view, fields: view.events()?.schema().fields(), bound: view.bindings()? })
    }

    /// The columns of `events` but those that are bound to products.
    pub fn columns(&self) -> Vec<Arc<Field>> {
        self.fields.iter().filter(|field| !self.bound.contains_key(field.name())).cloned().collect()
    }

    /// True for a column of `events`.
    pub fn exists(&self, name: &str) -> bool {
        self.fields.iter().any(|f| f.name() == name)
    }

    /// The column of a name; a friendly name stands for its column, whose touches and lists are known by its own name.
    pub fn find(&self, name: &str, what: &str, fits: fn(&Field) -> bool) -> Result<Arc<Field>> {
        let friendly = self.view.friendly_names().into_iter().find(|(_, n)| n == name);
        let column = friendly.map_or_else(|| name.to_string(), |(column, _)| column);
        match self.fields.iter().find(|f| f.name() == &column) {
            Some(field) if fits(field) => Ok(field.clone()),
            Some(_) => Err(Error::query(format!("{name} is no {what}"))),
            None if what == "dimension" && self.bound.contains_key(&column) => {
                Ok(Arc::new(columns::dimension(&column)))
            }
            None => {
                let known = self.fields.iter().filter(|f| fits(f)).map(|f| f.name().as_str());
                let hint = did_you_mean(name, known);
                Err(Error::query(format!("there is no {what} {name}{hint}")))
            }
        }
    }

    /// A dimension that is a column of `events`; `others` are names that may have been meant.
    pub fn column(&self, name: &str, others: &[&str]) -> Result<Arc<Field>> {
        let found = self.find(name, "dimension", is_dimension);
        let hint = || did_you_mean(name, others.iter().copied());
        match found {
            Ok(field) if self.fields.iter().any(|f| f.name() == field.name()) => Ok(field),
            Err(_) if !hint().is_empty() => Err(Error::query(format!("there is no dimension {name}{}", hint()))),
            Err(error) => Err(error),
            Ok(field) => Err(Error::query(format!("no row has the dimension {}", field.name()))),
        }
    }

    /// A dimension whose items a question is about, with what becomes of its values: as [`Self::dimension`] has it, and where the
    /// suite folds case in one spelling.
    pub fn items(&self, name: &str) -> Result<(Arc<Field>, Option<Classes>)> {
        let (dimension, classes) = self.dimension(name)?;
        if !self.view.folds_case() {
            return Ok((dimension, classes));
        }
        let spellings = self.view.spellings(name)?.clone();
        Ok((dimension, Some(classes.unwrap_or_default().spelled(spellings))))
    }

    /// The dimension of a name; of `table.column`, where no dimension has that very name, the one that the lookup table
    /// classifies, and the classes.
    pub fn dimension(&self, name: &str) -> Result<(Arc<Field>, Option<Classes>)> {
        let plain = self.find(name, "dimension", is_dimension);
        let Some((table, column)) = name.split_once('.').filter(|_| plain.is_err()) else { return Ok((plain?, None)) };
        let Some(lookup) = self.view.lookup(table)? else { return Ok((plain?, None)) };
        let classes = lookup.classes(column)?;
        let key = self.find(&lookup.key, "dimension", is_dimension);
        Ok((key.map_err(|e| e.at(format!("the first column of {table}")))?, Some(classes)))
    }
}
