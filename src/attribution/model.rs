//! The attribution models by name, with their parameters: text in, [`Model`] out and back.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::did_you_mean;
use crate::time::{DAY_US, duration_text, parse_duration};

/// How far apart a touch and a conversion may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Container {
    /// The same visit; rows of no visit (offline rows) are out, and a lookback is ignored.
    Visit,
    /// The same visitor.
    Visitor,
}

/// How the value of one conversion is shared among the touches in its reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub enum Model {
    /// All to the first touch.
    FirstTouch,
    /// All to the last touch.
    LastTouch,
    /// All to the touch on the conversion's own row, else to none.
    SameTouch,
    /// Equal shares.
    Linear,
    /// 40 first, 20 between, 40 last; two touches 50/50.
    UShaped,
    /// 20 first, 20 between, 60 last; two touches 25/75.
    JShaped,
    /// 60 first, 20 between, 20 last; two touches 75/25.
    InverseJ,
    /// A touch loses half its weight per half-life.
    TimeDecay {
        /// More than 0, in microseconds.
        half_life_us: i64,
        /// Age counts in whole spans of 24 hours.
        whole_days: bool,
    },
    /// Weights of the user's own.
    Custom(Weights),
    /// The full value to each distinct item, or to each touch.
    Participation {
        /// An item gets a conversion's value once, on its first touch in reach.
        deduplicate: bool,
    },
    /// Shapley value over the sets of items seen on converting and non-converting paths.
    Algorithmic,
    /// The part of all success that is lost without an item, in a chain of the paths.
    Markov {
        /// How many of the last items what comes next hangs on, 1 to 5.
        order: u8,
    },
}

/// The weights of the first, the middle and the last touches; only their proportions matter.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(into = "[u64; 3]", try_from = "[u64; 3]")]
pub struct Weights {
    first: f64,
    middle: f64,
    last: f64,
}

/// The names of the models, as written in SQL.
const NAMES: [&str; 12] = [
    "first_touch",
    "last_touch",
    "same_touch",
    "linear",
    "u_shaped",
    "j_shaped",
    "inverse_j",
    "time_decay",
    "custom",
    "participation",
    "algorithmic",
    "markov",
];

impl Container {
    const NAMES: [&str; 2] = ["visit", "visitor"];
}

impl Model {
    /// The half-life of a `time_decay` without parameters: 7 days.
    pub const HALF_LIFE_US: i64 = 7 * DAY_US;

    /// True where the share of a conversion hangs on the journeys of all visitors.
    pub fn needs_all_visitors(self) -> bool {
        matches!(self, Model::Algorithmic | Model::Markov { .. })
    }

    /// True where the times of touches and conversions count, not only their order.
    pub fn needs_times(self) -> bool {
        matches!(self, Model::TimeDecay { .. })
    }

    /// The weights of the models that tell first, middle and last touches apart.
    pub fn weights(self) -> Option<Weights> {
        match self {
            Model::UShaped => Weights::new(40.0, 20.0, 40.0),
            Model::JShaped => Weights::new(20.0, 20.0, 60.0),
            Model::InverseJ => Weights::new(60.0, 20.0, 20.0),
            Model::Custom(weights) => Some(weights),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Model::FirstTouch => "first_touch",
            Model::LastTouch => "last_touch",
            Model::SameTouch => "same_touch",
            Model::Linear => "linear",
            Model::UShaped => "u_shaped",
            Model::JShaped => "j_shaped",
            Model::InverseJ => "inverse_j",
            Model::TimeDecay { .. } => "time_decay",
            Model::Custom(_) => "custom",
            Model::Participation { .. } => "participation",
            Model::Algorithmic => "algorithmic",
            Model::Markov { .. } => "markov",
        }
    }
}

