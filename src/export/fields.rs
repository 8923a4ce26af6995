//! What each target can be sent of a conversion, and how it leaves the lake.
//!
//! A field that tells who somebody is leaves hashed, as the target documents it. What a target takes only as it is (an address
//! on the network, a browser) is personal all the same: the export has to say so in so many words.

use super::normal::Normal;
use super::target::Target;
use crate::{Error, Result};

/// A field of a target.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// What it is called in an export.
    pub name: &'static str,
    /// What it is.
    pub form: Form,
    /// It finds the person.
    pub identifies: bool,
    /// An export without it is none.
    pub required: bool,
    /// What it is, for a person.
    pub about: &'static str,
}

/// What a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Text,
    /// In lower case, without punctuation.
    Lower,
    /// An id of a click on an advertisement, as it is.
    Click,
    /// Who somebody is: hashed.
    Hashed(Normal),
    /// Who somebody is, as it is.
    Personal,
    /// The same for all conversions of an export.
    Fixed,
}

/// How the values of a field leave the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// As they are.
    AsIs,
    /// In lower case, without punctuation.
    Lower,
    /// Hashed.
    Hash(Normal),
}

const fn field(name: &'static str, form: Form, about: &'static str) -> Field {
    let identifies = matches!(form, Form::Click | Form::Hashed(_));
    Field { name, form, identifies, required: false, about }
}

const fn required(name: &'static str, form: Form, about: &'static str) -> Field {
    Field { required: true, ..field(name, form, about) }
}

/// Part of a description of a person, which finds nobody alone.
const fn part(name: &'static str, form: Form, about: &'static str) -> Field {
    Field { identifies: false, ..field(name, form, about) }
}

const fn finds(name: &'static str, form: Form, about: &'static str) -> Field {
    Field { identifies: true, ..field(name, form, about) }
}

/// IAB Tech Lab, Event and Conversion API 1.0.
const ECAPI: &[Field] = &[
    required("data_set_id", Form::Fixed, "the id of the destination that both sides agreed on"),
    field("event_type", Form::Text, "the type of the event; purchase without it"),
    field("source", Form::Text, "where it happened: website, phone_call, physical_store, ..."),
    field("currency", Form::Text, "the currency; the suite's without it"),
    field("click_id", Form::Click, "the platform's id of the click"),
    finds("impression_id", Form::Text, "the platform's id of the impression"),
    field("customer_identifier", Form::Hashed(Normal::Word), "your own id of the customer"),
    field("email", Form::Hashed(Normal::Email), "e-mail address"),
    field("phone", Form::Hashed(Normal::Phone), "phone number"),
    part("first_name", Form::Hashed(Normal::Name), "first name"),
    part("last_name", Form::Hashed(Normal::Name), "last name"),
    part("street", Form::Hashed(Normal::Name), "street and number"),
    part("city", Form::Lower, "city"),
    part("state", Form::Lower, "state"),
    part("country_code", Form::Lower, "country, two letters"),
    part("postal_code", Form::Hashed(Normal::Postal), "postal code"),
    part("gender", Form::Hashed(Normal::Word), "gender"),
    finds("ip", Form::Personal, "network address of the event"),
    part("user_agent", Form::Personal, "browser of the event"),
    finds("ifa", Form::Personal, "id of the device for advertising"),
    field("gpp_string", Form::Text, "consent by the Global Privacy Platform"),
    field("transaction_id", Form::Text, "your own id of the transaction"),
    field("page_url", Form::Text, "address of the page"),
    field("lead_source", Form::Text, "source of the lead"),
    field("lead_status", Form::Text, "status of the lead"),
    field("lead_reason", Form::Text, "reason for the lead"),
    field("phone_country", Form::Fixed, "the country of phone numbers without one, e.g. 49"),
];

/// Google, Data Manager API, events.ingest.
const GOOGLE: &[Field] = &[
    required("account", Form::Fixed, "the id of the account that receives, e.g. 1234567890"),
    required("conversion_action", Form::Fixed, "the id of the conversion action (productDestinationId)"),
    field("account_type", Form::Fixed, "the kind of the account; GOOGLE_ADS without it"),
    field("login_account", Form::Fixed, "the account that the token belongs to, where it is another one"),
    // of offline conversions it is required (release notes of version 1.2)
    required("event_source", Form::Text, "where it happened: WEB, APP, IN_STORE, PHONE, MESSAGE, OTHER"),
    field("currency", Form::Text, "the currency; the suite's without it"),
    field("gclid", Form::Click, "the id of the click"),
    field("gbraid", Form::Click, "the id of a click that led from an app to the web"),
    field("wbraid", Form::Click, "the id of a click that led from the web to an app"),
    field("email", Form::Hashed(Normal::GoogleEmail), "e-mail address"),
    field("phone", Form::Hashed(Normal::Phone), "phone number"),
    part("first_name", Form::Hashed(Normal::Word), "first name"),
    part("last_name", Form::Hashed(Normal::Word), "last name"),
    part("country_code", Form::Text, "country, two letters; of an address"),
    part("postal_code", Form::Text, "postal code; of an address"),
    field("phone_country", Form::Fixed, "the country of phone numbers without one, e.g. 49"),
];

