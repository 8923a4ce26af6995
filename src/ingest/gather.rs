//! What there is to load under the paths, in folders and buckets, in alphanumeric order; without what is known.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::blocking::blocking;
use super::find::{GivenPath, Input, InputType, find};
use super::known::{KnownInputs, Marks};
use super::mapping::Mapping;
use super::remote::{PathOrBucket, Remote};
use crate::{Error, Result};

/// A watched file that nothing says is whole (no `.fin`, no manifest) must not change for so long.
const REST: Duration = Duration::from_secs(2);

/// Inputs that are offered.
#[derive(Default)]
pub struct Gathered {
    /// In the order in which they are taken.
    pub offers: Vec<Offer>,
    /// Files of searched folders that are no input.
    pub ignored: usize,
    /// Mappings that have patterns of their files, and no file.
    pub idle: Vec<Arc<Mapping>>,
}

/// An input, and where it comes from.
pub struct Offer {
    /// The input.
    pub input: Input,
    /// Where the file that stands for it really is: a path or a URL.
    pub id: String,
    /// Its files as they are now.
    pub marks: Marks,
    /// The bucket, for an input that must be fetched.
    pub remote: Option<Arc<Remote>>,
}

/// Searches `paths`. With `known`, inputs that it holds under these `settings` are left out, and it forgets what is gone.
pub async fn gather(
    paths: &[PathBuf],
    mappings: &[Arc<Mapping>],
    settings: &str,
    known: Option<&mut KnownInputs>,
) -> Result<Gathered> {
    let nothing = KnownInputs::default();
    let former = known.as_deref().unwrap_or(&nothing);
    let (mut given, mut remotes, mut roots, mut seen) = (vec![], Vec::<Arc<Remote>>::new(), vec![], BTreeSet::new());
    for path in paths {
        match PathOrBucket::of(path)? {
            PathOrBucket::Local(path) => {
                roots.push(path.to_string_lossy().into_owned());
                given.push(GivenPath::local(&path));
            }
            PathOrBucket::Bucket(url) => {
                roots.push(url.to_string());
                let remote = Remote::list(&url, former, settings, &mut seen).await?;
                // a watched place may still be empty
                if remote.is_empty() && known.is_none() {
                    return Err(Error::usage(format!("{url}: there is nothing; buckets tell upper from lower case")));
                }
                remotes.push(Arc::new(remote));
            }
        }
    }
    given.extend(remotes.iter().filter_map(|remote| remote.searched()));
    let searching = mappings.to_vec();
    let found = blocking(move || Ok(find(&given, &searching))).await?;
    let mut gathered = Gathered { ignored: found.ignored, ..Gathered::default() };
    for input in found.inputs {
        let remote = remotes.iter().find(|remote| remote.holds(&input.path)).cloned();
        let (id, marks) = match &remote {
            Some(remote) => (remote.url_of(&input.path), remote.marks(&input)),
            None => (input.path.to_string_lossy().into_owned(), input.marks()),
        };
        // one object may be under two prefixes
        if seen.insert(id.clone()) && !former.holds(settings, &id, &marks) {
            gathered.offers.push(Offer { input, id, marks, remote });
        }
    }
    // patterns are held against whole paths
    let whole = |id: &String| std::path::absolute(id).ok().filter(|_| !id.contains("://")).unwrap_or_else(|| id.into());
    let has_file = |mapping: &Arc<Mapping>| seen.iter().any(|id| mapping.is_for(&whole(id)));
    gathered.idle = mappings.iter().filter(|m| !m.files.is_empty() && !has_file(m)).cloned().collect();
    gathered.offers.sort_by(|a, b| (&a.input.name, &a.id).cmp(&(&b.input.name, &b.id)));
    if let Some(known) = known {
        roots.iter().for_each(|root| known.keep(settings, root, &seen));
        gathered.rest().await;
    }
    Ok(gathered)
}

impl Gathered {
    /// Lets files that may still be written wait for the next run.
    async fn rest(&mut self) {
        if self.offers.iter().any(Offer::may_grow) {
            tokio::time::sleep(REST).await;
        }
        for offer in &mut self.offers {
            if offer.may_grow() && offer.input.marks() != offer.marks {
                let reason =
                    format!("it is still being written; it is taken when it has not changed for {} s", REST.as_secs());
                offer.input.what = InputType::Waiting(reason);
            }
        }
    }
}

impl Offer {
    fn may_grow(&self) -> bool {
        let unmarked = match &self.input.what {
            InputType::Mapped(..) => true,
            InputType::Source(found) => found.fin.is_none(),
            _ => false,
        };
        self.remote.is_none() && unmarked
    }
}
