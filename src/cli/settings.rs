//! What the command line means: typed words and the environment become checked settings, once.
//!
//! Errors are of kind `Usage` and name the option.

use std::path::Path;
use std::sync::Arc;

use super::global::GlobalArguments;
use crate::cluster::{Cluster, Wire};
use crate::engine::EngineSettings;
use crate::engine::remote::Remote;
use crate::format::Format;
use crate::lake::Lake;
use crate::lake::guard::Writers;
use crate::lake::location::{exists, lake_near};
use crate::{Error, Result};

/// Settings of every command.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the lake is stored.
    pub lake: Lake,
    /// Where the lake is stored, as the user wrote it.
    pub location: String,
    /// The location was given by the option, not by the environment or the default.
    pub explicit_lake: bool,
    /// Report suite to work on.
    pub suite: Option<String>,
    /// Worker threads; None is one a core.
    pub threads: Option<usize>,
    /// Memory for sorting and queries.
    pub memory_bytes: usize,
    /// Address of the scheduler that computes; None for this process.
    pub cluster: Option<String>,
    /// How the parts of a cluster reach each other.
    pub wire: Wire,
    /// Report as one JSON document.
    pub json: bool,
}

impl Settings {
    /// Options first, then the environment, then defaults. Touches no lake.
    pub fn new(global: &GlobalArguments) -> Result<Self> {
        Self::resolve(global, |name| std::env::var(name).ok().filter(|v| !v.is_empty()))
    }

    /// Refuses a place where no lake is, and says what is near.
    ///
    /// # Errors
    /// There is none, or its store does not answer.
    pub async fn lake_is_there(&self) -> Result<()> {
        if exists(&self.lake).await? {
            return Ok(());
        }
        let hint = match lake_near(&self.location) {
            Some(lake) => format!("; did you mean --lake {lake}?"),
            None => "; `rejoin suite create RSID` makes one, --lake or REJOIN_LAKE says where".into(),
        };
        Err(Error::configuration(format!("no lake at {}{hint}", self.location)))
    }

    fn resolve(global: &GlobalArguments, environment: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let location = global.lake.clone().or_else(|| environment("REJOIN_LAKE")).unwrap_or_else(|| "./lake".into());
        let memory_bytes = match (&global.memory, environment("REJOIN_MEMORY")) {
            (Some(text), _) => bytes(text).map_err(|e| e.at("--memory"))?,
            (None, Some(text)) => bytes(&text).map_err(|e| e.at("REJOIN_MEMORY"))?,
            (None, None) => EngineSettings::default().memory_bytes,
        };
        if global.threads == Some(0) {
            return Err(Error::usage("--threads 0: at least one thread is needed"));
        }
        let single = match environment("REJOIN_SINGLE_WRITER").as_deref() {
            _ if global.single_writer => true,
            None | Some("0" | "false") => false,
            Some("1" | "true") => true,
            Some(_) => return Err(Error::usage("REJOIN_SINGLE_WRITER: expected true or false")),
        };
        Ok(Self {
            lake: Lake::open_for(&location, if single { Writers::One } else { Writers::Many })?,
            location,
            explicit_lake: global.lake.is_some(),
            suite: global.suite.clone(),
            threads: global.threads,
            memory_bytes,
            cluster: global.cluster.clone().or_else(|| environment("REJOIN_CLUSTER")),
            wire: match global.cluster_tls.clone().or_else(|| environment("REJOIN_CLUSTER_TLS").map(Into::into)) {
                Some(folder) => Wire::secure(&folder)?,
                None => Wire::default(),
            },
            json: global.json,
        })
    }

    /// The cluster that computes, if there is one.
    pub fn cluster(&self) -> Result<Option<Cluster>> {
        let Some(address) = &self.cluster else { return Ok(None) };
        if address.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
            return Err(Error::usage(format!("--cluster {address}: expected HOST:PORT, e.g. 127.0.0.1:50050")));
        }
        Ok(Some(Cluster::new(address, self.wire.clone(), self.lake.clone())))
    }

    /// The engine's part of the settings.
    pub fn engine(&self, as_of: Option<&str>) -> Result<EngineSettings> {
        let remote = self.cluster()?.map(|cluster| Arc::new(cluster) as Arc<dyn Remote>);
        Ok(EngineSettings {
            remote,
            threads: self.threads,
            memory_bytes: self.memory_bytes,
            suite: self.suite.clone(),
            as_of: as_of.map(str::to_string),
            ..EngineSettings::default()
        })
    }
}

