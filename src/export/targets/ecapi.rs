//! The open standard: IAB Tech Lab, Event and Conversion API 1.0. A body is an array of core event objects.
//!
//! The standard merges records of one `data_set_id` and `id`: what is sent again has the id that it had. It has no word for
//! what is taken back: that has the value 0. `ext.action` says which of the three an event is.

use serde_json::{Map, Value, json};

use super::super::decide::SentConversion;

/// The types of events that the standard names.
const EVENT_TYPES: &[&str] = &[
    "purchase",
    "page_view",
    "ad_impression",
    "add_to_wishlist",
    "add_to_cart",
    "viewed_cart",
    "viewed_item",
    "begin_checkout",
    "add_payment_info",
    "remove_from_cart",
    "refund",
    "generate_lead",
    "qualify_lead",
    "close_convert_lead",
    "disqualify_lead",
    "close_unconvert_lead",
    "sign_up",
    "search",
    "unlock_achievement",
    "install",
    "customize_product",
    "contact",
    "donate",
    "find_location",
    "schedule",
    "start_trial",
    "subscribe",
    "add_shipping_info",
    "share",
    "select_content",
    "select_item",
    "select_promotion",
    "view_item_list",
    "view_promotion",
    "view_search_results",
    "spend_virtual_currency",
    "earn_virtual_currency",
    "working_lead",
    "login",
    "join_group",
    "level_up",
    "post_score",
    "tutorial_begin",
    "tutorial_complete",
];

/// The type of an event for which the export gives none.
const USUAL_TYPE: &str = "purchase";

/// Fields of the user that are one text: ours, theirs.
const USER_TEXTS: [(&str, &str); 8] = [
    ("click_id", "click_id"),
    ("impression_id", "impression_id"),
    ("customer_identifier", "customer_identifier"),
    ("gender", "gender"),
    ("ip", "event_ip_address"),
    ("user_agent", "event_user_agent"),
    ("ifa", "ifa"),
    ("gpp_string", "gpp_string"),
];

/// Fields of the user that are lists.
const USER_LISTS: [(&str, &str); 2] = [("email", "email_address"), ("phone", "phone_numbers")];

const ADDRESS: [&str; 7] = ["first_name", "last_name", "street", "city", "state", "country_code", "postal_code"];

const PROPERTIES: [&str; 5] = ["transaction_id", "page_url", "lead_source", "lead_status", "lead_reason"];

/// The core event object.
pub fn event(sent: &SentConversion) -> Value {
    let mut event = Map::new();
    event.insert("data_set_id".into(), sent.get("data_set_id").into());
    event.insert("id".into(), sent.id.as_str().into());
    event.insert("timestamp".into(), sent.time_us.div_euclid(1_000_000).into());
    let name = type_of(sent);
    if EVENT_TYPES.contains(&name.as_str()) {
        event.insert("event_type".into(), name.into());
    } else {
        event.insert("event_type".into(), "custom".into());
        event.insert("custom_event".into(), name.into());
    }
    event.insert("value".into(), sent.value.into());
    event.insert("currency_code".into(), sent.currency.as_str().into());
    event.extend(sent.get("source").map(|source| ("source".to_string(), source.into())));
    let texts = |names: &[&str]| -> Map<String, Value> {
        names.iter().filter_map(|name| Some((name.to_string(), sent.get(name)?.into()))).collect()
    };
    let mut user = Map::new();
    user.extend(USER_TEXTS.iter().filter_map(|(ours, theirs)| Some((theirs.to_string(), sent.get(ours)?.into()))));
    user.extend(USER_LISTS.iter().filter_map(|(ours, theirs)| Some((theirs.to_string(), json!([sent.get(ours)?])))));
    let (address, properties) = (texts(&ADDRESS), texts(&PROPERTIES));
    if !address.is_empty() {
        user.insert("address".into(), json!([address]));
    }
    if !user.is_empty() {
        event.insert("user_data".into(), user.into());
    }
    if !properties.is_empty() {
        event.insert("properties".into(), properties.into());
    }
    event.insert("ext".into(), json!({"action": sent.action}));
    event.into()
}

fn type_of(sent: &SentConversion) -> String {
    let kept = sent.identifiers.as_deref().and_then(|kept| serde_json::from_str::<Map<String, Value>>(kept).ok());
    let kept = kept.and_then(|kept| Some(kept.get("event_type")?.as_str()?.to_string()));
    kept.or_else(|| sent.get("event_type").map(str::to_string)).unwrap_or_else(|| USUAL_TYPE.into())
}

/// The type: what is taken back is of the type that it was sent as.
pub fn again(sent: &SentConversion) -> Option<String> {
    Some(json!({"event_type": type_of(sent)}).to_string())
}
