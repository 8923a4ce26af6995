//! Colours of the line that is being edited.

use reedline::{Color, Highlighter, StyledText};

use super::completion::is_keyword;
use super::lexer::{Kind, tokens};

/// Keywords, texts, names, numbers and comments in their colours.
pub struct SqlHighlighter;

impl Highlighter for SqlHighlighter {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut styled = StyledText::new();
        for token in tokens(line) {
            let text = &line[token.range.clone()];
            let calls = line[token.range.end..].starts_with('(');
            let style = match token.kind {
                Kind::Word if is_keyword(text) => Color::LightBlue.bold(),
                Kind::Word if calls => Color::Cyan.normal(),
                Kind::Text => Color::Green.normal(),
                Kind::Name => Color::Yellow.normal(),
                Kind::Number => Color::Magenta.normal(),
                Kind::Comment => Color::DarkGray.normal(),
                _ => Default::default(),
            };
            styled.push((style, text.to_string()));
        }
        styled
    }
}
