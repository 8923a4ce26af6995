//! `COPY (query) TO STDOUT` in text, CSV and binary, as PostgreSQL's manual has the formats.

use bytes::{BufMut, Bytes, BytesMut};
use datafusion::sql::sqlparser::ast::{
    CopyLegacyCsvOption, CopyLegacyOption, CopyOption, CopySource, CopyTarget, Statement as Sql,
};
use datafusion::sql::sqlparser::parser::Parser;

use crate::ErrorKind;
use crate::engine::depth;
use crate::engine::dialect::EngineDialect;
use crate::serve::failure::{Failure, Reason};

/// Rows that are written one after another before they are sent, bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// Bytes of texts that are looked at at once.
const PIECE_BYTES: usize = 256;

/// How rows are written.
#[derive(Debug, Clone, PartialEq)]
pub struct Copy {
    /// In binary.
    pub binary: bool,
    csv: bool,
    delimiter: u8,
    null: String,
    header: bool,
    quote: u8,
    escape: u8,
    quote_all: bool,
}

/// The query and the format of a COPY to the client; None where the text is something else.
pub fn read(sql: &str) -> Option<Result<(String, Copy), Failure>> {
    if !sql.trim_start().get(..4).is_some_and(|word| word.eq_ignore_ascii_case("copy")) {
        return None;
    }
    // a text with too long a chain is refused where statements are read
    depth::check(sql).ok()?;
    let mut statements = Parser::parse_sql(&EngineDialect::new(sql), sql).ok()?;
    let (1, Some(Sql::Copy { source, to: true, target: CopyTarget::Stdout, options, legacy_options, .. })) =
        (statements.len(), statements.pop())
    else {
        return None;
    };
    let query = match source {
        CopySource::Query(query) => query.to_string(),
        CopySource::Table { table_name, columns } if columns.is_empty() => format!("SELECT * FROM {table_name}"),
        CopySource::Table { table_name, columns } => {
            let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
            format!("SELECT {} FROM {table_name}", columns.join(", "))
        }
    };
    Some(Copy::of(&options, &legacy_options).map(|copy| (query, copy)))
}

impl Copy {
    fn of(options: &[CopyOption], legacy: &[CopyLegacyOption]) -> Result<Self, Failure> {
        let format = options.iter().find_map(|option| match option {
            CopyOption::Format(name) => Some(name.value.to_lowercase()),
            _ => None,
        });
        let format = format.or_else(|| {
            legacy.iter().find_map(|option| match option {
                CopyLegacyOption::Binary => Some("binary".to_string()),
                CopyLegacyOption::Csv(_) => Some("csv".to_string()),
                _ => None,
            })
        });
        let (binary, csv) = match format.as_deref() {
            None | Some("text") => (false, false),
            Some("csv") => (false, true),
            Some("binary") => (true, false),
            Some(other) => {
                return Err(wrong(format!("COPY format {other:?} is not known; there are text, csv and binary")));
            }
        };
        let mut copy = Self {
            binary,
            csv,
            delimiter: if csv { b',' } else { b'\t' },
            null: if csv { String::new() } else { "\\N".into() },
            header: false,
            quote: b'"',
            escape: b'"',
            quote_all: false,
        };
        let byte = |sign: char| {
            u8::try_from(sign).ok().filter(u8::is_ascii).ok_or_else(|| wrong("COPY: a sign must be of one byte"))
        };
        let mut escape = None;
        for option in options {
            match option {
                CopyOption::Format(_) | CopyOption::Freeze(_) => {}
                CopyOption::Delimiter(sign) => copy.delimiter = byte(*sign)?,
                CopyOption::Null(text) => copy.null = text.clone(),
                CopyOption::Header(header) => copy.header = *header,
                CopyOption::Quote(sign) => copy.quote = byte(*sign)?,
                CopyOption::Escape(sign) => escape = Some(byte(*sign)?),
                CopyOption::ForceQuote(columns) if columns.is_empty() => copy.quote_all = true,
                CopyOption::Encoding(name) if name.to_lowercase().replace('-', "") == "utf8" => {}
                other => return Err(wrong(format!("COPY: {other} is not offered"))),
            }
        }
        for option in legacy {
            match option {
                CopyLegacyOption::Binary => {}
                CopyLegacyOption::Delimiter(sign) => copy.delimiter = byte(*sign)?,
                CopyLegacyOption::Null(text) => copy.null = text.clone(),
                CopyLegacyOption::Header => copy.header = true,
                CopyLegacyOption::Csv(options) => {
                    for option in options {
                        match option {
                            CopyLegacyCsvOption::Header => copy.header = true,
                            CopyLegacyCsvOption::Quote(sign) => copy.quote = byte(*sign)?,
                            CopyLegacyCsvOption::Escape(sign) => escape = Some(byte(*sign)?),
                            other => return Err(wrong(format!("COPY: {other} is not offered"))),
                        }
                    }
                }
                other => return Err(wrong(format!("COPY: {other} is not offered"))),
            }
        }
        copy.escape = escape.unwrap_or(copy.quote);
        Ok(copy)
    }