/// Meta, Conversions API.
const META: &[Field] = &[
    field("event_name", Form::Text, "the name of the event; Purchase without it"),
    required(
        "action_source",
        Form::Text,
        "where it happened: website, phone_call, physical_store, system_generated, ...",
    ),
    field("test_event_code", Form::Fixed, "the code of a test"),
    field("currency", Form::Text, "the currency; the suite's without it"),
    field("fbc", Form::Click, "the id of the click, as the cookie _fbc has it"),
    finds("fbp", Form::Text, "the id of the browser, as the cookie _fbp has it"),
    finds("lead_id", Form::Text, "Meta's id of the lead"),
    field("external_id", Form::Hashed(Normal::Word), "your own id of the customer"),
    field("email", Form::Hashed(Normal::Email), "e-mail address"),
    field("phone", Form::Hashed(Normal::BarePhone), "phone number"),
    part("first_name", Form::Hashed(Normal::Name), "first name"),
    part("last_name", Form::Hashed(Normal::Name), "last name"),
    part("city", Form::Hashed(Normal::Letters), "city"),
    part("state", Form::Hashed(Normal::Letters), "state, two letters"),
    part("postal_code", Form::Hashed(Normal::Postal), "postal code"),
    part("country_code", Form::Hashed(Normal::Letters), "country, two letters"),
    part("gender", Form::Hashed(Normal::Initial), "gender"),
    part("birth_date", Form::Hashed(Normal::Date), "date of birth"),
    part("ip", Form::Personal, "network address of the event"),
    part("user_agent", Form::Personal, "browser of the event"),
    field("page_url", Form::Text, "address of the page"),
    field("order_id", Form::Text, "your own id of the order"),
    field("phone_country", Form::Fixed, "the country of phone numbers without one, e.g. 49"),
];

/// Columns of a file that tell who somebody is; any other name is a column, too.
const CSV: &[Field] = &[
    part("email", Form::Hashed(Normal::Email), "e-mail address"),
    part("phone", Form::Hashed(Normal::Phone), "phone number"),
    part("first_name", Form::Hashed(Normal::Name), "first name"),
    part("last_name", Form::Hashed(Normal::Name), "last name"),
    part("street", Form::Hashed(Normal::Name), "street and number"),
    part("birth_date", Form::Hashed(Normal::Date), "date of birth"),
    part("customer_id", Form::Hashed(Normal::Word), "id of the customer"),
    part("visitor_id", Form::Hashed(Normal::Word), "id of the visitor"),
    part("person_id", Form::Hashed(Normal::Word), "id of the person"),
    part("ip", Form::Hashed(Normal::Word), "network address"),
    field("currency", Form::Text, "the currency; the suite's without it"),
];

/// Columns of `events` that tell who somebody is, whatever field they become.
const PERSONAL_COLUMNS: [&str; 6] = ["visitor_id", "customer_id", "person_id", "ip", "ip2", "user_agent"];

/// Words for what is fixed or comes from a few words: target, field, the words.
const WORDS: [(Target, &str, &[&str]); 3] = [
    (
        Target::Ecapi,
        "source",
        &[
            "email",
            "website",
            "app",
            "phone_call",
            "chat",
            "physical_store",
            "system_generated",
            "business_messaging",
            "other",
        ],
    ),
    (Target::Google, "event_source", &["WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER"]),
    (
        Target::Meta,
        "action_source",
        &[
            "email",
            "website",
            "app",
            "phone_call",
            "chat",
            "physical_store",
            "system_generated",
            "business_messaging",
            "other",
        ],
    ),
];

/// What is wrong with where a conversion happened: a word that the target does not know, or none where it needs one. Targets refuse
/// a whole request for either.
pub fn wrong_source(target: Target, fields: &[(String, String)]) -> Option<&'static str> {
    let (_, name, words) = WORDS.iter().find(|(of, ..)| *of == target)?;
    match fields.iter().find(|(field, _)| field == name) {
        Some((_, word)) => (!words.contains(&word.as_str())).then_some("unknown source"),
        None => of(target).iter().any(|field| field.name == *name && field.required).then_some("no source"),
    }
}

/// The fields of a target.
pub fn of(target: Target) -> &'static [Field] {
    match target {
        Target::Ecapi => ECAPI,
        Target::Google => GOOGLE,
        Target::Meta => META,
        Target::Csv => CSV,
    }
}

/// True for a field that finds the person. Google finds nobody by a name that is no whole address.
pub fn identifies(target: Target, name: &str) -> bool {
    of(target).iter().any(|field| field.name == name && field.identifies)
}

