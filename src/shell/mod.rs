//! Interactive SQL: a person's lines become statements, statements become printed results.
//!
//! * `session`: runs what was entered; the same for a person and for a script.
//! * `command`: backslash commands, `\d`, `\format`, ...
//! * `lexer`: where statements end and what their words are.
//! * `interactive`: the line editor, with `completion` and `highlight`; `script`: statements from a file or a pipe,
//!   which `reader` cuts.
//! * `spot`: the place in the SQL that an error is about.
//! * `printer`: what the door above gives for output. `tables`: tables and types in words.
//!
//! In: an engine and a printer. Out: printed results; errors end a script, never the interactive shell.

mod command;
mod completion;
mod highlight;
mod interactive;
mod lexer;
mod printer;
mod reader;
mod script;
mod session;
mod spot;
mod tables;

pub use command::HELP;
pub use interactive::interactive;
pub use printer::Printer;
pub use script::script;
pub use session::Session;
pub use spot::place;
pub use tables::LARGE_TABLES;
