//! Google: Data Manager API, method events.ingest (IngestEventsRequest).
//!
//! Within a conversion action, an event of a known `transactionId` is an adjustment: its value and currency take the place of
//! the former ones (Conversion adjustments). What is taken back is adjusted to 0. Every event, an adjustment, too, needs an
//! identifier, so the ledger keeps those of what Google has. A field that is wrong refuses the whole request (Upgrade from the
//! Google Ads API, Field mappings), so what Google would refuse is not sent.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

use super::super::decide::SentConversion;
use super::Frame;

const CLICKS: [&str; 3] = ["gclid", "gbraid", "wbraid"];

/// Parts of an address, which counts when it is whole: ours, theirs.
const ADDRESS: [(&str, &str); 4] = [
    ("first_name", "givenName"),
    ("last_name", "familyName"),
    ("country_code", "regionCode"),
    ("postal_code", "postalCode"),
];

/// The request around the events.
pub fn frame(constants: &BTreeMap<String, String>, consented: bool) -> Frame {
    let kind = constants.get("account_type").map_or("GOOGLE_ADS", String::as_str);
    let mut destination = json!({
        "operatingAccount": {"accountType": kind, "accountId": constants.get("account")},
        "productDestinationId": constants.get("conversion_action"),
    });
    if let Some(account) = constants.get("login_account") {
        destination["loginAccount"] = json!({"accountType": kind, "accountId": account});
    }
    let consent = if consented { "\"consent\":{\"adUserData\":\"CONSENT_GRANTED\"}," } else { "" };
    Frame {
        open: format!("{{\"destinations\":[{destination}],\"encoding\":\"HEX\",{consent}\"events\":[\n"),
        between: ",\n",
        close: "\n]}\n".into(),
    }
}

/// An event.
pub fn event(sent: &SentConversion) -> Value {
    let mut event = match sent.identifiers.as_deref().and_then(|kept| serde_json::from_str(kept).ok()) {
        Some(kept) => kept,
        None => identifiers(sent),
    };
    let time = DateTime::from_timestamp_micros(sent.time_us).unwrap_or_default();
    event.insert("transactionId".into(), sent.id.as_str().into());
    event.insert("eventTimestamp".into(), time.to_rfc3339_opts(SecondsFormat::Micros, true).into());
    event.insert("conversionValue".into(), sent.value.into());
    event.insert("currency".into(), sent.currency.as_str().into());
    event.into()
}

fn identifiers(sent: &SentConversion) -> Map<String, Value> {
    let mut found = Map::new();
    let clicks = CLICKS.iter().filter_map(|name| Some((name.to_string(), Value::from(sent.get(name)?))));
    let clicks: Map<String, Value> = clicks.collect();
    if !clicks.is_empty() {
        found.insert("adIdentifiers".into(), clicks.into());
    }
    let mut users = vec![];
    users.extend(sent.get("email").map(|email| json!({"emailAddress": email})));
    users.extend(sent.get("phone").map(|phone| json!({"phoneNumber": phone})));
    let address =
        ADDRESS.iter().filter_map(|(ours, theirs)| Some((theirs.to_string(), Value::from(of_address(sent, ours)?))));
    let address: Map<String, Value> = address.collect();
    if address.len() == ADDRESS.len() {
        users.push(json!({"address": address}));
    }
    if !users.is_empty() {
        found.insert("userData".into(), json!({"userIdentifiers": users}));
    }
    found.extend(sent.get("event_source").map(|source| ("eventSource".to_string(), source.into())));
    found
}

/// A part of an address. A country is two letters of ISO 3166: for another text Google refuses the whole request (REST reference,
/// ErrorReason).
fn of_address(sent: &SentConversion, name: &str) -> Option<String> {
    let text = sent.get(name)?.trim();
    match name {
        "country_code" => {
            let is_code = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
            is_code.then(|| text.to_ascii_uppercase())
        }
        _ => Some(text.to_string()),
    }
}

/// The identifiers.
pub fn again(sent: &SentConversion) -> Option<String> {
    Some(Value::from(identifiers(sent)).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_country_that_is_one() {
        let of = |country: &str| {
            let parts = [("first_name", "f"), ("last_name", "l"), ("postal_code", "10115"), ("country_code", country)];
            let sent = SentConversion {
                id: "a".into(),
                action: "new",
                time_us: 0,
                value: 1.0,
                currency: "EUR".into(),
                fields: parts.map(|(name, text)| (name.to_string(), text.to_string())).to_vec(),
                identifiers: None,
            };
            event(&sent)["userData"]["userIdentifiers"][0]["address"]["regionCode"].clone()
        };
        assert_eq!(of(" de"), "DE");
        assert_eq!(of("Germany"), Value::Null);
        assert_eq!(of("D1"), Value::Null);
    }
}
