//! The document: head, style, script. One file that asks for nothing else.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use uuid::Uuid;

use crate::clock::now;

/// The style of all pages.
pub(crate) const STYLE: &str = include_str!("assets/page.css");
/// Draws charts from the JSON beside them.
pub(crate) const SCRIPT: &str = include_str!("assets/page.js");
/// What draws them.
pub(crate) const ECHARTS: &str = include_str!("assets/echarts.min.js");

/// A whole page. `facts` are what was asked for: name, value.
pub(crate) fn document(title: &str, lead: &str, facts: &[(&str, String)], body: &Markup) -> String {
    // only the scripts of this file run, whatever the data holds
    let nonce = Uuid::new_v4().simple().to_string();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content="Rejoin";
                title { (title) " · Rejoin" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "To the report" }
                header {
                    h1 { (title) }
                    p { (lead) }
                    dl.facts { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } }
                }
                main id="main" { (body) }
                footer { "Made by Rejoin, " time datetime=(now().to_rfc3339()) { (now().format("%Y-%m-%d %H:%M UTC")) } "." }
                script nonce=(nonce) { (PreEscaped(ECHARTS)) }
                script nonce=(nonce) { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_can_stand_in_a_page() {
        for script in [SCRIPT, ECHARTS] {
            assert!(!script.contains("</script") && !script.contains("<!--"));
        }
        assert!(!STYLE.contains("</") && !STYLE.contains("@import") && !STYLE.contains("url("));
    }
}