/// What is wrong with a text that is the same for all conversions.
pub fn check_constant(target: Target, name: &str, text: &str) -> Result<()> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(Error::configuration(format!("--set {name}: the text is empty or no text")));
    }
    if name == "currency" && !is_currency(text) {
        return Err(Error::configuration(format!(
            "--set currency={text}: a currency is three capital letters, e.g. EUR"
        )));
    }
    if name == "phone_country" && !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::configuration("--set phone_country: digits alone, e.g. 49"));
    }
    let words = WORDS.iter().find(|(of, field, _)| (*of, *field) == (target, name)).map(|(.., words)| *words);
    match words {
        Some(words) if !words.contains(&text) => {
            let hint = crate::error::did_you_mean(text, words.iter().copied());
            Err(Error::configuration(format!("--set {name}={text}{hint} (one of {})", words.join(", "))))
        }
        _ => Ok(()),
    }
}

/// Three capital letters, as ISO 4217 has them.
pub fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase())
}

/// How the values of a field leave the lake. `expression` is what they come from; `hashed` and `plain` what the export says.
pub fn treatment(target: Target, name: &str, expression: &str, hashed: bool, plain: bool) -> Result<Treatment> {
    let form = of(target).iter().find(|field| field.name == name).map_or(Form::Text, |field| field.form);
    let wrong = |why: &str| Err(Error::configuration(format!("--field {name}: {why}")));
    match form {
        Form::Hashed(_) if plain && target != Target::Csv => {
            wrong("the target takes it hashed alone; leave --plain out")
        }
        Form::Hashed(_) if plain => Ok(Treatment::AsIs),
        Form::Hashed(normal) => Ok(Treatment::Hash(normal)),
        Form::Personal if hashed => wrong("the target takes it as it is alone; leave it out, or give --plain"),
        Form::Personal if !plain => wrong(&format!(
            "it tells who somebody is, and the target takes it as it is alone; say --plain {name} if that is meant"
        )),
        _ if hashed => Ok(Treatment::Hash(Normal::Word)),
        Form::Text | Form::Click | Form::Lower if !plain && is_personal(expression) => wrong(&format!(
            "it comes from a column that tells who somebody is; say --hash {name}, or --plain {name} if that is meant"
        )),
        Form::Lower => Ok(Treatment::Lower),
        _ => Ok(Treatment::AsIs),
    }
}

/// True where an expression names a column that tells who somebody is.
fn is_personal(expression: &str) -> bool {
    let lower = expression.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.any(|word| PERSONAL_COLUMNS.contains(&word))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_personal_leaves_hashed_unless_the_export_says_otherwise() {
        let treated = |target, name, expression, hashed, plain| treatment(target, name, expression, hashed, plain);
        assert_eq!(
            treated(Target::Google, "email", "evar5", false, false).unwrap(),
            Treatment::Hash(Normal::GoogleEmail)
        );
        assert!(
            treated(Target::Google, "email", "evar5", false, true).unwrap_err().to_string().contains("hashed alone")
        );
        assert!(treated(Target::Meta, "ip", "ip", false, false).unwrap_err().to_string().contains("--plain ip"));
        assert_eq!(treated(Target::Meta, "ip", "ip", false, true).unwrap(), Treatment::AsIs);
        assert_eq!(treated(Target::Csv, "email", "evar5", false, false).unwrap(), Treatment::Hash(Normal::Email));
        assert_eq!(treated(Target::Csv, "email", "evar5", false, true).unwrap(), Treatment::AsIs);
        assert!(treated(Target::Csv, "who", "upper(Customer_ID)", false, false).is_err());
        assert_eq!(treated(Target::Csv, "who", "customer_id", true, false).unwrap(), Treatment::Hash(Normal::Word));
        assert_eq!(treated(Target::Csv, "campaign", "tracking_code", false, false).unwrap(), Treatment::AsIs);
    }

    #[test]
    fn where_it_happened_is_one_of_the_words_of_the_target() {
        let wrong = |target, name: &str, word: &str| wrong_source(target, &[(name.to_string(), word.to_string())]);
        assert_eq!(wrong(Target::Google, "event_source", "PHONE"), None);
        assert_eq!(wrong(Target::Google, "event_source", "phone"), Some("unknown source"));
        assert_eq!(wrong(Target::Google, "gclid", "G"), Some("no source"));
        assert_eq!(wrong(Target::Meta, "action_source", "shop"), Some("unknown source"));
        assert_eq!(wrong(Target::Meta, "fbc", "F"), Some("no source"));
        // the standard recommends it
        assert_eq!(wrong(Target::Ecapi, "click_id", "C"), None);
        assert_eq!(wrong(Target::Csv, "source", "anywhere"), None);
    }

    #[test]
    fn names_of_a_target_are_distinct() {
        for target in Target::ALL {
            let mut names: Vec<&str> = of(target).iter().map(|field| field.name).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{target}");
        }
    }
}
