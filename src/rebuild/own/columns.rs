//! The columns of a query as a table of the lake holds them.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::lake::layout::ORDER;
use crate::{Error, Result};

/// The columns as the lake keeps them; one of a type that it has not, or two of one name, are an error.
pub fn stored_schema(schema: &Schema) -> Result<SchemaRef> {
    let mut fields: Vec<Field> = vec![];
    for field in schema.fields() {
        let name = field.name();
        if fields.iter().any(|f| f.name().eq_ignore_ascii_case(name)) {
            return Err(Error::query(format!("two columns are called {name}; give one of them another name with AS")));
        }
        let kept = stored_type(field.data_type()).ok_or_else(|| {
            Error::query(format!("column {name} is {}, which a table cannot hold; CAST it", field.data_type()))
        })?;
        let is_sorted_by = ORDER.contains(&name.as_str());
        fields.push(Field::new(name, kept, !is_sorted_by || field.is_nullable()));
    }
    Ok(Schema::new(fields).into())
}

fn stored_type(of: &DataType) -> Option<DataType> {
    use DataType as D;
    Some(match of {
        D::Utf8 | D::LargeUtf8 | D::Utf8View | D::Null => D::Utf8,
        D::Dictionary(_, value) => stored_type(value)?,
        D::Boolean | D::Int8 | D::Int16 | D::Int32 | D::Int64 | D::Float32 | D::Float64 | D::Date32 | D::Binary => {
            of.clone()
        }
        D::UInt8 => D::Int16,
        D::UInt16 => D::Int32,
        D::UInt32 | D::UInt64 => D::Int64,
        D::Decimal128(..) => of.clone(),
        D::LargeBinary | D::BinaryView => D::Binary,
        D::Date64 => D::Date32,
        D::Timestamp(_, None) => D::Timestamp(TimeUnit::Microsecond, None),
        D::Timestamp(_, Some(_)) => D::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        D::List(item) => D::List(Field::new_list_field(stored_type(item.data_type())?, true).into()),
        _ => return None,
    })
}
