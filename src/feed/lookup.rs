//! A lookup table of a data feed (`browser.tsv`, `country.tsv`, ...): id and name, escaped as hits are.
//! Some have more columns, of which the first two are taken.

use std::io::Read;
use std::sync::Arc;

use arrow::array::StringBuilder;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::records::{Block, unescape};
use super::text::Encoding;
use super::{Decoded, FeedError, RowIssue};
use crate::columns;

/// A larger lookup is refused; real ones have some megabytes.
pub const MAX_LOOKUP_BYTES: u64 = 128 << 20;
/// With more bad rows than that the file is no lookup.
const MAX_ISSUES: usize = 1000;

/// The columns of a lookup: `id`, `name`.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![columns::dimension("id"), columns::dimension("name")]))
}

/// Reads a lookup; a row without a second field or with a NUL byte is an issue.
///
/// # Errors
/// The stream cannot be read, is too large, or is no table of two columns.
pub fn read(input: impl Read, file: &str) -> Result<Decoded, FeedError> {
    let bytes = read_all(input, file)?;
    let encoding = Encoding::of_bytes(&bytes);
    let text = encoding.decode(&bytes).ok_or_else(|| FeedError::new(file, "is no text file"))?;
    let block = Block::new(text.into_owned().into_bytes(), 1);
    let (mut ids, mut names, mut issues) = (StringBuilder::new(), StringBuilder::new(), Vec::new());
    for (line, record) in block.records() {
        let text = std::str::from_utf8(record).expect("decoded as a whole and cut at newlines");
        let reason = match fields(text).as_slice() {
            _ if text.contains('\0') => "holds a NUL byte".to_owned(),
            [id, name] | [id, name, _] => {
                for (builder, value) in [(&mut ids, id), (&mut names, name)] {
                    builder.append_option(Some(unescape(value)).filter(|value| !value.is_empty()));
                }
                continue;
            }
            _ => "1 field, expected 2: id and name".to_owned(),
        };
        if issues.len() == MAX_ISSUES {
            let message = format!("{MAX_ISSUES} rows do not have two fields; is this a lookup table?");
            return Err(FeedError::new(file, message).on_line(line));
        }
        issues.push(RowIssue::new(line, "", reason, text));
    }
    let batch = RecordBatch::try_new(schema(), vec![Arc::new(ids.finish()), Arc::new(names.finish())]);
    Ok(Decoded { batch: batch.expect("two text columns of one length"), issues, warnings: Vec::new() })
}

/// All of a small file, such as `column_headers.tsv` or `event.tsv`.
///
/// # Errors
/// The stream cannot be read, or has more than [`MAX_LOOKUP_BYTES`].
pub fn read_all(input: impl Read, file: &str) -> Result<Vec<u8>, FeedError> {
    let mut bytes = Vec::new();
    let read = input.take(MAX_LOOKUP_BYTES + 1).read_to_end(&mut bytes);
    let read = read.map_err(|e| FeedError::unreadable(file, e))?;
    if read as u64 > MAX_LOOKUP_BYTES {
        let message = format!("has more than {} MiB; is this a lookup table?", MAX_LOOKUP_BYTES >> 20);
        return Err(FeedError::new(file, message));
    }
    Ok(bytes)
}

/// The fields of a record, still escaped, at most three of them.
fn fields(record: &str) -> Vec<&str> {
    let (mut fields, mut start, mut escaped) = (Vec::with_capacity(3), 0, false);
    for (at, byte) in record.bytes().enumerate() {
        if byte == b'\t' && !escaped && fields.len() < 2 {
            fields.push(&record[start..at]);
            start = at + 1;
        }
        escaped = byte == b'\\' && !escaped;
    }
    fields.push(&record[start..]);
    fields
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::AsArray;

    use super::*;

    fn rows(bytes: &[u8]) -> (Vec<(String, String)>, Vec<u64>) {
        let decoded = read(bytes, "browser.tsv").unwrap();
        let text = |column: usize| {
            let column = decoded.batch.column(column).as_string::<i32>();
            column.iter().map(|v| v.unwrap_or("NULL").to_owned()).collect::<Vec<_>>()
        };
        (text(0).into_iter().zip(text(1)).collect(), decoded.issues.iter().map(|i| i.line).collect())
    }

    #[test]
    fn reads() {
        let (rows, issues) = rows(b"0\tNone\r\n1\ta\\\tb\\\\\n2\t\\\nx\n\n3\t\n4\n5\ta\tb\n6\t\xE9\n7\t\0\n\t8\\");
        let own = |rows: &[(&str, &str)]| rows.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect::<Vec<_>>();
        assert_eq!(
            rows,
            own(&[
                ("0", "None"),
                ("1", "a\tb\\"),
                ("2", "\nx"),
                ("3", "NULL"),
                ("5", "a"),
                ("6", "é"),
                ("NULL", "8\\")
            ])
        );
        assert_eq!(issues, [7, 10]);
    }

    #[test]
    fn hostile() {
        assert_eq!(rows(b""), (vec![], vec![]));
        let error = read("x\n".repeat(2000).as_bytes(), "browser.tsv").unwrap_err().to_string();
        assert!(error.starts_with("browser.tsv line 1001: 1000 rows"), "{error}");
        let error = read(std::io::repeat(b'x'), "browser.tsv").unwrap_err().to_string();
        assert!(error.contains("more than 128 MiB"), "{error}");
    }
}