    /// What comes before the first row: columns' names, or the mark of the binary format.
    pub fn before<'a>(&self, names: impl Iterator<Item = &'a str>) -> BytesMut {
        let mut out = BytesMut::with_capacity(BUFFER_BYTES);
        if self.binary {
            out.put_slice(b"PGCOPY\n\xff\r\n\0");
            // no flags, nothing in addition
            out.put_u64(0);
        } else if self.header {
            self.line(names.map(|name| Some(name.as_bytes())), &mut out);
        }
        out
    }

    /// What stands between two fields.
    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// What stands for NULL.
    pub fn null(&self) -> &[u8] {
        self.null.as_bytes()
    }

    /// True where no sign of numbers, times and truth means anything else.
    pub fn takes_numbers(&self) -> bool {
        let foreign = |sign: u8| !sign.is_ascii_alphanumeric() && !b"+-.: ".contains(&sign);
        foreign(self.delimiter) && (!self.csv || foreign(self.quote))
    }

    /// True where some of these bytes, of one field or of many, mean something else.
    pub fn has_special(&self, bytes: &[u8]) -> bool {
        let (delimiter, quote) = (self.delimiter, self.quote);
        match self.csv {
            true => any(bytes, |byte| (byte == b'\n') | (byte == b'\r') | (byte == delimiter) | (byte == quote)),
            false => any(bytes, |byte| (byte == b'\\') | (byte.wrapping_sub(8) <= 13 - 8) | (byte == delimiter)),
        }
    }

    /// True for a field that would be read as something else, whatever its bytes are alone.
    pub fn reads_as_else(&self, field: &[u8]) -> bool {
        self.csv && (self.quote_all || field == self.null() || field == b"\\.")
    }

    /// A field that is not written as it is.
    pub fn field(&self, field: &[u8], out: &mut BytesMut) {
        match self.csv {
            true => self.csv_field(field, out),
            false => self.text_field(field, out),
        }
    }

    /// What comes after the last row.
    pub fn after(&self) -> Bytes {
        Bytes::from_static(if self.binary { &[0xff, 0xff] } else { &[] })
    }

    fn line<'a>(&self, fields: impl Iterator<Item = Option<&'a [u8]>>, out: &mut BytesMut) {
        for (i, field) in fields.enumerate() {
            if i > 0 {
                out.put_u8(self.delimiter);
            }
            match field {
                None => out.put_slice(self.null()),
                Some(field) if self.has_special(field) || self.reads_as_else(field) => self.field(field, out),
                Some(field) => out.put_slice(field),
            }
        }
        out.put_u8(b'\n');
    }

    fn csv_field(&self, field: &[u8], out: &mut BytesMut) {
        out.put_u8(self.quote);
        for &byte in field {
            if byte == self.quote || byte == self.escape {
                out.put_u8(self.escape);
            }
            out.put_u8(byte);
        }
        out.put_u8(self.quote);
    }

    fn text_field(&self, field: &[u8], out: &mut BytesMut) {
        let letter = |byte: u8| match byte {
            b'\\' => Some(b'\\'),
            8 => Some(b'b'),
            9 => Some(b't'),
            10 => Some(b'n'),
            11 => Some(b'v'),
            12 => Some(b'f'),
            13 => Some(b'r'),
            byte => (byte == self.delimiter).then_some(byte),
        };
        let mut rest = field;
        while let Some((at, letter)) = rest.iter().enumerate().find_map(|(at, &byte)| Some((at, letter(byte)?))) {
            out.put_slice(&rest[..at]);
            out.put_slice(&[b'\\', letter]);
            rest = &rest[at + 1..];
        }
        out.put_slice(rest);
    }
}

