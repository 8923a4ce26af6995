//! What was typed: the command line as clap reads it, with its help. What it means is decided in `settings`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use super::cluster::ClusterCommand;
use super::format::Format;
pub use super::history::HistoryArguments;
pub use super::schedule::ScheduleArguments;
pub use super::serve::ServeArguments;
pub use super::suite::{SuiteArguments, SuiteCommand};
pub use super::user::UserCommand;
pub use super::vacuum::VacuumArguments;

const ABOUT: &str = "Ties offline events to online visitors, on your own Parquet, in SQL.";

// clap has no headings for subcommands, so the overview is written by hand; a test holds it complete
const OVERVIEW: &str = "\
{about-with-newline}
{usage-heading} {usage}

Start here:
  demo            Make sample data, load it, and show what offline events add
  sample          Write only the sample's input files
  doctor          Check the lake, the settings and the versions

Set up:
  suite           Report suites and their settings
  source          Data sources, the named inlets of offline records

Load and integrate:
  ingest          Load data feeds, data source files, and any other clickstream
  remove          Take a loaded file out again
  rebuild         Tie offline records to online visitors, where something is new
  compact         Merge the files of many loads into files of whole months
  schedule        Load what arrives and rebuild, by the clock
  status          Suites and sources, and what waits for a rebuild
  log             The file log: every file that was offered, and its rejected rows

Keep in order:
  history         What happened to the lake, and what --as-of can still ask
  forget          Erase a visitor, or everything before a month
  vacuum          Delete files that no version needs any more

Ask:
  query           Run SQL, print or save the result
  shell           Interactive SQL
  report          Named reports: model comparison, net revenue after returns, ...
  explain-credit  Why the items of one conversion got what they got
  lookup          Load a table of your own that classifies a dimension
  functions       The manual of the SQL functions

Let others in:
  serve           BI tools and browsers: Postgres wire, Flight SQL, web pages
  user            Who may come in
  cluster         Many machines for one lake: scheduler and executors

  completions     Shell completion
  help            The manual: rejoin help TOPIC, rejoin help COMMAND

{options}{after-help}";

const EXAMPLES: &str = "\
Examples:
  rejoin demo
  rejoin suite create acme --time-zone Europe/Berlin
  rejoin source create acme leads --kind transaction --metrics event10
  rejoin ingest feeds/ leads/ && rejoin rebuild
  rejoin query \"SELECT item, credit FROM participation('orders', 'tracking_code') ORDER BY 2 DESC\"

Exit codes: 0 ok, 2 usage, 3 configuration, 4 a whole input refused, 5 conflict,
6 store or server unavailable, 7 query failed, 70 a bug.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "rejoin", version, about = ABOUT, help_template = OVERVIEW, after_help = EXAMPLES)]
#[command(max_term_width = 100, subcommand_value_name = "COMMAND", propagate_version = true)]
#[command(disable_help_subcommand = true)]
pub struct Arguments {
    #[command(flatten)]
    pub global: GlobalArguments,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command, before or after its name.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArguments {
    /// The lake: a folder, file:// or s3://bucket/prefix [env: REJOIN_LAKE] [default: ./lake]
    #[arg(long, global = true, value_name = "URL")]
    pub lake: Option<String>,
    /// Report suite to work on
    #[arg(long, global = true, value_name = "RSID")]
    pub suite: Option<String>,
    /// Worker threads [default: one a core]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,
    /// Memory for sorting and queries, e.g. 512MB [env: REJOIN_MEMORY] [default: 1GiB]
    #[arg(long, global = true, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Write to a store without conditional writes; never run two writing commands at once [env: REJOIN_SINGLE_WRITER]
    #[arg(long, global = true)]
    pub single_writer: bool,
    /// Compute on a cluster, whose scheduler is at HOST:PORT [env: REJOIN_CLUSTER]
    #[arg(long, global = true, value_name = "ADDR")]
    pub cluster: Option<String>,
    /// Folder of ca.pem, cert.pem and key.pem, for all connections of a cluster [env: REJOIN_CLUSTER_TLS]
    #[arg(long, global = true, value_name = "DIR")]
    pub cluster_tls: Option<PathBuf>,
    /// Report as one JSON document on stdout
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make sample data, load it, and show what offline events add
    Demo(DemoArguments),
    /// Write a sample delivery and data source files; the same bytes for the same seed
    Sample(SampleArguments),
    /// Report suites and their settings
    #[command(subcommand)]
    Suite(SuiteCommand),
    /// Data sources, the named inlets of offline records
    #[command(subcommand)]
    Source(SourceCommand),
    /// Load data feeds, data source files, and any other clickstream
    #[command(after_help = "\
What each path is, is detected. A data source file NAME.txt loads when NAME.fin is there, a data feed when its
manifest and all its files are; until then they wait. Loading a file again changes nothing.

Examples:
  rejoin ingest feeds/
  rejoin ingest returns_0901.txt --suite acme --source returns
  rejoin ingest events.parquet --mapping web.toml
  rejoin ingest s3://drop/feeds/
  rejoin ingest new/ --suite acme --source leads --validate")]
    Ingest(IngestArguments),
    /// Take a loaded file out again; the next rebuild restates what hung on it
    #[command(
        after_help = "Example:\n  rejoin remove returns_0901.txt --suite acme --source returns && rejoin rebuild"
    )]
    Remove(RemoveArguments),
    /// Tie offline records to online visitors, where something is new
    #[command(after_help = "\
