//! A SeaweedFS of the tests' own: started by the first test that asks for it, on free ports, in a folder of its own, and
//! gone with the test process, however that ends.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ObjectStoreExt, PutPayload};
use rejoin::lake::Lake;
use rejoin::lake::guard::Writers;
use url::Url;

/// What no message, log or file may hold.
pub const SECRET: &str = "the-secret-of-the-tests-4711";
pub const KEY_ID: &str = "rejointests";
pub const BUCKET: &str = "lake";

/// The server that runs.
pub struct Server {
    pub endpoint: String,
    /// SeaweedFS's own door to its files, without credentials.
    pub filer: String,
}

static SERVER: LazyLock<Server> = LazyLock::new(start);

pub fn server() -> &'static Server {
    &SERVER
}

/// Waits for the end of its input, which the test process holds open, then ends the server and removes its files.
const GUARD: &str = r#"folder=$1; shift
"$@" >"$folder/log" 2>&1 &
server=$!
trap 'kill -9 $server; rm -rf "$folder"' EXIT
cat >/dev/null"#;

impl Server {
    /// The variables with which commands find the store.
    pub fn environment(&self) -> [(&'static str, &str); 6] {
        [
            ("AWS_ACCESS_KEY_ID", KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_ALLOW_HTTP", "true"),
            ("REJOIN_TEST_FILER", &self.filer),
        ]
    }

    pub fn bucket(&self) -> AmazonS3 {
        let builder = AmazonS3Builder::new().with_bucket_name(BUCKET).with_region("us-east-1").with_allow_http(true);
        let builder = builder.with_endpoint(&self.endpoint).with_access_key_id(KEY_ID).with_secret_access_key(SECRET);
        builder.build().unwrap()
    }

    /// A lake of the bucket for use in this process, whose own environment names no store.
    pub fn lake(&self, location: &str) -> Lake {
        let url = Url::parse(&format!("{location}/")).unwrap();
        Lake::with_store(url, Arc::new(self.bucket()), Writers::Many).unwrap()
    }
}

fn start() -> Server {
    let weed = weed();
    let folder = tempfile::Builder::new().prefix("rejoin-seaweedfs-").tempdir().unwrap().keep();
    let identities = serde_json::json!({"identities": [{
        "name": "tests", "credentials": [{"accessKey": KEY_ID, "secretKey": SECRET}], "actions": ["Admin"]
    }]});
    std::fs::write(folder.join("s3.json"), identities.to_string()).unwrap();
    std::fs::create_dir(folder.join("data")).unwrap();
    let [s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc] = free_ports();
    let mut guard = Command::new("bash");
    guard.arg("-c").arg(GUARD).arg("seaweedfs").arg(&folder).arg(weed).arg("server");
    guard.arg(format!("-dir={}", folder.join("data").display()));
    guard.arg(format!("-s3.config={}", folder.join("s3.json").display()));
    for (option, value) in [
        ("s3.port", s3),
        ("s3.port.grpc", s3_grpc),
        ("master.port", master),
        ("master.port.grpc", master_grpc),
        ("volume.port", volume),
        ("volume.port.grpc", volume_grpc),
        ("filer.port", filer),
        ("filer.port.grpc", filer_grpc),
        ("s3.port.iceberg", 0),
        ("s3.port.lance", 0),
        ("master.volumeSizeLimitMB", 64),
        ("volume.max", 0),
    ] {
        guard.arg(format!("-{option}={value}"));
    }
    guard.args(["-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"]);
    // it has little in memory, and collects what it no longer needs less often
    guard.current_dir(&folder).env("TMPDIR", &folder).env("GOGC", "400").stdin(Stdio::piped()).stderr(Stdio::null());
    // it ends with this process, which is what it waits for
    #[allow(clippy::zombie_processes)]
    let mut guard = guard.spawn().unwrap();
    let server = Server {
        endpoint: format!("http://127.0.0.1:{s3}"),
        filer: format!("http://127.0.0.1:{filer}/buckets/{BUCKET}"),
    };
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bucket = server.bucket();
    // the first object makes the bucket
    while let Err(error) = runtime.block_on(bucket.put(&"ready".into(), PutPayload::from_static(b"ready"))) {
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        let ended = guard.try_wait().unwrap();
        assert!(ended.is_none() && begun.elapsed() < Duration::from_secs(90), "no SeaweedFS: {error}\n{}", log());
        std::thread::sleep(Duration::from_millis(200));
    }
    // open until this process ends
    std::mem::forget(guard.stdin.take());
    server
}

/// The server's program, from the tests' own Python environment.
fn weed() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let made =
        Command::new(tests.join("venv")).arg("stores").arg(tests.join("stores/requirements.txt")).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Path::new(String::from_utf8_lossy(&made.stdout).trim()).with_file_name("weed")
}

/// Ports that nobody listens on; all are held until all are known.
fn free_ports<const N: usize>() -> [u16; N] {
    let held: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}
