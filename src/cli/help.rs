//! `rejoin help`: the manual's topics and the commands' own help, on the terminal or as Markdown files.

use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};

use super::output::Output;
use super::settings::Settings;
use super::{markdown, terminal};
use crate::error::did_you_mean;
use crate::format::Format;
use crate::manual::{self, topics};
use crate::{Error, Result};

/// The manual by topic, and the help of commands; alone, it lists both
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rejoin help
  rejoin help participation
  rejoin help source create
  rejoin help --markdown manual/       # a file for every topic and command")]
pub struct HelpArguments {
    /// A topic, or a command
    #[arg(value_name = "TOPIC|COMMAND")]
    pub words: Vec<String>,
    /// Write the whole manual into this folder, as Markdown
    #[arg(long, value_name = "DIR", conflicts_with = "words")]
    pub markdown: Option<PathBuf>,
}

/// Longest line of running text that is good to read.
const READABLE: usize = 100;

/// Prints the list, a topic, a command's help, or writes everything down; `all` is the whole command line.
pub fn run(settings: &Settings, arguments: &HelpArguments, all: &clap::Command) -> Result<()> {
    if let Some(folder) = &arguments.markdown {
        return export(folder, all);
    }
    let text = if arguments.words.is_empty() { contents(all) } else { chapter(&arguments.words, all)? };
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        output.json(&serde_json::json!({ "markdown": text }))?;
        return output.close();
    }
    let text_style = terminal::text_style();
    let shown = markdown::render(&text, text_style.terminal.unwrap_or(READABLE).min(READABLE), text_style.colour);
    if text_style.terminal.is_none() || !terminal::paged(&shown) {
        output.line(shown.trim_end())?;
    }
    output.close()
}

/// What there is: topics, then commands.
fn contents(all: &clap::Command) -> String {
    let mut text = "# Manual\n\n`rejoin help TOPIC`, `rejoin help COMMAND`, `rejoin COMMAND --help`\n\n".to_string();
    text += "| topic | about |\n| --- | --- |\n";
    for topic in topics() {
        text += &format!("| `{}` | {} |\n", topic.name, topic.about);
    }
    text += "\n| command | about |\n| --- | --- |\n";
    for command in all.get_subcommands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        text += &format!("| `{}` | {about} |\n", command.get_name());
    }
    text
}

/// A topic, a command, or both where both have the name: first what it is, then how it is typed.
fn chapter(words: &[String], all: &clap::Command) -> Result<String> {
    let topic = manual::topic(&words.join(" ")).map(manual::Topic::markdown);
    let command = usage(words, all);
    if topic.is_none() && command.is_none() {
        let known = topics().iter().map(|t| t.name).chain(all.get_subcommands().map(clap::Command::get_name));
        let name = words.join(" ");
        let hint = did_you_mean(&name, known);
        return Err(Error::usage(format!("there is no topic or command {name} (all of them: rejoin help){hint}")));
    }
    Ok([topic, command].into_iter().flatten().collect::<Vec<_>>().join("\n"))
}

/// The help of a command, as clap prints it. None where there is no such command.
fn usage(words: &[String], all: &clap::Command) -> Option<String> {
    let mut all = all.clone();
    all.build();
    let mut command = &mut all;
    for word in words {
        command = command.find_subcommand_mut(word)?;
    }
    let title = format!("rejoin {}", words.join(" "));
    let help = command.clone().bin_name(&title).render_long_help();
    Some(format!("# {title}\n\n```text\n{}\n```\n", help.to_string().trim_end()))
}

/// A file a topic and a command, and `README.md` with links to them.
fn export(folder: &Path, all: &clap::Command) -> Result<()> {
    let failed = |e: std::io::Error| Error::configuration(format!("{}: {e}", folder.display()));
    fs::create_dir_all(folder).map_err(failed)?;
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).map_err(failed);
    let mut index = "# Rejoin, the manual\n\n".to_string();
    for topic in topics() {
        write(&format!("{}.md", topic.name), &topic.markdown())?;
        index += &format!("* [{}]({}.md): {}\n", topic.name, topic.name, topic.about);
    }
    index += "\nCommands:\n\n";
    for command in all.get_subcommands() {
        let name = command.get_name().to_string();
        let mut pages = usage(std::slice::from_ref(&name), all).into_iter().collect::<Vec<_>>();
        let inner = command.get_subcommands().filter_map(|c| usage(&[name.clone(), c.get_name().to_string()], all));
        pages.extend(inner);
        write(&format!("command-{name}.md"), &pages.join("\n"))?;
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        index += &format!("* [{name}](command-{name}.md): {about}\n");
    }
    write("README.md", &index)
}
