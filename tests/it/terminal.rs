//! The shell in a pseudo terminal of tmux, as a person sees it, and in a pipe.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::place::Place;

/// A tmux server of its own with one window; ends with the value.
struct Terminal<'a> {
    place: &'a Place,
}

impl<'a> Terminal<'a> {
    fn start(place: &'a Place, command: &str) -> Self {
        let terminal = Self { place };
        let line =
            format!("env XDG_STATE_HOME={0}/state TERM=tmux-256color PAGER=less {command}", place.path().display());
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "40", &line]);
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        self.place.settle(command.arg("-S").arg(self.place.path().join("tmux")).args(arguments));
        let output = command.output().expect("tmux is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Types a line and Enter.
    fn line(&self, text: &str) {
        // a semicolon at the end of an argument ends a command of tmux
        let text = text.strip_suffix(';').map_or(text.to_string(), |text| format!("{text}\\;"));
        self.tmux(&["send-keys", "-l", &text]);
        self.keys(&["Enter"]);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            assert!(Instant::now() < end, "{what} does not come:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[track_caller]
    fn shows(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    /// Empties the screen, so that what comes next is new.
    fn clear(&self) {
        self.keys(&["C-l"]);
        self.until("an empty screen", |s| s.trim().lines().count() <= 1);
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

fn loaded() -> Place {
    let place = Place::new();
    place.sh("rejoin suite create web
rejoin suite create acme
online web <<END
visitor  time              visit  transaction_id  page_name  tracking_code  orders
v1       2026-09-01 10:00  1      L1              form       brand          1.5
v2       2026-09-01 11:00  1      .               home       search         .
END
rejoin rebuild");
    place
}

/// Takes hours.
const LONG: &str = "SELECT count(*) FROM range(1, 300000000000) WHERE value % 7 = 3;";

#[test]
fn a_person_types() {
    let place = loaded();
    let t = Terminal::start(&place, "rejoin shell --suite web");
    t.shows("rejoin>");
    // several lines, a result
    t.line("SELECT page_name,");
    t.shows("->");
    t.line("orders FROM events WHERE orders > 1;");
    t.shows("(1 row)");
    // keywords have a colour while they are typed
    t.clear();
    t.tmux(&["send-keys", "-l", "SELECT 'x'"]);
    t.until("colours", |_| {
        let coloured = t.tmux(&["capture-pane", "-p", "-e"]);
        coloured.lines().any(|l| l.contains("SELECT") && l.contains("94m") && l.contains("32m"))
    });
    t.keys(&["C-c"]);
    // completion inside a text
    t.clear();
    t.tmux(&["send-keys", "-l", "SELECT * FROM participation('ord"]);
    t.keys(&["Tab"]);
    t.shows("participation('orders");
    t.keys(&["C-c"]);
    t.clear();
    t.tmux(&["send-keys", "-l", "SELECT tracking_c"]);
    t.keys(&["Tab"]);
    t.shows("tracking_code");
    t.keys(&["C-c"]);
    // the place of an error, and a hint
    t.clear();
    t.line("SELECT page_nme FROM events;");
    let screen = t.shows("did you mean page_name");
    let lines: Vec<&str> = screen.lines().collect();
    let at = lines.iter().position(|l| l.starts_with("LINE 1:")).unwrap_or_else(|| panic!("{screen}"));
    assert_eq!(lines[at].find("page_nme"), lines[at + 1].find('^'), "{screen}");
    t.clear();
    t.line("\\pset null '(none)'");
    t.line("SELECT NULL AS nothing;");
    t.shows("(none)");
    t.line("\\ds");
    t.shows("time_zone");
    t.line("\\conninfo");
    t.shows("file://");
    t.clear();
    t.line("\\x auto");
    t.line("SELECT repeat('a', 70) AS a, repeat('b', 70) AS b;");
    t.shows("-[ row 1 ]");
    t.keys(&["C-d"]);
    t.until("the end", |s| s.is_empty());
    let history = place.path().join("state/rejoin/history");
    assert!(std::fs::read_to_string(&history).unwrap().contains("page_nme"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&history).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn ctrl_c_stops_the_statement_and_not_the_shell() {
    let place = loaded();
    let t = Terminal::start(&place, "rejoin shell --suite web");
    t.shows("rejoin>");
    t.line(LONG);
    // what is read is told meanwhile
    t.shows("rows read");
    t.keys(&["C-c"]);
    t.shows("stopped");
    t.line("SELECT 41 + 1 AS answer;");
    t.shows("42");
    t.line("\\watch 0.2");
    t.until("several answers", |s| s.matches(" 42").count() >= 3);
    t.keys(&["C-c"]);
    t.shows("stopped");
    t.clear();
    t.line("\\pset pager on");
    t.line("SELECT value AS v FROM range(1, 500);");
    // less waits at the top
    let screen = t.until("a page", |s| s.lines().last().is_some_and(|l| l.starts_with(':')));
    assert!(!screen.contains(" 499"), "{screen}");
    t.keys(&["q"]);
    t.shows("rejoin>");
    t.line("\\q");
    t.until("the end", |s| s.is_empty());
}

#[test]
fn a_pipe_stays_clean() {
    let place = loaded();
    let done =
        place.sh("printf 'SELECT 1 AS a;\\n\\\\x auto\\nSELECT 2 AS b;' | rejoin shell --format csv --suite web");
    assert_eq!(done.stdout, "a\n1\none line a column where a row does not fit\nb\n2\n");
    assert_eq!(done.stderr, "");
    let done = place.sh("printf 'SELECT 1;\\nSELECT x +;\\nSELECT 3;' | rejoin shell || echo code $?");
    assert!(done.stdout.contains("code 7") && !done.stdout.contains('3'), "{}", done.stdout);
    assert!(done.stderr.contains("line 2") && done.stderr.contains("LINE 1: SELECT x +"), "{}", done.stderr);
}