Only what hangs on inputs that changed is integrated again. Then the tables of your own are built: each file NAME.sql of the
folder (one query, SET statements before it) is the table NAME, kept as Parquet in the lake, built anew when its text or a
table that it reads changed, after the tables that it reads.

Examples:
  rejoin rebuild
  rejoin rebuild --queries ./tables     # tables/daily_returns.sql: SELECT ... FROM events ... GROUP BY 1
  rejoin query \"SELECT * FROM daily_returns\"
  rejoin query \"SELECT \\\"table\\\", status, message FROM own_tables\"")]
    Rebuild(RebuildArguments),
    /// Merge the files of many loads into files of whole months
    #[command(after_help = "\
Rows and answers stay the same, and so does the order in each file; scans have fewer files to merge. Queries and loads
that run meanwhile are not disturbed. A rebuild compacts by itself where it is worth it.")]
    Compact,
    /// Load what arrives and rebuild, by the clock; one runner a lake
    Schedule(ScheduleArguments),
    /// Let BI tools and browsers in: Postgres wire, Flight SQL, web pages
    Serve(ServeArguments),
    /// Who may use the doors that `serve` opens
    #[command(subcommand)]
    User(UserCommand),
    /// Many machines for one lake: scheduler and executors
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Suites and sources, and what waits for a rebuild
    Status,
    /// The file log: every file that was offered, newest first
    #[command(after_help = "Examples:\n  rejoin log --suite acme\n  rejoin log --errors returns_0901.txt")]
    Log(LogArguments),
    /// What happened to the lake: rebuilds, versions of tables, newest first
    #[command(after_help = "\
Rebuilds that are `kept` can be asked with --as-of; of those that are `vacuumed` files are gone.

Examples:
  rejoin history
  rejoin history --table hits --limit 100
  rejoin query \"SELECT count(*) FROM events\" --as-of 3")]
    History(HistoryArguments),
    /// Erase a visitor, or everything before a month
    #[command(after_help = "\
Hits, offline records and what came of them leave every table, of all suites or of --suite; other rows stay as they are.
Loading the same files again does not bring them back. Former versions hold the rows until they are vacuumed. In a
terminal you are asked first.

Examples:
  rejoin forget --visitor 3459017_8812 --suite acme --dry-run
  rejoin forget --visitor 3459017_8812 --yes && rejoin vacuum --keep 0 --force
  rejoin forget --before 2025-01 --suite acme      # January 2025, in the suite's zone, is kept as the first month")]
    Forget(ForgetArguments),
    /// Delete files that no version needs any more
    #[command(after_help = "\
Kept are all versions that were current within --keep, so that queries that run now end correctly and --as-of works for
that time; what the newest rebuild read and wrote; and files of loads that may still be running, for a day at least.

Examples:
  rejoin vacuum --dry-run
  rejoin vacuum --keep 30d
  rejoin vacuum --keep 0 --force      # only the newest, while nothing else runs")]
    Vacuum(VacuumArguments),
    /// Run SQL, print or save the result
    #[command(after_help = "\
