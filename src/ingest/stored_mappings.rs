//! Mappings that the lake keeps under names: the folder `_mappings` holds `NAME.toml` of each. Files that come by the web page are
//! loaded by them.
//!
//! A stored mapping is a text; what a load was made by is part of the load, so that changing one changes no row.

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::mapping::Mapping;
use crate::error::did_you_mean;
use crate::lake::Lake;
use crate::{Error, Result};

/// Where they are in the lake.
const FOLDER: &str = "_mappings";

/// Longest text; a longer one is no mapping.
const MOST_BYTES: u64 = 64 << 10;

/// Longest name.
const NAME_CHARS: usize = 64;

/// Their names, sorted.
pub async fn names(lake: &Lake) -> Result<Vec<String>> {
    let objects: Vec<_> = lake.store().list(Some(&lake.object(FOLDER)?)).try_collect().await?;
    let name = |object: &object_store::ObjectMeta| Some(object.location.filename()?.strip_suffix(".toml")?.to_string());
    let mut names: Vec<String> = objects.iter().filter_map(name).filter(|name| is_name(name)).collect();
    names.sort();
    Ok(names)
}

/// The text of one.
pub async fn text(lake: &Lake, name: &str) -> Result<String> {
    let known = names(lake).await?;
    if !known.iter().any(|known| known == name) {
        let shown: String = name.chars().take(NAME_CHARS).collect();
        let hint = did_you_mean(&shown, known.iter().map(String::as_str));
        return Err(Error::configuration(format!("the lake has no mapping {shown}{hint}")));
    }
    let found = lake.store().get(&lake.object(&format!("{FOLDER}/{name}.toml"))?).await?;
    if found.meta.size > MOST_BYTES {
        return Err(Error::configuration(format!("mapping {name}: {} bytes are more than one has", found.meta.size)));
    }
    String::from_utf8(found.bytes().await?.into())
        .map_err(|_| Error::configuration(format!("mapping {name}: not UTF-8 text")))
}

/// Stores one, in place of one of this name. The text must be a mapping.
pub async fn store(lake: &Lake, name: &str, text: &str) -> Result<()> {
    if !is_name(name) {
        return Err(Error::configuration(format!(
            "a mapping is called by up to {NAME_CHARS} letters, digits, . _ and -, a letter or digit first"
        )));
    }
    if text.len() as u64 > MOST_BYTES {
        return Err(Error::configuration(format!("mapping {name}: {} bytes are more than one has", text.len())));
    }
    let mapping = Mapping::parse(text).map_err(|error| error.at(format!("mapping {name}")))?;
    if !mapping.files.is_empty() {
        return Err(Error::configuration(format!(
            "mapping {name}: files = says where files lie, and a stored mapping reads what is uploaded; leave it out"
        )));
    }
    let path = lake.object(&format!("{FOLDER}/{name}.toml"))?;
    lake.store().put(&path, PutPayload::from(text.to_string())).await?;
    Ok(())
}

/// Takes one away; what it loaded stays.
pub async fn remove(lake: &Lake, name: &str) -> Result<()> {
    text(lake, name).await?;
    lake.store().delete(&lake.object(&format!("{FOLDER}/{name}.toml"))?).await?;
    Ok(())
}

/// True for a name that is one in any folder.
fn is_name(name: &str) -> bool {
    name.len() <= NAME_CHARS
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ErrorKind;

    const CLICKS: &str = "kind = \"online\"\nvisitor_id = \"user\"\ntime = \"ts\"\n";

    #[tokio::test]
    async fn mappings_have_names() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
        assert!(names(&lake).await.unwrap().is_empty());
        store(&lake, "web-2", CLICKS).await.unwrap();
        store(&lake, "shop", "kind = \"online\"\nvisitor_id = \"a\"\ntime = \"t\"").await.unwrap();
        store(&lake, "shop", CLICKS).await.unwrap();
        assert_eq!(names(&lake).await.unwrap(), ["shop", "web-2"]);
        assert_eq!(text(&lake, "shop").await.unwrap(), CLICKS);
        // it is no table
        assert!(lake.table_names().await.unwrap().is_empty());
        remove(&lake, "shop").await.unwrap();
        assert_eq!(names(&lake).await.unwrap(), ["web-2"]);
        assert!(text(&lake, "web-3").await.unwrap_err().to_string().contains("did you mean web-2?"));
    }

    #[tokio::test]
    async fn what_is_no_mapping_is_not_stored() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
        let long = "x".repeat(65);
        for name in ["", "../web", "a/b", ".hidden", "a b", long.as_str()] {
            assert_eq!(store(&lake, name, CLICKS).await.unwrap_err().kind(), ErrorKind::Configuration, "{name}");
            assert!(text(&lake, name).await.is_err(), "{name}");
        }
        let error = store(&lake, "web", "kind = \"online\"\nvisitor = \"x\"").await.unwrap_err().to_string();
        assert!(error.contains("mapping web") && error.contains("unknown key visitor"), "{error}");
        let error = store(&lake, "web", &format!("files = \"web/*.csv\"\n{CLICKS}")).await.unwrap_err().to_string();
        assert!(error.contains("leave it out"), "{error}");
        assert!(names(&lake).await.unwrap().is_empty());
    }
}
