//! The shell for a person: a line editor around a [`Session`]. Errors are shown and the shell goes on.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use reedline::{
    ColumnarMenu, DefaultHinter, Emacs, FileBackedHistory, KeyCode, KeyModifiers, MenuBuilder, Prompt, PromptEditMode,
    PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu, Signal, ValidationResult, Validator,
    default_emacs_keybindings,
};

use super::completion::CompletionNames;
use super::highlight::SqlHighlighter;
use super::session::{Next, Session};
use super::{command, lexer};
use crate::{Error, Result};

/// Lines of history that are kept.
const HISTORY_LINES: usize = 10_000;
const MENU: &str = "completion";

/// Reads and runs until the user leaves. `place` is shown in the greeting.
pub async fn interactive(session: &mut Session<'_>, place: &str, colours: bool) -> Result<()> {
    session.say(&format!("Rejoin {}, lake {place}. \\? for help, \\q to quit.", env!("CARGO_PKG_VERSION")))?;
    let names = CompletionNames::default();
    let (engine, filled) = (session.engine.clone(), names.clone());
    let loading = tokio::spawn(async move { filled.load(&engine).await });
    let mut editor = editor(names, colours);
    loop {
        let line = tokio::task::block_in_place(|| editor.read_line(&SqlPrompt));
        match line {
            Ok(Signal::Success(text)) => match guarded(session, &text).await {
                Ok(Next::Continue) => {}
                Ok(Next::Quit) => break,
                Err(error) => session.say(&format!("error: {error}"))?,
            },
            // a line that was given up
            Ok(Signal::CtrlC) => {}
            Ok(_) => break,
            Err(error) => return Err(Error::unavailable(format!("terminal: {error}"))),
        }
    }
    loading.abort();
    session.finish()
}

/// Runs the input; Ctrl-C stops it by dropping its stream.
async fn guarded(session: &mut Session<'_>, text: &str) -> Result<Next> {
    tokio::select! {
        done = session.execute(text) => done,
        _ = tokio::signal::ctrl_c() => Err(Error::query("stopped")),
    }
}

fn editor(names: CompletionNames, colours: bool) -> Reedline {
    let mut keys = default_emacs_keybindings();
    let complete = vec![ReedlineEvent::Menu(MENU.into()), ReedlineEvent::MenuNext];
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, ReedlineEvent::UntilFound(complete));
    keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
    // Enter that was typed before the editor took the terminal arrives as a line feed
    keys.add_binding(KeyModifiers::CONTROL, KeyCode::Char('j'), ReedlineEvent::Enter);
    let menu = Box::new(ColumnarMenu::default().with_name(MENU).with_columns(4));
    let mut editor = Reedline::create()
        .with_ansi_colors(colours)
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_completer(Box::new(names))
        .with_menu(ReedlineMenu::EngineCompleter(menu))
        .with_partial_completions(true)
        .with_validator(Box::new(UntilSemicolon));
    if colours {
        let dim = reedline::Color::DarkGray.normal();
        editor = editor
            .with_highlighter(Box::new(SqlHighlighter))
            .with_hinter(Box::new(DefaultHinter::default().with_style(dim)));
    }
    // Ctrl-O: the statement in the user's editor
    let chosen = ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    let scratch = std::env::temp_dir().join(format!("rejoin-{}.sql", std::process::id()));
    editor = editor.with_buffer_editor(std::process::Command::new(chosen.as_deref().unwrap_or("vi")), scratch);
    let open = |path: PathBuf| -> std::result::Result<_, String> {
        private(&path).map_err(|e| e.to_string())?;
        FileBackedHistory::with_file(HISTORY_LINES, path).map_err(|e| e.to_string())
    };
    match history_file().map(open) {
        Some(Ok(history)) => editor.with_history(Box::new(history)),
        Some(Err(error)) => {
            tracing::warn!(%error, "the history of the shell is not kept");
            editor
        }
        None => editor,
    }
}

/// Makes the file, readable by its owner only.
fn private(path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let file = std::fs::File::options().create(true).append(true).open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(())
}

/// `rejoin/history` in the XDG state folder.
fn history_file() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").filter(|p| p.is_absolute());
    let state = state.or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(state.join("rejoin/history"))
}

/// A statement goes on until its semicolon; a command is one line.
struct UntilSemicolon;

impl Validator for UntilSemicolon {
    fn validate(&self, line: &str) -> ValidationResult {
        let whole = lexer::complete_until(line).is_some_and(|end| lexer::is_blank(&line[end..]));
        if whole || command::is_command(line) || lexer::is_blank(line) {
            ValidationResult::Complete
        } else {
            ValidationResult::Incomplete
        }
    }
}

struct SqlPrompt;

impl Prompt for SqlPrompt {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        "rejoin".into()
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        "> ".into()
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        "     -> ".into()
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        format!("(search: {}) ", search.term).into()
    }
}
