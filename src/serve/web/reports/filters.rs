//! Filters that are put together from lists: a column, a test, a value, and whose rows it is about. Out come conditions in SQL, together with what was written as SQL.

use super::question::Question;
use crate::quote::{literal, quoted};
use crate::{Error, Result};

/// Lines of the form.
pub(super) const LINES: [&str; 3] = ["1", "2", "3"];

/// What a filter leaves, by the argument that takes it.
pub(super) const WHOSE: [(&str, &str); 4] = [
    ("conversions", "Conversions where"),
    ("touches", "Touches where"),
    ("visits", "Visits with a row where"),
    ("visitors", "Visitors with a row where"),
];

/// Tests of a column, in words.
pub(super) const TESTS: [(&str, &str); 8] = [
    ("is", "is"),
    ("is_not", "is not"),
    ("contains", "contains"),
    ("begins", "begins with"),
    ("empty", "is empty"),
    ("given", "is not empty"),
    ("more", "is more than"),
    ("less", "is less than"),
];

/// The names of a line's parts: whose, column, test, value.
pub(super) fn parts(line: &str) -> [String; 4] {
    ["of", "column", "test", "value"].map(|part| format!("{part}{line}"))
}

/// What the argument `whose` says, if anything: all lines about it, and the SQL that was written.
pub(super) fn condition(question: &Question, whose: &str) -> Result<Option<String>> {
    let mut all = vec![];
    for line in LINES {
        let [of, column, test, value] = parts(line);
        let of = if question.has(&of) { question.get(&of) } else { WHOSE[0].0 };
        if of == whose {
            all.extend(of_line(question.get(&column), question.get(&test), question.exact(&value))?);
        }
    }
    if question.has(whose) {
        all.push(question.get(whose).to_string());
    }
    Ok(match all.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(several.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" AND ")),
    })
}

/// The condition of a line; None of one that is not filled in.
fn of_line(column: &str, test: &str, value: &str) -> Result<Option<String>> {
    let name = quoted(column);
    let condition = match test {
        _ if column.is_empty() => return Ok(None),
        "empty" => format!("{name} IS NULL"),
        "given" => format!("{name} IS NOT NULL"),
        _ if value.is_empty() => return Ok(None),
        "" | "is" => format!("{name} = {}", literal(value)),
        "is_not" => format!("{name} IS DISTINCT FROM {}", literal(value)),
        "contains" => format!("strpos(lower({name}), lower({})) > 0", literal(value)),
        "begins" => format!("starts_with({name}, {})", literal(value)),
        "more" => format!("{name} > {}", number(column, value)?),
        "less" => format!("{name} < {}", number(column, value)?),
        _ => {
            let tests: Vec<&str> = TESTS.iter().map(|(test, _)| *test).collect();
            return Err(Error::usage(format!("a filter tests by one of {}", tests.join(", "))));
        }
    };
    Ok(Some(condition))
}

fn number(column: &str, value: &str) -> Result<f64> {
    let number = value.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| Error::usage(format!("filter of {column}: it is compared with a number, such as 10 or 2.5")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn asked(question: &str, whose: &str) -> Option<String> {
        condition(&Question::parse(question), whose).unwrap()
    }

    #[test]
    fn what_is_chosen_stays_a_value() {
        let conversions = "column1=geo_country&test1=is&value1=D'E&of2=conversions&column2=a\"b&test2=more&value2=-2.5";
        assert_eq!(asked(conversions, "conversions").unwrap(), "(\"geo_country\" = 'D''E') AND (\"a\"\"b\" > -2.5)");
        assert_eq!(asked(conversions, "touches"), None);
        let mixed = "of3=visitors&column3=evar1&test3=contains&value3=%25&visitors=orders+>+0";
        let both = "(strpos(lower(\"evar1\"), lower('%')) > 0) AND (orders > 0)";
        assert_eq!(asked(mixed, "visitors").unwrap(), both);
        assert_eq!(asked("touches=x+%3D+'y'", "touches").unwrap(), "x = 'y'");
        // a line that is not filled in yet
        assert_eq!(asked("column1=evar1&test1=is&value1=", "conversions"), None);
        assert_eq!(asked("column1=evar1&test1=empty", "conversions").unwrap(), "\"evar1\" IS NULL");
    }

    #[test]
    fn what_is_no_test_or_number_is_said() {
        let wrong = |question: &str| condition(&Question::parse(question), "conversions").unwrap_err().to_string();
        assert!(wrong("column1=revenue&test1=more&value1=1;DROP").contains("number"));
        assert!(wrong("column1=revenue&test1=like&value1=x").contains("contains"));
    }
}