impl Weights {
    /// `None` unless all weights and their sum are finite, none is negative and one is positive.
    pub fn new(first: f64, middle: f64, last: f64) -> Option<Self> {
        let total = first + middle + last;
        let usable = first >= 0.0 && middle >= 0.0 && last >= 0.0 && total > 0.0 && total.is_finite();
        // -0 becomes 0: equal weights are the same bits
        usable.then_some(Self { first: first + 0.0, middle: middle + 0.0, last: last + 0.0 })
    }

    /// The shares of the first touch, of all middle ones together, and of the last, of a path of `touches`; in sum 1.
    ///
    /// A single touch takes all (as the first); two touches ignore the middle weight.
    pub fn of_path(self, touches: usize) -> (f64, f64, f64) {
        let Self { first, middle, last } = self;
        let (ends, all) = (first + last, first + middle + last);
        match touches {
            0 | 1 => (1.0, 0.0, 0.0),
            2 if ends == 0.0 => (0.5, 0.0, 0.5),
            2 => (first / ends, 0.0, last / ends),
            _ => (first / all, middle / all, last / all),
        }
    }
}

// written as bits: numbers as text may come back with another last digit
impl From<Weights> for [u64; 3] {
    fn from(weights: Weights) -> Self {
        [weights.first, weights.middle, weights.last].map(f64::to_bits)
    }
}

impl TryFrom<[u64; 3]> for Weights {
    type Error = &'static str;

    fn try_from(bits: [u64; 3]) -> Result<Self, Self::Error> {
        let [first, middle, last] = bits.map(f64::from_bits);
        Self::new(first, middle, last).ok_or("no weights")
    }
}

impl Eq for Weights {}

impl Hash for Weights {
    fn hash<H: Hasher>(&self, state: &mut H) {
        [self.first, self.middle, self.last].map(f64::to_bits).hash(state);
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[*self as usize])
    }
}

impl FromStr for Model {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().to_lowercase();
        let (name, parameters) = match text.split_once('(') {
            None => (text.as_str(), None),
            Some((name, rest)) => match rest.strip_suffix(')') {
                Some(inside) => (name.trim_end(), Some(inside)),
                None => return Err(format!("model {text:?}: the closing parenthesis is missing")),
            },
        };
        let plain = match name {
            "time_decay" => {
                return time_decay(parameters.unwrap_or_default()).map_err(|e| format!("model {text:?}: {e}"));
            }
            "markov" => return markov(parameters.unwrap_or_default()).map_err(|e| format!("model {text:?}: {e}")),
            "custom" => return custom(parameters.unwrap_or_default()).map_err(|e| format!("model {text:?}: {e}")),
            "first_touch" => Model::FirstTouch,
            "last_touch" => Model::LastTouch,
            "same_touch" => Model::SameTouch,
            "linear" => Model::Linear,
            "u_shaped" => Model::UShaped,
            "j_shaped" => Model::JShaped,
            "inverse_j" => Model::InverseJ,
            "participation" => Model::Participation { deduplicate: true },
            "algorithmic" => Model::Algorithmic,
            _ => {
                let near = did_you_mean(name, NAMES);
                return Err(format!("unknown model {name:?} (the models are {}){near}", NAMES.join(", ")));
            }
        };
        match parameters {
            Some(p) if !p.trim().is_empty() => Err(format!("model {text:?}: {name} takes no parameters")),
            _ => Ok(plain),
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Model::TimeDecay { half_life_us, whole_days } => {
                write!(f, "({}{})", duration_text(*half_life_us), if *whole_days { ", whole" } else { "" })
            }
            Model::Custom(Weights { first, middle, last }) => {
                write!(f, "({first}, {middle}, {last})")
            }
            Model::Markov { order: order @ 2.. } => write!(f, "({order})"),
            _ => Ok(()),
        }
    }
}

fn time_decay(parameters: &str) -> Result<Model, String> {
    let (mut half_life_us, mut whole_days) = (None, None);
    for parameter in parameters.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        match parameter {
            "whole" | "exact" if whole_days.is_none() => whole_days = Some(parameter == "whole"),
            _ if half_life_us.is_none() => match parse_duration(parameter)? {
                0 => return Err("a half-life is longer than 0".into()),
                us => half_life_us = Some(us),
            },
            _ => return Err(format!("{parameter:?} is too much; write e.g. 'time_decay(3 days, whole)'")),
        }
    }
    Ok(Model::TimeDecay {
        half_life_us: half_life_us.unwrap_or(Model::HALF_LIFE_US),
        whole_days: whole_days.unwrap_or(false),
    })
}

