//! Markdown on a terminal: the part of it that the manual uses. Headings, paragraphs, lists, tables, code.
//!
//! In: Markdown, a width, and whether styles are welcome. Out: lines no wider than that, except code and tables whose words
//! are longer.

use crate::format::width;

const BOLD: &str = "1";
const DIM: &str = "2";
const CYAN: &str = "36";

/// The text for a terminal of so many columns.
pub fn render(text: &str, columns: usize, styles: bool) -> String {
    let paint = |style: &str, text: &str| if styles { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_string() };
    let mut out: Vec<String> = vec![];
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            while let Some(code) = lines.next_if(|l| !l.starts_with("```")) {
                out.push(format!("  {}", paint(CYAN, code)).trim_end().to_string());
            }
            lines.next();
        } else if line.starts_with('#') {
            out.push(paint(BOLD, line.trim_start_matches('#').trim()));
        } else if line.starts_with("    ") {
            out.push(line[2..].to_string());
        } else if line.starts_with('|') {
            let mut rows = vec![cells(line)];
            while let Some(row) = lines.next_if(|l| l.starts_with('|')) {
                rows.push(cells(row));
            }
            out.extend(table(&rows, columns, styles));
        } else if line.is_empty() {
            out.push(String::new());
        } else {
            let item = line.starts_with("* ");
            let mut paragraph = line.to_string();
            let goes_on = |l: &&str| {
                !l.is_empty() && !l.starts_with(['*', '|', '#']) && !l.starts_with("```") || l.starts_with("**")
            };
            while let Some(more) = lines.next_if(goes_on) {
                paragraph = format!("{} {}", paragraph, more.trim());
            }
            for (i, line) in wrapped(&paragraph, columns.saturating_sub(if item { 2 } else { 0 })).iter().enumerate() {
                out.push(format!("{}{}", if item && i > 0 { "  " } else { "" }, styled(line, styles)));
            }
        }
    }
    out.join("\n") + "\n"
}

fn cells(row: &str) -> Vec<String> {
    // `\|` is a bar in a cell
    let row = row.trim().trim_matches('|').replace("\\|", "\u{1}");
    row.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect()
}

/// Columns of equal width in all rows; the last one wraps.
fn table(rows: &[Vec<String>], columns: usize, styles: bool) -> Vec<String> {
    let plain = |cell: &String| width(&styled(cell, false));
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..count)
        .map(|i| rows.iter().filter(|r| !ruled(r)).filter_map(|r| r.get(i)).map(plain).max().unwrap_or(0))
        .collect();
    // whichever column is the widest gives way
    while widths.iter().sum::<usize>() + 2 * count > columns {
        match widths.iter_mut().max() {
            Some(widest) if *widest > 12 => *widest -= 1,
            _ => break,
        }
    }
    let mut out = vec![];
    for (n, row) in rows.iter().enumerate() {
        if ruled(row) {
            let rule: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
            out.push(rule.join("  "));
            continue;
        }
        let parts: Vec<Vec<String>> =
            widths.iter().enumerate().map(|(i, w)| wrapped(row.get(i).map_or("", |c| c), *w)).collect();
        for line in 0..parts.iter().map(Vec::len).max().unwrap_or(1) {
            let mut text = String::new();
            for (part, w) in parts.iter().zip(&widths) {
                let cell = part.get(line).map_or("", |c| c);
                let shown = if n == 0 && styles { format!("\x1b[{DIM}m{cell}\x1b[0m") } else { styled(cell, styles) };
                let padding = w.saturating_sub(width(&styled(cell, false)));
                text.push_str(&format!("{shown}{}", " ".repeat(padding + 2)));
            }
            out.push(text.trim_end().to_string());
        }
    }
    out
}

fn ruled(row: &[String]) -> bool {
    row.iter().all(|cell| cell.starts_with("---"))
}

/// Lines of at most so many columns, broken at spaces outside code.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![];
    let mut line = String::new();
    let mut word = String::new();
    let mut code = false;
    for c in text.trim().chars().chain([' ']) {
        code ^= c == '`';
        if c != ' ' || code {
            word.push(c);
            continue;
        }
        let fits = width(&styled(&line, false)) + 1 + width(&styled(&word, false)) <= columns;
        if !line.is_empty() && !fits {
            lines.push(std::mem::take(&mut line));
        }
        line.push_str(if line.is_empty() { "" } else { " " });
        line.push_str(&std::mem::take(&mut word));
    }
    lines.push(line);
    lines
}

/// `code` and **strong** as styles; without styles only their text.
fn styled(text: &str, styles: bool) -> String {
    let mut out = String::new();
    let mut rest = text;
    loop {
        let code = rest.find('`').map(|at| (at, "`", CYAN));
        let marks = ["**", "*"].iter().zip([BOLD, "3"]);
        let strong = marks.filter_map(|(mark, style)| rest.find(mark).map(|at| (at, *mark, style))).next();
        let first = [code, strong].into_iter().flatten().min_by_key(|(at, ..)| *at);
        let Some((at, mark, style)) = first else { break };
        let inner = &rest[at + mark.len()..];
        // a mark that is not closed, or that opens a list, is text
        let Some(end) = inner.find(mark).filter(|end| *end > 0 && !inner.starts_with(' ')) else {
            out.push_str(&rest[..at + mark.len()]);
            rest = inner;
            continue;
        };
        out.push_str(&rest[..at]);
        out.push_str(&if styles { format!("\x1b[{style}m{}\x1b[0m", &inner[..end]) } else { inner[..end].to_string() });
        rest = &inner[end + mark.len()..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_and_styled() {
        let text = "# Title\n\nSome **bold** words with `a b` in\ntwo lines.\n\n* an item that is long\n* 2 * 3\n\n```sql\nSELECT *;\n```\n";
        assert_eq!(
            render(text, 20, false),
            "Title\n\nSome bold words with\na b in two lines.\n\n* an item that is\n  long\n* 2 * 3\n\n  SELECT *;\n"
        );
        assert!(render(text, 20, true).contains("\x1b[1mbold\x1b[0m"));
    }

    #[test]
    fn tables_fit() {
        let text = "| a | meaning |\n| --- | --- |\n| `x\\|y` | some words that are long |\n";
        let expected = "a    meaning\n---  -----------------\nx|y  some words that\n     are long\n";
        assert_eq!(render(text, 24, false), expected);
    }
}
