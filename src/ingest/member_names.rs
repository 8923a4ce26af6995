//! The names of an archive's members: none leads out of the archive, none is there twice, and they are not too many.

use std::path::{Component, Path};

use crate::feed::row_issue::clip;
use crate::{Error, Result};

/// An archive with more members is refused: a real one has about twenty.
pub(super) const MAX_MEMBERS: usize = 1000;

/// So much of a member's name is shown.
const SHOWN_BYTES: usize = 200;

/// The path of a member within its archive, `/` between its parts.
pub(super) fn path_within(member: &str, file: &str) -> Result<String> {
    // a backslash is a separator where the archive comes from Windows
    Ok(parts_within(Path::new(&member.replace('\\', "/")), file)?.join("/"))
}

/// The file name of a member that is in the archive's root or one folder below.
pub(super) fn plain_name(path: &Path, file: &str) -> Result<Option<String>> {
    let mut parts = parts_within(path, file)?;
    if parts.len() > 2 {
        return Ok(None);
    }
    Ok(parts.pop())
}

/// The parts of a member's path, none of which leads out of the archive.
fn parts_within(path: &Path, file: &str) -> Result<Vec<String>> {
    let mut parts = vec![];
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            _ => {
                return Err(Error::refused(format!(
                    "{file}: member {:?} points outside of the archive; it is not to be trusted",
                    clip(&path.display().to_string(), SHOWN_BYTES)
                )));
            }
        }
    }
    Ok(parts)
}

/// Adds the name of a member to those that were seen before it.
///
/// # Errors
/// It is one of them, or they are too many.
pub(super) fn note_member(seen: &mut Vec<String>, name: &str, file: &str) -> Result<()> {
    if seen.iter().any(|s| s == name) {
        return Err(there_twice(name, file));
    }
    if seen.len() >= MAX_MEMBERS {
        return Err(too_many(file));
    }
    seen.push(name.to_string());
    Ok(())
}

/// The refusal of an archive with two members of one name.
pub(super) fn there_twice(name: &str, file: &str) -> Error {
    let name = clip(name, SHOWN_BYTES);
    Error::refused(format!("{file}: {name} is there twice; which one is meant cannot be known"))
}

/// The refusal of an archive with more than [`MAX_MEMBERS`].
pub(super) fn too_many(file: &str) -> Error {
    Error::refused(format!("{file}: more than {MAX_MEMBERS} members; put fewer into one archive"))
}