Several statements are separated by `;`, each result is printed in turn.

Examples:
  rejoin query \"SELECT match_status, count(*) FROM events GROUP BY 1\"
  rejoin query \"SELECT item, credit FROM participation('orders', 'page_name', 'visit') ORDER BY 2 DESC LIMIT 10\"
  rejoin query -f report.sql --format csv -o report.csv
  rejoin query \"SELECT count(*) FROM events\" --as-of 12
  echo 'SELECT 1' | rejoin query -")]
    Query(QueryArguments),
    /// Interactive SQL; reads statements from stdin when that is no terminal
    Shell(ShellArguments),
    /// Named reports: model comparison, net revenue after returns, return on ad spend, ...
    #[command(after_help = "\
Without a name, lists the reports with their parameters. Each is plain SQL with these defaults: metric orders (or revenue),
dimension tracking_code, lookback 30 days, all history.

Examples:
  rejoin report
  rejoin report model_comparison --metric revenue --dimension marketing_channel --since 2026-09-01
  rejoin report return_on_ad_spend --cost event20 --model 'time_decay(3 days)' --format csv -o roas.csv
  rejoin report net_revenue --sql > my_report.sql
  rejoin report overview --html overview.html     (charts, tables and SQL in one file)")]
    Report(ReportArguments),
    /// Why the items of one conversion got what they got: its touches, and each model's share
    #[command(after_help = "\
Examples:
  rejoin explain-credit revenue tracking_code 'store_returns/store_returns.txt:17'
  rejoin explain-credit orders marketing_channel 9223372036854775807 --lookback '90 days' --models 'linear,time_decay(3 days)'

The event_id of a conversion stands in the table events, and in conversions('revenue', 'tracking_code').")]
    ExplainCredit(ExplainArguments),
    /// Load a table of your own that classifies a dimension, e.g. campaigns by channel
    #[command(after_help = "\
The file (.csv, .ndjson or .parquet) has a header; its first column is named as the dimension that it classifies, the others
are the classes. Loading it again replaces the rows.

Example:
  rejoin lookup campaigns campaigns.csv       # tracking_code,channel,owner
  rejoin query \"SELECT * FROM attribution('orders', 'campaigns.channel')\"")]
    Lookup(LookupArguments),
    /// The manual of the SQL functions
    Functions(FunctionsArguments),
    /// Check the lake, the settings and the versions
    Doctor,
    /// The manual by topic, and help for commands; without a word, what there is
    #[command(after_help = "\
