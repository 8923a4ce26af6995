//! What a question of journeys leaves out, as typed: the arguments of the table functions that come by name.

use clap::Args;

use crate::quote::literal;

/// What is left out of journeys; each is an argument of the table functions (rejoin help questions).
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Filters")]
pub struct Filters {
    /// Touches only on rows where this SQL condition over events holds
    #[arg(long, value_name = "SQL")]
    pub touches: Option<String>,
    /// Only visitors with a row for which this condition holds
    #[arg(long, value_name = "SQL")]
    pub visitors: Option<String>,
    /// Only visits with a row for which this condition holds
    #[arg(long, value_name = "SQL")]
    pub visits: Option<String>,
    /// Only the visitors or visits of a segment
    #[arg(long, value_name = "NAME")]
    pub segment: Option<String>,
    /// Items whose touches count only where there is no other, e.g. 'Direct, Typed'
    #[arg(long, value_name = "ITEM,...")]
    pub last_resort: Option<String>,
    /// Which touches of a repeated item count: keep, collapse, first
    #[arg(long, value_name = "HOW", value_parser = ["keep", "collapse", "first"], hide_possible_values = true)]
    pub repeats: Option<String>,
    /// Only this many touches before a conversion count, the latest
    #[arg(long, value_name = "N")]
    pub last_touches: Option<u32>,
}

impl Filters {
    /// Those that were given: name, value as SQL.
    pub fn given(&self) -> Vec<(&'static str, String)> {
        let texts = [
            ("touches", &self.touches),
            ("visitors", &self.visitors),
            ("visits", &self.visits),
            ("segment", &self.segment),
            ("last_resort", &self.last_resort),
            ("repeats", &self.repeats),
        ];
        let texts = texts.into_iter().filter_map(|(name, value)| Some((name, literal(value.as_deref()?))));
        texts.chain(self.last_touches.map(|n| ("last_touches", n.to_string()))).collect()
    }
}
