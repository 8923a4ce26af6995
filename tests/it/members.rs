//! A cluster of the tests' own: processes of the built binary on free ports, gone with the test process, however that ends.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use rejoin::cluster::{Cluster, Wire};
use rejoin::engine::remote::Remote;
use rejoin::lake::Lake;
use serde_json::Value;

use crate::place::Place;
use crate::stores;

/// Waits for the end of its input, which the test process holds open, then ends the program. The program's own id is told first.
/// Others may not read its files, by which they are known: see [`wrote`]; its temporary files go with it.
const GUARD: &str = r#"umask 027
export TMPDIR=$(mktemp -d)
"$@" &
program=$!
echo "$program" >&2
trap '{ kill -9 $program; wait $program; } 2>/dev/null; rm -rf "$TMPDIR"' EXIT
cat >/dev/null"#;

/// One process of a cluster.
pub struct Member {
    guard: Child,
    pub id: u32,
    /// Where it listens.
    pub address: String,
}

impl Member {
    /// Starts it; its second line on stderr names its address.
    fn start(arguments: &[&str], lake: &str, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new("bash");
        command
            .arg("-c")
            .arg(GUARD)
            .arg("member")
            .arg(env!("CARGO_BIN_EXE_rejoin"))
            .args(arguments)
            .args(["--lake", lake]);
        command.envs(environment.iter().copied());
        match std::env::var("REJOIN_MEMBER_LOG") {
            Ok(filter) => command.env("RUST_LOG", filter),
            Err(_) => command.env_remove("RUST_LOG"),
        };
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut guard = command.spawn().unwrap();
        let mut said = BufReader::new(guard.stderr.take().unwrap());
        let id = line(&mut said).parse().unwrap();
        let told = line(&mut said);
        let address = told.split_once(" at ").unwrap_or_else(|| panic!("{told}")).1;
        let address = address.split([',', ' ']).next().unwrap().to_string();
        // what it says later goes to the tests' own stderr
        std::thread::spawn(move || said.lines().map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        Self { guard, id, address }
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id.to_string()]).status().unwrap();
        assert!(sent.success(), "{name} to {}", self.id);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

fn line(from: &mut BufReader<ChildStderr>) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line.trim().to_string()
}

/// A scheduler and its executors.
pub struct Members {
    pub scheduler: Member,
    pub executors: Vec<Member>,
    lake: String,
    environment: Vec<(&'static str, String)>,
}

impl Members {
    /// A cluster over the store of the lake at `lake`, with so many executors.
    pub fn start(lake: &str, executors: usize) -> Self {
        Self::with(lake, executors, None)
    }

    /// The same, where an executor that is lost is missed after 8 seconds instead of 20.
    pub fn quick_to_miss(lake: &str, executors: usize) -> Self {
        Self::with(lake, executors, Some(("REJOIN_EXECUTOR_SECONDS", "8".into())))
    }

    /// The same, whose executors have so much memory.
    pub fn with_memory(lake: &str, executors: usize, memory: &str) -> Self {
        Self::with(lake, executors, Some(("REJOIN_MEMORY", memory.into())))
    }

    /// The same, with the certificates of a folder.
    pub fn secure(lake: &str, executors: usize, certificates: &Path) -> Self {
        Self::with(lake, executors, Some(("REJOIN_CLUSTER_TLS", certificates.to_str().unwrap().into())))
    }

    fn with(lake: &str, executors: usize, variable: Option<(&'static str, String)>) -> Self {
        let mut environment: Vec<(&'static str, String)> = match lake.starts_with("s3://") {
            true => stores::server().environment().map(|(name, value)| (name, value.to_string())).to_vec(),
            false => vec![],
        };
        environment.extend(variable);
        let scheduler =
            Member::start(&["cluster", "scheduler", "--listen", "127.0.0.1:0"], lake, &borrowed(&environment));
        let mut members = Self { scheduler, executors: vec![], lake: lake.into(), environment };
        (0..executors).for_each(|_| members.join());
        members
    }

    /// Another scheduler at the same address.
    pub fn restart_scheduler(&mut self) {
        let address = self.scheduler.address.clone();
        let arguments = ["cluster", "scheduler", "--listen", &address];
        self.scheduler = Member::start(&arguments, &self.lake, &borrowed(&self.environment));
    }

    /// One more executor, which has two vcores, and listens where it is free.
    pub fn join(&mut self) {
        let scheduler = self.scheduler.address.clone();
        let arguments = ["cluster", "executor", "--scheduler", &scheduler, "--vcores", "2"];
        self.executors.push(Member::start(&arguments, &self.lake, &borrowed(&self.environment)));
        self.wait_for(self.executors.len());
    }

    /// Waits until the scheduler knows so many executors.
    pub fn wait_for(&self, executors: usize) {
        let begun = Instant::now();
        loop {
            let known = self.status();
            if known == Some(executors as u64) {
                return;
            }
            // other tests may have the machine
            assert!(begun.elapsed() < Duration::from_secs(180), "{known:?} executors instead of {executors}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn status(&self) -> Option<u64> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
        command.envs(borrowed(&self.environment));
        let said =
            command.args(["cluster", "status", "--json", "--cluster", &self.scheduler.address]).output().unwrap();
        serde_json::from_slice::<Value>(&said.stdout).ok()?["executors"].as_u64()
    }

    /// What computes there, for an engine over a lake.
    pub fn remote(&self, lake: &Lake) -> Arc<dyn Remote> {
        Arc::new(Cluster::new(&self.scheduler.address, Wire::default(), lake.clone()))
    }
}

/// Processor time of a process, in ticks of a hundredth of a second.
pub fn ticks(id: u32) -> u64 {
    let told = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields: Vec<&str> = told.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// True for a file that a process of a cluster wrote.
pub fn wrote(file: &Path) -> bool {
    file.metadata().unwrap().permissions().mode() & 0o007 == 0
}

fn borrowed<'e>(environment: &'e [(&'static str, String)]) -> Vec<(&'e str, &'e str)> {
    environment.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// Where a lake is, and who computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Site {
    Folder,
    S3,
    /// The lake is on S3.
    Cluster,
}

impl Site {
    /// Starts the store that it needs, which no runtime may do.
    pub fn begin(self) {
        if self != Site::Folder {
            stores::server();
        }
    }

    /// A place for a lake.
    pub fn place(self) -> Place {
        if self == Site::Folder { Place::new() } else { Place::on_s3() }
    }

    /// Who computes, if it is not this process.
    pub fn remote(self, lake: &Lake) -> Option<Arc<dyn Remote>> {
        (self == Site::Cluster).then(|| shared(lake).remote(lake))
    }
}

static IN_FOLDERS: LazyLock<Members> = LazyLock::new(|| Members::start(std::env::temp_dir().to_str().unwrap(), 2));
static ON_S3: LazyLock<Members> = LazyLock::new(|| Members::start(&format!("s3://{}/", stores::BUCKET), 2));

/// Two executors that all tests share, for lakes in folders, or in the tests' bucket.
pub fn shared(lake: &Lake) -> &'static Members {
    if lake.url().scheme() == "s3" { &ON_S3 } else { &IN_FOLDERS }
}
