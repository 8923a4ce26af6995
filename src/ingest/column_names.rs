//! What a file's columns are called, and the names by which a mapping asks for them.

use std::collections::HashMap;

use super::json_shape::Wanted;
use crate::feed::row_issue::clip;
use crate::{Error, Result};

/// So much of a name is shown.
const MAX_SHOWN_BYTES: usize = 60;

/// The columns' names, of which one that differs from a wanted name in case alone becomes that name: what one system exports
/// day by day may be headed `Order_ID` on one and `order_id` on another. A column that is called exactly so comes first.
///
/// # Errors
/// Where a wanted name is nobody's, and two columns differ from it in case alone.
pub fn as_wanted(mut names: Vec<String>, wanted: &Wanted) -> Result<Vec<String>> {
    let missing: Vec<&str> = wanted.names().filter(|name| !names.iter().any(|own| own == name)).collect();
    if missing.is_empty() {
        return Ok(names);
    }
    let mut without_case: HashMap<String, Vec<usize>> = HashMap::new();
    for (column, name) in names.iter().enumerate().filter(|(_, name)| !wanted.has_name(name)) {
        without_case.entry(name.to_lowercase()).or_default().push(column);
    }
    for name in missing {
        let Some(columns) = without_case.remove(&name.to_lowercase()) else { continue };
        if let [one, other, ..] = columns.as_slice() {
            let shown = |name| clip(name, MAX_SHOWN_BYTES);
            let (name, one, other) = (shown(name), shown(names[*one].as_str()), shown(names[*other].as_str()));
            return Err(Error::refused(format!(
                "the columns {one} and {other} differ from {name} in case alone; name the one that is meant as it is there"
            )));
        }
        columns.iter().for_each(|column| names[*column] = name.to_string());
    }
    Ok(names)
}

/// A name that two columns have.
pub fn doubled<'n>(names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_without_case() {
        let mut wanted = Wanted::default();
        wanted.add(["order_id"]);
        wanted.add(["Größe", "part"]);
        wanted.add_if_there("Sale Date");
        let of = |names: &[&str]| as_wanted(names.iter().map(|name| name.to_string()).collect(), &wanted);
        for (names, expected) in [
            (["Order_ID", "GRÖSSE", "SALE DATE"], ["order_id", "GRÖSSE", "Sale Date"]),
            (["ORDER_ID", "GRÖßE", "Sale date"], ["order_id", "Größe", "Sale Date"]),
            (["Order_ID", "order_id", "OrderID"], ["Order_ID", "order_id", "OrderID"]),
            (["order_id", "ORDER_ID", "Order_ID"], ["order_id", "ORDER_ID", "Order_ID"]),
        ] {
            assert_eq!(of(&names).unwrap(), expected);
        }
        let error = of(&["Order_ID", "x", "ORDER_ID"]).unwrap_err().to_string();
        assert!(error.contains("Order_ID and ORDER_ID differ from order_id"), "{error}");
        // what a mapping names by itself is not taken for something else
        wanted.add(["Order_ID"]);
        let names = as_wanted(vec!["Order_ID".into()], &wanted).unwrap();
        assert_eq!(names, ["Order_ID"]);
        assert_eq!((doubled(["a", "b", "a"]), doubled(["a", "A"])), (Some("a"), None));
    }
}