/// Looks at many bytes at once, not at each whether it is the one: mostly none is.
fn any(bytes: &[u8], special: impl Fn(u8) -> bool) -> bool {
    bytes.chunks(PIECE_BYTES).any(|piece| piece.iter().fold(false, |found, &byte| found | special(byte)))
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure::new(Reason::Engine(ErrorKind::Usage), message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn written(sql: &str, fields: &[Option<&str>]) -> String {
        let (_, copy) = read(sql).unwrap().unwrap();
        let mut out = copy.before(["a", "b,c"].into_iter());
        copy.line(fields.iter().map(|field| field.map(str::as_bytes)), &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    /// Expected lines are those of PostgreSQL 15.
    #[test]
    fn as_postgres_copies() {
        let fields = [Some("x\ty\\"), None, Some(""), Some("say \"a,b\"")];
        for (sql, expected) in [
            ("COPY (SELECT 1) TO STDOUT", "x\\ty\\\\\t\\N\t\tsay \"a,b\"\n"),
            ("COPY (SELECT 1) TO STDOUT (FORMAT csv)", "x\ty\\,,\"\",\"say \"\"a,b\"\"\"\n"),
            ("COPY (SELECT 1) TO STDOUT WITH CSV HEADER", "a,\"b,c\"\nx\ty\\,,\"\",\"say \"\"a,b\"\"\"\n"),
            ("COPY t (a, b) TO STDOUT (FORMAT csv, DELIMITER ';', NULL 'null')", "x\ty\\;null;;\"say \"\"a,b\"\"\"\n"),
        ] {
            assert_eq!(written(sql, &fields), expected, "{sql}");
        }
        assert_eq!(read("COPY t (a, b) TO STDOUT").unwrap().unwrap().0, "SELECT a, b FROM t");
        assert!(read("COPY t FROM STDIN").is_none() && read("SELECT 1").is_none());
        assert!(read("COPY t TO STDOUT (FORMAT parquet)").unwrap().is_err());
        // no stack holds what would be read of it
        assert!(read(&format!("COPY (SELECT a{}) TO STDOUT", " = a".repeat(200_000))).is_none());
    }

    #[test]
    fn special_signs_are_found_wherever_they_are() {
        for (sql, special) in [
            ("COPY t TO STDOUT (DELIMITER '|')", &b"\\\x08\t\n\x0b\x0c\r|"[..]),
            ("COPY t TO STDOUT (FORMAT csv, QUOTE '#')", b",\n\r#"),
        ] {
            let (_, copy) = read(sql).unwrap().unwrap();
            for byte in 0..=u8::MAX {
                for at in [0, PIECE_BYTES - 1, PIECE_BYTES, 3 * PIECE_BYTES + 7] {
                    let mut bytes = [b'a'; 4 * PIECE_BYTES - 1];
                    bytes[at] = byte;
                    assert_eq!(copy.has_special(&bytes), special.contains(&byte), "{sql}: {byte}");
                }
            }
            assert!(!copy.has_special(&[]));
        }
    }
}
