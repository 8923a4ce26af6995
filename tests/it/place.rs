//! A fresh folder with a lake of its own, and the commands that run there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rejoin::lake::Lake;
use tempfile::TempDir;

use crate::stores;

/// The time that every command believes it is; the examples' dates lie a few weeks before it.
const NOW: &str = "2026-10-01T12:00:00Z";

/// The commands of the tests: `feed`, `online`, `offline`, `fails`.
fn commands() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bin")
}

/// A temporary folder, gone with the value.
pub struct Place {
    folder: TempDir,
    on_s3: bool,
}

/// Plans are walked recursively, in debug builds with large frames.
const STACK_BYTES: usize = 16 << 20;

/// Runs on a thread with a stack for deep plans, with a runtime whose threads have such stacks, too.
pub fn deep<T: Send>(work: impl FnOnce(&tokio::runtime::Runtime) -> T + Send) -> T {
    let body = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).thread_stack_size(STACK_BYTES).enable_all().build().unwrap();
        work(&runtime)
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, body).unwrap();
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// What a command did.
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::Builder::new().prefix("rejoin-test-").tempdir().unwrap(), on_s3: false }
    }

    /// A folder for a static, which is never dropped: it goes when this process ends, however that does.
    pub fn lasting() -> Self {
        let place = Self::new();
        let remove = format!("cat >/dev/null; rm -rf {}", place.path().display());
        std::mem::forget(Command::new("sh").args(["-c", &remove]).stdin(Stdio::piped()).spawn().unwrap());
        place
    }

    /// A fresh folder whose lake has what that of another one has.
    pub fn with_lake_of(other: &Self) -> Self {
        let place = Self::new();
        copy(&other.lake(), &place.lake());
        place
    }

    /// A folder for input files whose lake lies on the tests' S3 store.
    pub fn on_s3() -> Self {
        Self { on_s3: true, ..Self::new() }
    }

    /// Where the lake is: the folder `lake` here, or a prefix of the bucket of the same unique name.
    pub fn location(&self) -> String {
        match self.on_s3 {
            true => format!("s3://{}/{}", stores::BUCKET, self.path().file_name().unwrap().to_str().unwrap()),
            false => self.lake().to_str().unwrap().to_string(),
        }
    }

    /// The lake, for use in this process.
    pub fn open_lake(&self) -> Lake {
        match self.on_s3 {
            true => stores::server().lake(&self.location()),
            false => Lake::open(&self.location()).unwrap(),
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn lake(&self) -> PathBuf {
        self.path().join("lake")
    }

    /// Writes a file and its parent folders.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }

    /// Lets a command run here, on this lake, with the tests' commands and the built binary on its path.
    pub fn settle(&self, command: &mut Command) {
        settle(command, self.path(), &self.location());
    }

    /// Runs `rejoin` with arguments that hold no spaces.
    pub fn rejoin(&self, arguments: &str) -> Done {
        self.rejoin_with(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    pub fn rejoin_with(&self, arguments: &[&str]) -> Done {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
        self.settle(command.args(arguments));
        done(command.output().unwrap())
    }

    /// Runs shell lines; the first that fails ends the test.
    pub fn sh(&self, script: &str) -> Done {
        let mut command = Command::new("bash");
        self.settle(command.arg("-euc").arg(script));
        let done = done(command.output().unwrap());
        assert_eq!(done.code, 0, "{script}\nstdout: {}\nstderr: {}", done.stdout, done.stderr);
        done
    }

    /// The rows of a query, through the binary.
    pub fn query(&self, sql: &str) -> serde_json::Value {
        let done = self.rejoin_with(&["query", sql, "--format", "json"]).ok();
        serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{sql}: {e}: {}", done.stdout))
    }

    /// The only cell of a query's result.
    pub fn cell(&self, sql: &str) -> serde_json::Value {
        let rows = self.query(sql);
        rows[0].as_object().unwrap_or_else(|| panic!("{sql}: {rows}")).values().next().unwrap().clone()
    }
}

/// Gives a folder a second one with the same files, which may then come and go in either. Who writes to a lake never writes into a
/// file that is there, so both have it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::hard_link(from, to).unwrap();
        }
    }
}

/// See [`Place::settle`].
pub fn settle(command: &mut Command, folder: &Path, location: &str) {
    let binary = Path::new(env!("CARGO_BIN_EXE_rejoin")).parent().unwrap().to_path_buf();
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let path = [commands(), binary].into_iter().chain(std::env::split_paths(&inherited));
    command
        .current_dir(folder)
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("REJOIN_LAKE", location)
        .env("REJOIN_NOW", NOW)
        .env("DATA", Path::new(env!("CARGO_MANIFEST_DIR")).join("data"))
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null());
    if location.starts_with("s3://") {
        command.envs(stores::server().environment());
    }
}

fn done(output: Output) -> Done {
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Done {
    /// Demands success.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Demands this exit code, and a message that holds each text, in any case of letters.
    #[track_caller]
    pub fn fails(self, code: i32, texts: &[&str]) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        for text in texts {
            assert!(
                self.stderr.to_lowercase().contains(&text.to_lowercase()),
                "{text:?} is missing in: {}",
                self.stderr
            );
        }
        self
    }
}
