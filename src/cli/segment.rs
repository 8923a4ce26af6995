//! `rejoin segment`: visitors, persons or visits under a name, for questions to be about.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Subcommand, ValueEnum, value_parser};
use serde_json::json;

use super::choice::choice;
use super::listing::Listing;
use super::output::Output;
use super::settings::Settings;
use crate::Result;
use crate::attribution::Container;
use crate::engine::Engine;
use crate::format::Format;
use crate::lake::segments::{self, Segment, SegmentStep};
use crate::lake::suites::{self, suites};
use crate::quote::{literal, literals};

#[derive(Debug, Subcommand)]
pub enum SegmentCommand {
    /// Save a segment
    #[command(after_help = "\
A segment is the visitors, the persons, or the visits, with a row of events for which the condition is true, then a \
later row for the condition of --then, and so on. --within limits the time since the row before; --next wants the very \
next row of the journey.

Examples:
  rejoin segment create buyers 'orders > 0'
  rejoin segment create 'came back' 'orders > 0' \\
      --then \"row_kind = 'transaction' AND revenue < 0\" --within '30 days'
  rejoin segment create 'search visits' --container visit \"tracking_code LIKE 'search%'\" \\
      --then 'orders > 0'

  rejoin query \"SELECT * FROM attribution('revenue', 'tracking_code', segment => 'buyers')\"
  rejoin query \"SELECT count(*) FROM events WHERE in_segment('buyers')\"")]
    Create(SegmentArguments),
    /// List the segments
    List,
    /// Show a segment, and how many belong to it
    Show {
        /// Name of the segment
        name: String,
    },
    /// Drop a segment
    Drop {
        /// Name of the segment
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct SegmentArguments {
    /// Name of the segment
    pub name: String,
    /// Whether visitors, persons or visits belong to it
    #[arg(long, value_name = "visitor|person|visit", default_value = "visitor", hide_possible_values = true)]
    pub container: SegmentContainer,
    #[command(flatten)]
    pub steps: Steps,
}

choice! { /// What a segment is made of.
SegmentContainer { Visitor => "visitor", Person => "person", Visit => "visit" } }

/// The conditions, in the order in which they were written, each with what follows it.
#[derive(Debug)]
pub struct Steps(Vec<SegmentStep>);

impl Args for Steps {
    fn augment_args(command: Command) -> Command {
        let condition = Arg::new("condition").value_name("SQL").required(true);
        let then = Arg::new("then").long("then").value_name("SQL").action(ArgAction::Append);
        let within = Arg::new("within").long("within").value_name("TIME").action(ArgAction::Append);
        let next =
            Arg::new("next").long("next").action(ArgAction::Append).num_args(0).value_parser(value_parser!(bool));
        command
            .arg(condition.help("The condition over the columns of events"))
            .arg(then.help("A condition of a later row; may be given several times"))
            .arg(within.help("How long after the row of the condition before at most, e.g. '7 days'"))
            .arg(next.default_missing_value("true").help("The row of --then is the very next row of the journey"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Steps {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let texts = |name: &str| {
            let values = matches.get_many::<String>(name).into_iter().flatten().cloned();
            matches.indices_of(name).into_iter().flatten().zip(values).collect::<Vec<_>>()
        };
        let step = |condition: String| SegmentStep { condition, within: None, next: false };
        let mut steps: Vec<SegmentStep> = texts("condition").into_iter().map(|(_, text)| step(text)).collect();
        let thens = texts("then");
        steps.extend(thens.iter().map(|(_, text)| step(text.clone())));
        // what follows a --then is about it
        let of = |place: usize| thens.iter().filter(|(then, _)| *then < place).count();
        for (place, within) in texts("within") {
            steps[of(place)].within = Some(within);
        }
        for place in matches.indices_of("next").into_iter().flatten() {
            steps[of(place)].next = true;
        }
        Ok(Self(steps))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Runs `segment create`, `list`, `show`, `drop`.
pub async fn run(settings: &Settings, command: &SegmentCommand) -> Result<()> {
    let lake = &settings.lake;
    let all_suites = suites(lake).await?;
    let suite = suites::one(&all_suites, settings.suite.as_deref())?;
    let known = segments::segments(suite)?;
    let mut output = Output::stdout(Format::Table);
    let (shown, line) = match command {
        SegmentCommand::Create(typed) => {
            let container =
                if typed.container == SegmentContainer::Visit { Container::Visit } else { Container::Visitor };
            let by_person = typed.container == SegmentContainer::Person;
            let segment = Segment { container, by_person, steps: typed.steps.0.clone() };
            segments::check(&typed.name, &segment)?;
            check_conditions(settings, &segment).await?;
            segments::create(lake, &suite.suite, &typed.name, &segment).await?;
            let line = format!("segment {} is saved: {segment}", typed.name);
            (json!({"segment": typed.name, "container": segment.container_name(), "steps": segment.steps}), line)
        }
        SegmentCommand::List => {
            if settings.json {
                output.json(&known)?;
                return output.close();
            }
            let listing = Listing::new()
                .text("segment", known.keys())
                .text("who", known.values().map(Segment::to_string).collect::<Vec<_>>().iter());
            output.batch(&listing.batch()?)?;
            return output.close();
        }
        SegmentCommand::Show { name } => {
            let segment = segments::find(&known, &suite.suite, name)?;
            let engine = engine(settings).await?;
            let count = engine.collect(&format!("SELECT count(*) FROM segment_members({})", literal(name))).await?;
            let count = count.first().map(|batch| batch.column(0).clone());
            let count = count.as_deref().and_then(|c| c.as_any().downcast_ref::<arrow::array::Int64Array>());
            let count = count.map_or(0, |count| count.value(0));
            let line = format!("{name}: {count} belong to it, {segment}");
            (
                json!({"segment": name, "container": segment.container_name(), "steps": segment.steps, "members": count}),
                line,
            )
        }
        SegmentCommand::Drop { name } => {
            segments::remove(lake, &suite.suite, name).await?;
            (json!({"segment": name, "dropped": true}), format!("segment {name} is gone"))
        }
    };
    if settings.json {
        output.json(&shown)?
    } else {
        output.line(line)?
    }
    output.close()
}

async fn engine(settings: &Settings) -> Result<Engine> {
    Engine::open(settings.lake.clone(), settings.engine(None)?).await
}

/// What cannot be asked is no segment: a condition with an error in it is not saved.
async fn check_conditions(settings: &Settings, segment: &Segment) -> Result<()> {
    let texts = literals(segment.steps.iter().map(|step| step.condition.as_str()));
    let container = if segment.by_person { "person" } else { "visitor" };
    let engine = engine(settings).await?;
    engine.plan(&format!("SELECT * FROM funnel(steps => [{texts}], container => '{container}')")).await.map(drop)
}
