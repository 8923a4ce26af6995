//! Tables in words: what a row of each is, and what SQL calls the types of their columns.

use arrow::datatypes::DataType;

use crate::lake::records;

/// What a row of the large tables is.
pub const LARGE_TABLES: [(&str, &str); 8] = [
    ("events", "an online hit or an integrated offline record: the main table"),
    ("events_brief", "the same with the main columns and those with a friendly name: what to open first in a BI tool"),
    ("hits", "a hit, as loaded"),
    ("offline", "an offline record, as loaded"),
    ("snapshots", "a transaction ID and what its first hit had set or persisted"),
    ("visits", "a visit"),
    ("visitors", "a visitor"),
    ("rejects", "a row that was rejected, with file, line, column and reason"),
];

/// What a row of a table is.
pub(super) fn row_of(table: &str) -> String {
    let large = LARGE_TABLES.iter().find(|(name, _)| *name == table).map(|(_, row)| row.to_string());
    let small = || {
        let documented = records::documentation().into_iter().find(|doc| doc.name == table)?;
        Some(first_sentence(documented.description))
    };
    large.or_else(small).unwrap_or_else(|| "a row of a lookup table, or of a table of your own".into())
}

/// It begins in small letters, as those of the large tables do.
fn first_sentence(text: &str) -> String {
    let text = text.trim();
    let end = text.find(". ").unwrap_or(text.len());
    let mut sentence = text[..end].trim_end_matches('.').to_string();
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    sentence
}

/// The name of a type in SQL.
pub(super) fn type_name(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 => "bigint",
        DataType::Float16 | DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::UInt64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => "numeric",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone",
        DataType::Duration(_) | DataType::Interval(_) => "interval",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "bytea",
        DataType::Struct(_) => "record",
        DataType::Dictionary(_, values) => return type_name(values),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            return format!("{}[]", type_name(item.data_type()));
        }
        other => return other.to_string(),
    };
    name.to_string()
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;
    use crate::lake::tables;

    #[test]
    fn every_table_says_what_it_is() {
        for name in tables::listed() {
            let row = row_of(name);
            assert!(!row.contains("your own") && !row.is_empty() && !row.contains(". "), "{name}: {row}");
            assert!(!row.starts_with(char::is_uppercase), "{name}: {row}");
        }
        assert!(row_of("plans").contains("your own"));
    }

    #[test]
    fn types_as_sql_calls_them() {
        let named = |data_type: DataType| type_name(&data_type);
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        assert_eq!((named(DataType::Utf8), named(dictionary)), ("text".into(), "text".into()));
        assert_eq!(named(DataType::Decimal128(20, 0)), "numeric");
        assert_eq!(named(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))), "timestamp with time zone");
        assert_eq!(named(DataType::Timestamp(TimeUnit::Second, None)), "timestamp");
        assert_eq!(named(DataType::new_list(DataType::Float64, true)), "double precision[]");
    }
}