fn markov(parameters: &str) -> Result<Model, String> {
    let order = if parameters.trim().is_empty() { Some(1) } else { parameters.trim().parse().ok() };
    match order {
        Some(order @ 1..=5) => Ok(Model::Markov { order }),
        _ => Err("it takes on how many of the last items the next one hangs, 1 to 5: 'markov(2)'".into()),
    }
}

fn custom(parameters: &str) -> Result<Model, String> {
    let numbers: Option<Vec<f64>> = parameters.split(',').map(|p| p.trim().parse().ok()).collect();
    let &[first, middle, last] = numbers.as_deref().unwrap_or_default() else {
        return Err(
            "three weights are needed, for the first, the middle and the last touches: 'custom(50,20,30)'".into()
        );
    };
    Weights::new(first, middle, last)
        .map(Model::Custom)
        .ok_or_else(|| "weights are 0 or more, and not all of them 0".into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_read_back() {
        for name in NAMES.into_iter().filter(|n| *n != "custom").chain([
            "time_decay(3 days)",
            "time_decay(12 hours, whole)",
            "time_decay(1 day)",
            "custom(50, 25, 25)",
            "markov(5)",
        ]) {
            let model: Model = name.parse().unwrap();
            assert_eq!(model.to_string().parse(), Ok(model), "{name}");
            assert!(name == "time_decay" || model.to_string() == name, "{name}: {model}");
        }
        assert_eq!(" Time_Decay( WHOLE ,3d) ".parse(), "time_decay(3 days, whole)".parse::<Model>());
        assert_eq!(Container::Visitor.to_string(), "visitor");
    }

    #[test]
    fn wrong_names_say_the_right_one() {
        for (text, why) in [
            ("lasttouch", "did you mean last_touch?"),
            ("time-decay", "did you mean time_decay?"),
            ("", "the models are first_touch"),
            ("linear(3)", "takes no parameters"),
            ("time_decay(3 days", "parenthesis"),
            ("time_decay(3)", "unit is missing"),
            ("time_decay(0 days)", "longer than 0"),
            ("time_decay(3 days, 4 days)", "too much"),
            ("custom", "three weights"),
            ("custom(1,2)", "three weights"),
            ("custom(1,2,x)", "three weights"),
            ("custom(0,0,0)", "not all of them 0"),
            ("custom(1,-2,1)", "0 or more"),
            ("custom(nan,1,1)", "0 or more"),
        ] {
            let message = text.parse::<Model>().unwrap_err();
            assert!(message.contains(why), "{text}: {message}");
        }
    }

    #[test]
    fn weights_of_short_paths() {
        let j = Model::JShaped.weights().unwrap();
        assert_eq!(j.of_path(1), (1.0, 0.0, 0.0));
        assert_eq!(j.of_path(2), (0.25, 0.0, 0.75));
        assert_eq!(j.of_path(3), (0.2, 0.2, 0.6));
        assert_eq!(Model::UShaped.weights().unwrap().of_path(2), (0.5, 0.0, 0.5));
        assert_eq!(Model::InverseJ.weights().unwrap().of_path(2), (0.75, 0.0, 0.25));
        assert_eq!(Weights::new(0.0, 1.0, 0.0).unwrap().of_path(2), (0.5, 0.0, 0.5));
        assert_eq!(Weights::new(f64::MAX, f64::MAX, 0.0), None);
        assert_eq!(Weights::new(5.0, 2.0, 3.0).unwrap().of_path(9), Weights::new(50.0, 20.0, 30.0).unwrap().of_path(9));
        assert_eq!(Model::Linear.weights(), None);
    }
}
