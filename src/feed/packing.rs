//! How one stream of bytes is packed by itself: by gzip or zstd.
//!
//! The first bytes say it. The ending of a name says it as well, and what a file is otherwise called is its name without it.

/// A packing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// gzip, one member or several.
    Gzip,
    /// zstd, one frame or several.
    Zstd,
}

impl Packing {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Gzip, Self::Zstd];

    /// So many first bytes tell it.
    pub const START_BYTES: u64 = 4;

    /// The ending of names.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// The packing that the end of a name says, in whatever case it is written.
    pub fn of_name(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        Self::ALL.into_iter().find(|packing| lower.ends_with(packing.ending()))
    }

    /// The packing that begins so. Of zstd, also with a frame that is passed over.
    pub fn of_bytes(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// A name without the ending that says how the file is packed.
pub fn without_packing(name: &str) -> &str {
    Packing::ALL.into_iter().find_map(|packing| name.strip_suffix(packing.ending())).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bytes() {
        for (name, packing, plain) in [
            ("a.csv.gz", Some(Packing::Gzip), "a.csv"),
            ("a.csv.zst", Some(Packing::Zstd), "a.csv"),
            ("a.CSV.GZ", Some(Packing::Gzip), "a.CSV.GZ"),
            ("a.csv", None, "a.csv"),
            ("a.zip", None, "a.zip"),
        ] {
            assert_eq!((Packing::of_name(name), without_packing(name)), (packing, plain), "{name}");
        }
        assert_eq!(Packing::of_bytes(b"\x1f\x8b\x08\0"), Some(Packing::Gzip));
        assert_eq!(Packing::of_bytes(b"\x28\xb5\x2f\xfd"), Some(Packing::Zstd));
        assert_eq!(Packing::of_bytes(b"\x50\x2a\x4d\x18"), Some(Packing::Zstd));
        for other in [&b""[..], b"\x1f", b"P*M", b"PK\x03\x04", b"a,b\n"] {
            assert_eq!(Packing::of_bytes(other), None, "{other:?}");
        }
    }
}