/// The format of a query's result: the option, else the file's ending, else a table. `--json` is `--format json`.
pub fn result_format(format: Option<Format>, json: bool, output: Option<&Path>) -> Result<Format> {
    match (format, json) {
        (Some(format), true) if format != Format::Json => {
            Err(Error::usage(format!("--json and --format {format} contradict each other; give one of them")))
        }
        (Some(format), _) => Ok(format),
        (None, true) => Ok(Format::Json),
        (None, false) => Ok(output.and_then(Format::of_file).unwrap_or(Format::Table)),
    }
}

/// `512MB`, `1GiB`, `2g` in bytes: K, M, G, T are powers of 1000 with a B, of 1024 with iB or alone.
pub fn bytes(text: &str) -> Result<usize> {
    // below this not even a scan's buffers fit
    size(text)
        .ok()
        .filter(|size| *size >= 16_000_000)
        .ok_or_else(|| Error::usage(format!("{text}: expected a size of at least 16MB, e.g. 512MB or 4GiB")))
}

/// A size as [`bytes()`] has it, down to one byte.
pub fn size(text: &str) -> Result<usize> {
    let wrong = || Error::usage(format!("{text}: expected a size, e.g. 512KB, 50MB or 4GiB"));
    let (number, unit) = split_unit(text);
    let power = |c: &str| "kmgt".find(c).map(|i| i as i32 + 1);
    let factor = match (unit.get(..1), unit.get(1..)) {
        (None, _) => 1.0,
        (Some("b"), Some("")) => 1.0,
        (Some(c), Some("b")) => 1000_f64.powi(power(c).ok_or_else(wrong)?),
        (Some(c), Some("" | "ib")) => 1024_f64.powi(power(c).ok_or_else(wrong)?),
        _ => return Err(wrong()),
    };
    let size = number.parse::<f64>().map_err(|_| wrong())? * factor;
    // above, the number is a slip
    if !(1.0..1e15).contains(&size) {
        return Err(wrong());
    }
    Ok(size as usize)
}

fn split_unit(text: &str) -> (&str, String) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim().to_lowercase())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ErrorKind;

    #[test]
    fn sizes() {
        assert_eq!(bytes("512MB").unwrap(), 512_000_000);
        assert_eq!(bytes("1 GiB").unwrap(), 1 << 30);
        assert_eq!(bytes("1.5g").unwrap(), 3 << 29);
        assert_eq!(bytes("20000000").unwrap(), 20_000_000);
        for wrong in ["", "MB", "12", "12 parsecs", "-1GB", "1e9", "9999999TB", "ä", "1ä"] {
            assert_eq!(bytes(wrong).unwrap_err().kind(), ErrorKind::Usage, "{wrong}");
        }
    }

    #[test]
    fn an_option_wins_over_the_environment() {
        let environment = |name: &str| match name {
            "REJOIN_LAKE" => Some("/tmp/there".to_string()),
            "REJOIN_MEMORY" => Some("64MB".to_string()),
            _ => None,
        };
        let global = GlobalArguments { lake: Some("/tmp/here".into()), ..Default::default() };
        let settings = Settings::resolve(&global, environment).unwrap();
        assert_eq!((settings.location.as_str(), settings.explicit_lake), ("/tmp/here", true));
        assert_eq!(settings.memory_bytes, 64_000_000);
        let settings = Settings::resolve(&GlobalArguments::default(), environment).unwrap();
        assert_eq!((settings.location.as_str(), settings.explicit_lake), ("/tmp/there", false));
        let settings = Settings::resolve(&GlobalArguments::default(), |_| None).unwrap();
        assert_eq!(settings.location, "./lake");
    }

    #[test]
    fn formats_follow_option_then_file_then_table() {
        let file = Path::new("x.csv");
        assert_eq!(result_format(None, false, None).unwrap(), Format::Table);
        assert_eq!(result_format(None, false, Some(file)).unwrap(), Format::Csv);
        assert_eq!(result_format(None, true, Some(file)).unwrap(), Format::Json);
        assert_eq!(result_format(Some(Format::Tsv), false, Some(file)).unwrap(), Format::Tsv);
        assert_eq!(result_format(Some(Format::Tsv), true, None).unwrap_err().kind(), ErrorKind::Usage);
    }
}
