//! Progress on stderr, only when that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for a known amount; `unit` is `bytes` or what is counted.
pub fn bar(title: &str, total: u64, unit: &str) -> ProgressBar {
    let bar = ProgressBar::new(total).with_message(title.to_string());
    let counted = if unit == "bytes" { "{bytes}/{total_bytes}".to_string() } else { format!("{{human_pos}} {unit}") };
    bar.set_style(style(&format!("{{msg}} {{wide_bar:.cyan/dim}} {counted} {{eta}}")));
    bar
}

/// A spinner for an unknown amount.
pub fn spinner(title: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(title.to_string());
    spinner.set_style(style("{spinner} {msg}"));
    // without a terminal there is nothing to redraw
    if !spinner.is_hidden() {
        spinner.enable_steady_tick(Duration::from_millis(100));
    }
    spinner
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
