//! Which inputs need not be looked at again: what is known of their files from a former run.
//!
//! In: what became of an input. Out: whether it is as it was then. An input that waits is never known, nor one that a
//! setting, a conflict or the store kept out: those may have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::find::{Input, InputType};
use super::outcome::Status;
use crate::ErrorKind;

/// The files of an input, each with what tells whether it is another one now (size, time or tag).
pub type Marks = BTreeMap<String, String>;

/// Inputs that were taken or refused, by the settings under which that was decided and the file that stands for them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KnownInputs(BTreeMap<String, BTreeMap<String, Marks>>);

impl KnownInputs {
    /// True where the input was there before with just these files.
    pub fn holds(&self, settings: &str, input: &str, marks: &Marks) -> bool {
        !marks.is_empty() && self.0.get(settings).and_then(|inputs| inputs.get(input)) == Some(marks)
    }

    /// Keeps an input in mind where its outcome is final.
    pub fn learn(&mut self, settings: &str, input: &str, marks: Marks, status: &Status) {
        let is_final = match status {
            Status::Loaded | Status::Unchanged | Status::Copy(_) | Status::Replaced => true,
            Status::Refused(error) => error.kind() == ErrorKind::Refused,
            Status::Validated | Status::Waiting(_) => false,
        };
        let inputs = self.0.entry(settings.to_string()).or_default();
        if is_final {
            inputs.insert(input.to_string(), marks);
        } else {
            inputs.remove(input);
        }
    }

    /// Forgets what is no longer there: of the inputs under `root` all but `seen`.
    pub fn keep(&mut self, settings: &str, root: &str, seen: &BTreeSet<String>) {
        if let Some(inputs) = self.0.get_mut(settings) {
            inputs.retain(|input, _| !input.starts_with(root) || seen.contains(input));
        }
    }

    /// The known inputs of which each file is there as it was, by `mark`.
    pub fn unchanged<'a>(
        &'a self,
        settings: &str,
        mark: impl Fn(&str) -> Option<&'a str> + 'a,
    ) -> impl Iterator<Item = (&'a String, &'a Marks)> {
        let inputs = self.0.get(settings).into_iter().flatten();
        inputs.filter(move |(_, marks)| marks.iter().all(|(file, then)| mark(file) == Some(then.as_str())))
    }
}

impl Input {
    /// The files that it consists of.
    pub fn files(&self) -> Vec<PathBuf> {
        match &self.what {
            InputType::Delivery(delivery) => {
                let files = delivery.files.iter().map(|f| f.input.path().to_path_buf());
                [self.path.clone()].into_iter().chain(files).collect()
            }
            InputType::Source(found) => found.files(),
            InputType::Mapped(file, ..) => vec![file.path().to_path_buf()],
            _ => vec![self.path.clone()],
        }
    }

    /// True for a text in an archive, which other inputs may be in as well.
    pub fn is_in_archive(&self) -> bool {
        match &self.what {
            InputType::Source(found) => found.file.member().is_some(),
            InputType::Mapped(file, ..) => file.member().is_some(),
            _ => false,
        }
    }

    /// The marks of its local files; none where one of them cannot be looked at.
    pub fn marks(&self) -> Marks {
        let mark = |path: PathBuf| {
            let metadata = fs::metadata(&path).ok()?;
            let changed = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
            Some((path.to_string_lossy().into_owned(), format!("{} {}", metadata.len(), changed.as_nanos())))
        };
        self.files().into_iter().map(mark).collect::<Option<Marks>>().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Error;

    #[test]
    fn what_waits_is_never_known_and_what_changes_is_new() {
        let marks = |text: &str| Marks::from([("/in/a.txt".into(), text.into()), ("/in/a.fin".into(), "0 1".into())]);
        let mut known = KnownInputs::default();
        known.learn("s", "/in/a.txt", marks("10 5"), &Status::Loaded);
        assert!(known.holds("s", "/in/a.txt", &marks("10 5")));
        assert!(!known.holds("s", "/in/a.txt", &marks("10 6")));
        assert!(!known.holds("other", "/in/a.txt", &marks("10 5")));
        known.learn("s", "/in/a.txt", marks("10 5"), &Status::Waiting("stopped".into()));
        assert!(!known.holds("s", "/in/a.txt", &marks("10 5")));
        for (error, is_known) in [
            (Error::refused("bad"), true),
            (Error::configuration("no source"), false),
            (Error::unavailable("down"), false),
            (Error::conflict("other content"), false),
        ] {
            known.learn("s", "/in/a.txt", marks("10 5"), &Status::Refused(error));
            assert_eq!(known.holds("s", "/in/a.txt", &marks("10 5")), is_known);
        }
        // a file that cannot be looked at
        assert!(!known.holds("s", "/in/a.txt", &Marks::new()));
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut known = KnownInputs::default();
        for file in ["/in/a", "/in/b", "/else/c"] {
            known.learn("s", file, Marks::from([(file.into(), "1 1".into())]), &Status::Loaded);
        }
        known.keep("s", "/in/", &BTreeSet::from(["/in/b".into()]));
        let held = |file: &str| known.holds("s", file, &Marks::from([(file.into(), "1 1".into())]));
        assert!(!held("/in/a") && held("/in/b") && held("/else/c"));
        let all = known.unchanged("s", |file| (file != "/else/c").then_some("1 1")).map(|(input, _)| input.as_str());
        assert_eq!(all.collect::<Vec<_>>(), ["/in/b"]);
    }
}
