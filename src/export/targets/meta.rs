//! Meta: Conversions API, the body of a request to `/events`.
//!
//! It takes an event once: within 48 hours a second one of the same `event_name` and `event_id` is dropped, after that it is another
//! event (Server event parameters). So nothing is sent again. A request is refused as a whole when one event is too old, which is
//! looked at before (`decide`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::decide::SentConversion;
use super::Frame;

/// Who it was: ours, theirs, and whether theirs is a list.
const USER: [(&str, &str, bool); 16] = [
    ("email", "em", true),
    ("phone", "ph", true),
    ("first_name", "fn", true),
    ("last_name", "ln", true),
    ("gender", "ge", true),
    ("birth_date", "db", true),
    ("city", "ct", true),
    ("state", "st", true),
    ("postal_code", "zp", true),
    ("country_code", "country", true),
    ("external_id", "external_id", true),
    ("ip", "client_ip_address", false),
    ("user_agent", "client_user_agent", false),
    ("fbc", "fbc", false),
    ("fbp", "fbp", false),
    ("lead_id", "lead_id", false),
];

/// The name of an event for which the export gives none.
const USUAL_NAME: &str = "Purchase";

/// The request around the events.
pub fn frame(constants: &BTreeMap<String, String>) -> Frame {
    let test = constants.get("test_event_code").map(|code| format!(",\"test_event_code\":{}", json!(code)));
    Frame { open: "{\"data\":[\n".into(), between: ",\n", close: format!("\n]{}}}\n", test.unwrap_or_default()) }
}

/// An event.
pub fn event(sent: &SentConversion) -> Value {
    let user = USER.iter().filter_map(|(ours, theirs, list)| {
        let text = sent.get(ours)?;
        Some((theirs.to_string(), if *list { json!([text]) } else { text.into() }))
    });
    let user: Map<String, Value> = user.collect();
    let mut custom = json!({"value": sent.value, "currency": sent.currency});
    if let Some(order) = sent.get("order_id") {
        custom["order_id"] = order.into();
    }
    let mut event = json!({
        "event_name": sent.get("event_name").unwrap_or(USUAL_NAME),
        "event_time": sent.time_us.div_euclid(1_000_000),
        "event_id": sent.id,
        "action_source": sent.get("action_source"),
        "user_data": user,
        "custom_data": custom,
    });
    if let Some(url) = sent.get("page_url") {
        event["event_source_url"] = url.into();
    }
    event
}