Examples:
  rejoin help
  rejoin help participation
  rejoin help source create
  rejoin help --markdown manual/       # every topic and command, a file each")]
    Help(HelpArguments),
    /// Print the completion script of a shell
    #[command(after_help = "Example:\n  rejoin completions bash > ~/.local/share/bash-completion/completions/rejoin")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Online hits to make
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub hits: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rejoin sample ./sample --hits 1000000 --days 30 --seed 7")]
pub struct SampleArguments {
    /// Folder to write to; is created
    pub dir: PathBuf,
    /// Online hits
    #[arg(long, value_name = "N")]
    pub hits: Option<u64>,
    /// Days that they spread over
    #[arg(long, value_name = "D")]
    pub days: Option<u32>,
    /// Visitors
    #[arg(long, value_name = "V")]
    pub visitors: Option<u64>,
    /// Seed of everything random
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub enum SourceCommand {
    /// Create a data source
    #[command(after_help = "\
Kinds: `transaction` ties records by transaction ID, `customer` by the custom visitor ID, `summary` adds totals only.

Examples:
  rejoin source create acme leads --kind transaction --metrics event10,revenue --dimensions evar5,tracking_code
  rejoin source create acme call_centre --kind customer --metrics event20 --dimensions evar7")]
    Create(SourceArguments),
    /// Print the header of a data source file, to fill in
    #[command(after_help = "Example:\n  rejoin source template acme leads > leads_0901.txt")]
    Template {
        #[command(flatten)]
        source: SourceName,
    },
    /// List the sources, of all suites or of one
    List {
        /// Report suite id
        rsid: Option<String>,
    },
    /// Take no more files; what is loaded stays
    Deactivate {
        #[command(flatten)]
        source: SourceName,
    },
    /// Take files again, after a deactivation or a stop by errors
    Restart {
        #[command(flatten)]
        source: SourceName,
    },
}

#[derive(Debug, Args)]
pub struct SourceName {
    /// Report suite id
    pub rsid: String,
    /// Name of the source, or its id
    pub name: String,
}

#[derive(Debug, Args)]
pub struct SourceArguments {
    #[command(flatten)]
    pub source: SourceName,
    /// How its records are tied
    #[arg(long, value_name = "summary|transaction|customer")]
    pub kind: SourceKind,
    /// Metrics of the template, e.g. revenue,event10
    #[arg(long, value_name = "M,...", value_delimiter = ',')]
    pub metrics: Vec<String>,
    /// Dimensions of the template, e.g. evar5,tracking_code
    #[arg(long, value_name = "D,...", value_delimiter = ',')]
    pub dimensions: Vec<String>,
    /// A bad row: skip it and load the others, or stop the source until it is restarted
    #[arg(long, value_name = "skip|stop", default_value = "skip")]
    pub on_error: OnError,
}

#[derive(Debug, Args)]
pub struct IngestArguments {
    /// Files, folders (searched recursively) and s3://bucket/prefix/
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Data source that data source files belong to
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// How the columns of any other clickstream map to ours (TOML)
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    /// Only report what would be loaded and rejected
    #[arg(long)]
    pub validate: bool,
    /// A loaded file of this name with other content is replaced
    #[arg(long)]
    pub replace: bool,
}

#[derive(Debug, Args)]
pub struct RemoveArguments {
    /// Names of loaded files, as in the file log
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,
    /// Only files of this data source
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
}

#[derive(Debug, Args)]
pub struct RebuildArguments {
    /// Rebuild everything, stale or not
    #[arg(long)]
    pub full: bool,
    /// Folder with .sql files, each a table of your own [env: REJOIN_QUERIES] [default: queries/ in the lake]
    #[arg(long, value_name = "DIR", env = "REJOIN_QUERIES", hide_env = true)]
    pub queries: Option<PathBuf>,
    /// Do not compact afterwards, however many files the loads have left
    #[arg(long)]
    pub no_compact: bool,
}

#[derive(Debug, Args)]
pub struct LogArguments {
    /// Only files of this data source
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// At most so many files
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// The rejected rows of this file instead
    #[arg(long, value_name = "FILE")]
    pub errors: Option<String>,
}

#[derive(Debug, Args)]
pub struct ForgetArguments {
    /// The visitor's id, as in the table hits; may be given several times
    #[arg(long, value_name = "ID", required_unless_present = "before", conflicts_with = "before")]
    pub visitor: Vec<String>,
    /// All hits and offline records before this month, in the suite's zone
    #[arg(long, value_name = "MONTH")]
    pub before: Option<String>,
    /// Only tell what would go
    #[arg(long)]
    pub dry_run: bool,
    /// Folder with the queries of your own tables, as for a rebuild, which follows
    #[arg(long, value_name = "DIR", env = "REJOIN_QUERIES", hide_env = true)]
    pub queries: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct QueryArguments {
    /// SQL; `-` reads it from stdin
    #[arg(value_name = "SQL", required_unless_present = "file", conflicts_with = "file")]
    pub sql: Option<String>,
    /// Read the SQL from a file
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Write to a file, which appears when it is complete; its ending decides the format
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// See all tables as they were after this rebuild, or at this time
    #[arg(long, value_name = "REBUILD|TIME")]
    pub as_of: Option<String>,
}

#[derive(Debug, Args)]
pub struct ShellArguments {
    /// How to print results
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// See all tables as they were after this rebuild, or at this time
    #[arg(long, value_name = "REBUILD|TIME")]
    pub as_of: Option<String>,
}

#[derive(Debug, Args)]
pub struct ReportArguments {
    /// Name of the report; without one, all are listed
    pub name: Option<String>,
    /// The metric
    #[arg(long, value_name = "M")]
    pub metric: Option<String>,
    /// The dimension
    #[arg(long, value_name = "D")]
    pub dimension: Option<String>,
    /// The metric that holds the cost
    #[arg(long, value_name = "M")]
    pub cost: Option<String>,
    /// The attribution model, e.g. linear or 'time_decay(3 days)'
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// How long before a conversion a touch still counts, e.g. '30 days', or all
    #[arg(long, value_name = "TIME")]
    pub lookback: Option<String>,
    /// Conversions from this date or time on, in the suite's zone
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Conversions before this date or time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Print the SQL instead, to copy and change
    #[arg(long)]
    pub sql: bool,
    /// Write a page of charts, tables and SQL, which opens in a browser, offline
    #[arg(long, value_name = "FILE", requires = "name", conflicts_with_all = ["sql", "format", "output"])]
    pub html: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Write to a file, which appears when it is complete; its ending decides the format
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// See all tables as they were after this rebuild, or at this time
    #[arg(long, value_name = "REBUILD|TIME")]
    pub as_of: Option<String>,
}

impl ReportArguments {
    /// The parameters that were given: name, value.
    pub fn values(&self) -> Vec<(&'static str, &str)> {
        let given = [
            ("metric", &self.metric),
            ("dimension", &self.dimension),
            ("cost", &self.cost),
            ("model", &self.model),
            ("lookback", &self.lookback),
            ("since", &self.since),
            ("until", &self.until),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
    }
}

#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// The metric that was converted, e.g. revenue
    pub metric: String,
    /// The dimension whose items share it, e.g. tracking_code
    pub dimension: String,
    /// The conversion, as in the table events
    pub event_id: String,
    /// How far apart touch and conversion may lie
    #[arg(long, value_name = "visit|visitor")]
    pub container: Option<String>,
    /// How long before the conversion a touch still counts [default: 30 days]
    #[arg(long, value_name = "TIME")]
    pub lookback: Option<String>,
    /// Where an offline conversion stands: at its own time, or at its online hit
    #[arg(long, value_name = "event|snapshot")]
    pub basis: Option<String>,
    /// The models to show, separated by commas
    #[arg(long, value_name = "MODEL,...")]
    pub models: Option<String>,
    /// See all tables as they were after this rebuild, or at this time
    #[arg(long, value_name = "REBUILD|TIME")]
    pub as_of: Option<String>,
}

#[derive(Debug, Args)]
pub struct LookupArguments {
    /// Name of the table: lower-case letters, digits and _
    pub name: String,
    /// The file
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct FunctionsArguments {
    /// Only this function, in full
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct HelpArguments {
    /// A topic, or a command
    #[arg(value_name = "TOPIC|COMMAND")]
    pub words: Vec<String>,
    /// Write the whole manual into this folder, as Markdown
    #[arg(long, value_name = "DIR", conflicts_with = "words")]
    pub markdown: Option<PathBuf>,
}

/// `on` or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

/// Declares a choice whose typed word is the word that the lake stores.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($variant:ident => $word:literal),* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
        pub enum $name { $(#[value(name = $word)] $variant),* }

        impl $name {
            /// The word as typed and stored.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    };
}

choice! { /// Edition of the integration rules.
Rules { Classic => "classic", Current => "current" } }
choice! { /// What the expiry of a transaction ID is counted to.
ExpiryBasis { Event => "event", Received => "received" } }
choice! { /// How a source's records are tied.
SourceKind { Summary => "summary", Transaction => "transaction", Customer => "customer" } }
choice! { /// What a bad row does.
OnError { Skip => "skip", Stop => "stop" } }

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_overview_names_every_command() {
        let mut command = Arguments::command();
        command.build();
        let help = command.render_help().to_string();
        for sub in command.get_subcommands() {
            assert!(help.lines().any(|l| l.trim_start().starts_with(sub.get_name())), "{}\n{help}", sub.get_name());
        }
        command.debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in
            [["rejoin", "--suite", "acme", "status", "--json"], ["rejoin", "--json", "status", "--suite", "acme"]]
        {
            let arguments = Arguments::try_parse_from(line).unwrap();
            assert_eq!(arguments.global.suite.as_deref(), Some("acme"));
            assert!(arguments.global.json);
        }
    }

    #[test]
    fn a_mistyped_command_is_a_usage_error_with_a_suggestion() {
        let error = Arguments::try_parse_from(["rejoin", "ingst", "x"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("'ingest'"), "{error}");
    }
}
