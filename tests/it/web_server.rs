//! A server of the web page for tests, and the little of a browser that they need: requests, forms, uploads, answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use crate::place::Place;

/// Nothing here takes so long on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// `rejoin serve --http`; killed with the value.
pub struct Server {
    pub child: Child,
    pub lines: Receiver<String>,
    pub address: String,
}

impl Server {
    pub fn start(place: &Place, arguments: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
        place.settle(command.args("serve --http 0 --users users.json --max-upload 1MB".split(' ')));
        command.args(arguments.split_whitespace()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let line = lines.recv_timeout(LONG).unwrap();
        let address = line.split("://").nth(1).unwrap_or_else(|| panic!("{line}")).trim_end_matches('/').to_string();
        Self { child, lines, address }
    }

    pub fn send(&self, request: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let mut head = format!("{request} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|h| h.starts_with("Host:")) {
            head += &format!("Host: {}\r\n", self.address);
        }
        if !headers.iter().any(|h| h.starts_with("Content-Length:")) {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        headers.iter().for_each(|header| head += &format!("{header}\r\n"));
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        // a client that is refused may find the door shut
        let _ = stream.write_all(body);
        let mut answer = vec![];
        let _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("{request}: {}", String::from_utf8_lossy(&answer)));
        let (head, bytes) = (String::from_utf8_lossy(&answer[..end]).into_owned(), answer[end + 4..].to_vec());
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        // files are no text
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status, head: head.to_lowercase(), body, raw: head, bytes }
    }

    pub fn get(&self, path: &str, cookie: &str) -> Answer {
        self.send(&format!("GET {path}"), &[cookie], b"")
    }

    pub fn form(&self, path: &str, headers: &[&str], fields: &str) -> Answer {
        let headers = [headers, &["Content-Type: application/x-www-form-urlencoded"]].concat();
        self.send(&format!("POST {path}"), &headers, fields.as_bytes())
    }

    pub fn upload(&self, source: &str, cookie: &str, name: &str, content: impl AsRef<[u8]>) -> Answer {
        let head =
            format!("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n").into_bytes();
        let body = [head.as_slice(), content.as_ref(), b"\r\n--x--\r\n".as_slice()].concat();
        let headers = [cookie, "Content-Type: multipart/form-data; boundary=x"];
        self.send(&format!("POST /suites/web/sources/{source}/upload"), &headers, &body)
    }

    /// Logs in; the header that says so from then on.
    pub fn login(&self, user: &str, password: &str) -> String {
        let answer = self.form("/login", &[], &format!("user={user}&password={password}"));
        // readers begin with reports
        let start = if user == "rob" { "/reports" } else { "/" };
        assert_eq!((answer.status, answer.header("location")), (303, start), "{}", answer.body);
        let set = answer.raw.lines().find_map(|l| l.strip_prefix("set-cookie: ")).unwrap();
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{set}");
        format!("Cookie: {}", set.split(';').next().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // shown where the test fails
        eprintln!("the server said {:?}", self.lines.try_iter().collect::<Vec<_>>());
    }
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub raw: String,
    pub body: String,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.raw.lines().find_map(|l| l.split_once(": ").filter(|(n, _)| *n == name)).map_or("", |(_, value)| value)
    }

    #[track_caller]
    pub fn is(self, status: u16, texts: &[&str]) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        for text in texts {
            assert!(self.body.contains(text), "{text:?} is missing in {}", self.body);
        }
        self
    }

    /// A body that came in chunks.
    pub fn chunks(&self) -> String {
        String::from_utf8(self.file()).unwrap()
    }

    /// The same as bytes.
    pub fn file(&self) -> Vec<u8> {
        let (mut rest, mut out) = (self.bytes.as_slice(), vec![]);
        while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
            let after = &rest[end + 2..];
            out.extend_from_slice(&after[..size]);
            rest = after[size..].strip_prefix(b"\r\n").unwrap();
        }
        out
    }
}
