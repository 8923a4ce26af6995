//! Names of data feed deliveries and of their files: whose they are, of which period, and what they hold.
//!
//! `rsid_2026-01-31.tar.gz` (or `.zip`) holds hits and lookups, `01-rsid_2026-01-31.tsv.gz` hits alone,
//! `rsid_2026-01-31-lookup_data.tar.gz` lookups, `rsid_2026-01-31.txt` is the manifest and `.fin` a mark without one. Texts and
//! tar archives may be packed by zstd, too, or not at all. Hourly deliveries have the period `20260131-230000`. Endings are lower
//! case.

use chrono::{NaiveDate, NaiveTime};

use super::packing::without_packing;

/// What a file of a delivery holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An archive with `hit_data.tsv` and perhaps lookups; numbered where there are several.
    Archive {
        /// From 1, where the delivery has several.
        part: Option<u32>,
    },
    /// A compressed `hit_data.tsv` alone.
    Hits {
        /// From 1, where the delivery has several.
        part: Option<u32>,
    },
    /// An archive with the column headers and the lookup tables.
    Lookups,
    /// The list of the delivery's files, sent last.
    Manifest,
    /// An empty file sent last, instead of a manifest.
    Finished,
}

/// A file name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryName {
    /// The report suite.
    pub rsid: String,
    /// The day or hour, as written.
    pub period: String,
    /// What the file holds.
    pub role: Role,
}

impl DeliveryName {
    /// Takes a file's name (no folders) apart; `None` where it is no file of a delivery. A data source's `.txt`
    /// may have such a name, too: see [`super::manifest::Manifest::is_manifest`].
    pub fn parse(file_name: &str) -> Option<Self> {
        let named = |stem, role| {
            let (rsid, period) = split_stem(stem)?;
            Some(Self { rsid: rsid.to_owned(), period: period.to_owned(), role })
        };
        if let Some(stem) = file_name.strip_suffix(".txt") {
            return named(stem, Role::Manifest);
        }
        if let Some(stem) = file_name.strip_suffix(".fin") {
            return named(stem, Role::Finished);
        }
        let plain = without_packing(file_name);
        if let Some(stem) = plain.strip_suffix(".tsv").or_else(|| file_name.strip_suffix(".tsv.zip")) {
            let (part, stem) = split_part(stem);
            return named(stem, Role::Hits { part });
        }
        let whole = || file_name.strip_suffix(".tgz").or_else(|| file_name.strip_suffix(".zip"));
        let stem = plain.strip_suffix(".tar").or_else(whole)?;
        if let Some(stem) = stem.strip_suffix("-lookup_data") {
            return named(stem, Role::Lookups);
        }
        let (part, stem) = split_part(stem);
        named(stem, Role::Archive { part })
    }

    /// The name that all files of the delivery share.
    pub fn delivery(&self) -> String {
        format!("{}_{}", self.rsid, self.period)
    }
}

/// `01-rsid_date`: a part has two digits at least, so that a suite may begin with one digit and a hyphen.
fn split_part(stem: &str) -> (Option<u32>, &str) {
    let Some((digits, rest)) = stem.split_once('-') else { return (None, stem) };
    let number = digits.len() >= 2 && digits.len() <= 6 && digits.bytes().all(|b| b.is_ascii_digit());
    match number.then(|| digits.parse().ok()).flatten() {
        Some(part) if split_stem(rest).is_some() => (Some(part), rest),
        _ => (None, stem),
    }
}

/// `rsid_period`.
fn split_stem(stem: &str) -> Option<(&str, &str)> {
    let (rsid, period) = stem.rsplit_once('_')?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let valid = !rsid.is_empty() && !rsid.starts_with('.') && rsid.bytes().all(plain) && is_period(period);
    valid.then_some((rsid, period))
}

/// `2026-01-31`, `20260131-230000` or `2026-01-31-230000`, a day and time that exist.
fn is_period(text: &str) -> bool {
    let digits_and_hyphens = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let day = |text: &str, format: &str| NaiveDate::parse_from_str(text, format).is_ok();
    let time = |text: &str| NaiveTime::parse_from_str(text, "%H%M%S").is_ok();
    digits_and_hyphens
        && match (text.len(), text.split_at_checked(10), text.split_once('-')) {
            (10, ..) => day(text, "%Y-%m-%d"),
            (15, _, Some((date, clock))) => date.len() == 8 && day(date, "%Y%m%d") && time(clock),
            (17, Some((date, clock)), _) => day(date, "%Y-%m-%d") && clock.strip_prefix('-').is_some_and(time),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names() {
        for (name, rsid, period, role) in [
            ("acme_2026-01-31.tar.gz", "acme", "2026-01-31", Role::Archive { part: None }),
            ("acme_2026-01-31.zip", "acme", "2026-01-31", Role::Archive { part: None }),
            ("02-acme_2026-01-31.zip", "acme", "2026-01-31", Role::Archive { part: Some(2) }),
            ("01-my.shop-1_eu_2026-01-31.tsv.gz", "my.shop-1_eu", "2026-01-31", Role::Hits { part: Some(1) }),
            ("01-acme_2026-01-31.tsv.zst", "acme", "2026-01-31", Role::Hits { part: Some(1) }),
            ("acme_2026-01-31-lookup_data.tar.zst", "acme", "2026-01-31", Role::Lookups),
            ("acme_2026-01-31.tgz", "acme", "2026-01-31", Role::Archive { part: None }),
            ("acme_20260131-230000.tsv.gz", "acme", "20260131-230000", Role::Hits { part: None }),
            ("12-acme_2026-01-31-230000.tsv.zip", "acme", "2026-01-31-230000", Role::Hits { part: Some(12) }),
            ("acme_2026-01-31-lookup_data.tar.gz", "acme", "2026-01-31", Role::Lookups),
            ("acme_20260131-000000-lookup_data.zip", "acme", "20260131-000000", Role::Lookups),
            ("acme_2026-01-31.txt", "acme", "2026-01-31", Role::Manifest),
            ("acme_2026-01-31.fin", "acme", "2026-01-31", Role::Finished),
            ("1-800_2026-01-31.tar.gz", "1-800", "2026-01-31", Role::Archive { part: None }),
        ] {
            let expected = DeliveryName { rsid: rsid.to_owned(), period: period.to_owned(), role };
            assert_eq!(DeliveryName::parse(name), Some(expected), "{name}");
        }
        assert_eq!(DeliveryName::parse("01-a_b_2026-01-31.tsv.gz").unwrap().delivery(), "a_b_2026-01-31");
    }

    #[test]
    fn other_names() {
        for name in [
            "",
            "acme.txt",
            "acme_2026-02-30.txt",
            "_2026-01-31.txt",
            "acme_2026-1-31.txt",
            "acme_20260131.txt",
            "acme_2026-01-31.TXT",
            "acme_20260131-250000.txt",
            "a/b_2026-01-31.txt",
            "../x_2026-01-31.zip",
            "..x_2026-01-31.zip",
            "acme_2026-01-31",
            "acme_2026-01-31.gz",
            "acme_2026-01-31.zip.zst",
            "acme_2026-01-31.txt.zst",
            "é_2026-01-31.txt",
            "acme_2026-01-3é.txt",
            "acme_+026-01-31.txt",
        ] {
            assert_eq!(DeliveryName::parse(name), None, "{name}");
        }
    }
}
