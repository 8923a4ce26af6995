//! What was typed: the command line as clap reads it, with its help. What it means is decided in `settings`.

use clap::{Parser, Subcommand};

use super::cluster::ClusterCommand;
use super::demo::DemoArguments;
use super::explain_credit::ExplainArguments;
use super::export::ExportCommand;
use super::forget::ForgetArguments;
use super::functions::FunctionsArguments;
use super::global::GlobalArguments;
use super::help::HelpArguments;
use super::history::HistoryArguments;
use super::ingest::{IngestArguments, RemoveArguments};
use super::lookup::LookupArguments;
use super::mapping::MappingCommand;
use super::mcp::McpArguments;
use super::person::{ExplainPersonArguments, PersonCommand};
use super::query::{QueryArguments, ShellArguments};
use super::rebuild::RebuildArguments;
use super::report::ReportArguments;
use super::sample::SampleArguments;
use super::schedule::ScheduleArguments;
use super::segment::SegmentCommand;
use super::serve::ServeArguments;
use super::source::SourceCommand;
use super::status::LogArguments;
use super::suite::SuiteCommand;
use super::user::UserCommand;
use super::vacuum::VacuumArguments;

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
  source          Data sources, where offline records come from
  person          Your own rules: which visitors and customer IDs are one person

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
  forget          Erase a visitor, a person, or everything before a month
  vacuum          Delete files that no version needs any more

Ask:
  query           Run SQL, print or save the result
  shell           Interactive SQL
  report          Named reports: model comparison, net revenue after returns, ...
  explain-credit  How the credit of one conversion was shared, and why
  explain-person  Who a person is: which visitors, from when to when, and why
  lookup          Load a table of your own that classifies a dimension
  segment         Save visitors or visits under a name, to ask about them alone
  export          Tell ad platforms which conversions are new, changed or gone
  mapping         Print a first mapping for a file, to complete
  functions       The manual of the SQL functions

Let others in:
  serve           BI tools, browsers, assistants: Postgres wire, Flight SQL, web pages
  mcp             Assistants, over standard input and output (Model Context Protocol)
  user            Users of these servers, their passwords and tokens
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

Exit codes: 0 ok, 2 usage, 3 configuration, 4 a whole input refused, 5 conflict, 6 store or server unavailable, \
7 query failed, 70 a bug.";

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

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(DemoArguments),
    Sample(SampleArguments),
    /// Report suites and their settings
    #[command(subcommand)]
    Suite(SuiteCommand),
    /// Data sources, where offline records come from
    #[command(subcommand)]
    Source(SourceCommand),
    Ingest(IngestArguments),
    Remove(RemoveArguments),
    Rebuild(RebuildArguments),
    /// Merge the files of many loads into files of whole months
    #[command(after_help = "\
Rows and answers stay the same; queries have fewer files to read. Queries and loads that run meanwhile are not \
disturbed. A rebuild compacts by itself where it is worth it. Where there is much to merge, what is done is committed \
now and then: if a run ends early, the next one goes on.")]
    Compact,
    Schedule(ScheduleArguments),
    Serve(ServeArguments),
    Mcp(McpArguments),
    /// Users of `rejoin serve`, their passwords and tokens
    #[command(subcommand)]
    User(UserCommand),
    /// Many machines for one lake: scheduler and executors
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Suites and sources, and what waits for a rebuild
    Status,
    Log(LogArguments),
    History(HistoryArguments),
    Forget(ForgetArguments),
    Vacuum(VacuumArguments),
    Query(QueryArguments),
    Shell(ShellArguments),
    Report(ReportArguments),
    ExplainCredit(ExplainArguments),
    /// Persons: which visitors and customer IDs are one
    #[command(subcommand)]
    Person(PersonCommand),
    ExplainPerson(ExplainPersonArguments),
    Lookup(LookupArguments),
    /// Segments: visitors or visits saved under a name, to ask about them alone
    #[command(subcommand)]
    Segment(SegmentCommand),
    /// Exports: send ad platforms the conversions that are new, changed or gone
    #[command(subcommand)]
    Export(ExportCommand),
    /// Mappings: which column of your file is which of ours
    #[command(subcommand)]
    Mapping(MappingCommand),
    Functions(FunctionsArguments),
    /// Check the lake, the settings and the versions
    Doctor,
    Help(HelpArguments),
    /// Print the completion script of a shell
    #[command(after_help = "Example:\n  rejoin completions bash > ~/.local/share/bash-completion/completions/rejoin")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

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

    /// A paragraph is one line, which clap breaks where the terminal ends, and an example fits into the widest help.
    #[test]
    fn texts_below_the_options_are_wrapped_once() {
        let mut all = Arguments::command();
        all.build();
        let (mut commands, mut examples) = (vec![&all], 0);
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands());
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            for pair in lines.windows(2) {
                let parted = pair[0].is_empty() || pair[1].is_empty() || pair[1].starts_with("  ");
                assert!(parted, "{}: {}\n{}", command.get_name(), pair[0], pair[1]);
            }
            for example in lines.into_iter().filter(|line| line.starts_with("  ")) {
                assert!(example.chars().count() <= 100, "{}: {example}", command.get_name());
                examples += 1;
            }
        }
        assert!(examples > 50, "{examples}");
    }

    /// Each command says what it does.
    #[test]
    fn every_command_is_about_something() {
        let mut all = Arguments::command();
        all.build();
        let mut commands = vec![&all];
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands());
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty() && !about.starts_with("What was typed"), "{}: {about}", command.get_name());
        }
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
