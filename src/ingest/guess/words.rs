//! The words by which a file is understood: what its columns are called, and what some of them say.
//!
//! All are written in small letters, those of names with `_` for other signs; a name is the same with `_` and without. Names that
//! are made of such words as `sale`, `date` and `no` are known by these (`headings`).

/// What columns are called as a whole that hold such a thing, the likeliest first.
pub(super) const VISITOR: &[&str] = &[
    "user_pseudo_id",
    "domain_userid",
    "anonymous_id",
    "visitor_id",
    "idvisitor",
    "client_id",
    "fullvisitorid",
    "distinct_id",
    "amplitude_id",
    "device_id",
    "cookie_id",
    "visitor",
];
/// Those that are another id once somebody logged in, and what stays the same then.
pub(super) const PERSON: &[&str] = &["distinct_id"];
pub(super) const DEVICE: &[&str] = &["device_id"];
/// What is a browser's id to Google Analytics, and a customer's in the files of others.
pub(super) const CLIENT: &[&str] = &["client_id"];
pub(super) const TIME: &[&str] = &[
    "event_timestamp",
    "derived_tstamp",
    "collector_tstamp",
    "timestamp",
    "original_timestamp",
    "event_time",
    "hit_time",
    "time",
    "ts",
    "server_time",
    "created_at",
    "closed_at",
    "close_date",
    "sold_at",
    "received_at",
    "date_time",
    "at",
    "date",
    "day",
    "event_date",
    "datum",
    "buchungsdatum",
    "belegdatum",
    "bestelldatum",
    "order_date",
    "date_order",
    "won_time",
    "created_date",
    "create_date",
    "conversation_start",
    "start_time",
    "started_at",
    "erdat",
];
pub(super) const VISIT: &[&str] = &[
    "ga_session_id",
    "domain_sessionid",
    "domain_sessionidx",
    "session_id",
    "idvisit",
    "visit_id",
    "visit",
    "session",
];
pub(super) const TRANSACTION: &[&str] = &[
    "transaction_id",
    "order_id",
    "order_ref",
    "tr_orderid",
    "ecommerce_transaction_id",
    "order_number",
    "order_no",
    "order",
    "bestellnummer",
    "bestellung",
    "receipt",
    "lead_id",
    "lead_number",
    "lead_nr",
    "opportunity_id",
    "deal_id",
    "invoice_number",
    "invoice_id",
    "receipt_id",
    "receipt_number",
    "rechnungsnummer",
    "belegnummer",
    "bon_nr",
    "bon",
    "auftragsnummer",
    "vbeln",
    "increment_id",
];
/// Numbers that a record has from where it was made, such as a call's. A hit can bear them too, where a site shows them; who
/// the customer is ties more.
pub(super) const OWN_ID: &[&str] =
    &["record_id", "case_id", "ticket_id", "conversation_id", "call_id", "interaction_id"];
pub(super) const CUSTOMER: &[&str] = &[
    "customer_id",
    "customer_number",
    "user_id",
    "crm_id",
    "account_id",
    "member_id",
    "loyalty_id",
    "customer",
    "kundennummer",
    "kunden_nr",
    "kunden_id",
    "kunde",
    "kundenkarte",
    "loyalty_card",
    "kunnr",
    "requester_id",
    "contact_id",
];
pub(super) const EMAIL: &[&str] = &["email"];
pub(super) const DIMENSIONS: &[(&str, &[&str])] = &[
    ("page_url", &["page_url", "page_location", "url", "context_page_url", "event_url", "current_url"]),
    ("page_name", &["page_name", "page_title", "current_page_title", "context_page_title", "page", "event_title"]),
    (
        "tracking_code",
        &[
            "tracking_code",
            "utm_campaign",
            "mkt_campaign",
            "context_campaign_name",
            "collected_traffic_source_manual_campaign_name",
            "campaign_name",
            "campaign",
            "referrername",
        ],
    ),
    ("referring_domain", &["referring_domain", "refr_urlhost", "referrer_domain"]),
    ("marketing_channel", &["marketing_channel", "mkt_medium", "utm_medium", "channel", "medium"]),
    ("geo_country", &["geo_country", "country", "country_code", "mp_country_code"]),
    ("product", &["product", "sku", "product_id", "item_id", "article", "artikel", "material", "matnr"]),
    ("category", &["category", "product_category", "item_category"]),
    ("state", &["state", "region"]),
    ("zip", &["zip", "zip_code", "postal_code", "postcode"]),
];
/// A page's address where rows are hits; else it may lead to the record in the system that it comes from.
pub(super) const LINK: &[&str] = &["url"];
/// A page's name where rows are hits; else it may be a person's.
pub(super) const TITLE: &[&str] = &["title"];
pub(super) const METRICS: &[(&str, &[&str])] = &[
    (
        "revenue",
        &[
            "revenue",
            "tr_total",
            "total",
            "amount",
            "order_total",
            "order_total_amount",
            "net_amount",
            "purchase_revenue",
            "value",
            "price",
            "sum",
            "betrag",
            "total_price",
            "total_amount",
            "grand_total",
            "gesamtbetrag",
            "bruttobetrag",
            "nettobetrag",
            "umsatz",
            "netwr",
        ],
    ),
    ("units", &["units", "quantity", "qty", "items", "total_item_quantity", "menge", "anzahl"]),
    ("orders", &["orders", "purchases", "transactions"]),
];
/// How amounts are called that may be those of one piece.
pub(super) const PRICE: &[&str] = &["price", "preis", "prix", "precio", "prezzo", "prijs"];
/// What says that they are not.
pub(super) const OF_ALL: &[&str] = &["total", "gesamt", "line", "order"];
/// An order's number where a row is one of its lines, and how the headings begin then that say what is bought.
pub(super) const NAME: &[&str] = &["name"];
pub(super) const LINE_HEADING: &str = "lineitem_";
/// Lists of product lines, and what the parts of a line are called.
pub(super) const LINES: &[&str] = &["items", "products", "line_items", "item_details", "order_items", "cart_items"];
pub(super) const LINE_PRODUCT: &[&str] = &["sku", "item_id", "item_sku", "product_id", "id", "item_name", "name"];
pub(super) const LINE_CATEGORY: &[&str] = &["category", "item_category", "product_category"];
pub(super) const LINE_QUANTITY: &[&str] = &["quantity", "qty", "units"];
pub(super) const LINE_PRICE: &[&str] = &["price", "unit_price", "item_price"];
/// Columns that say what happened, and what they say of an order and of a page view.
pub(super) const EVENT: &[&str] = &["event_name", "event", "type", "event_type"];
pub(super) const ORDER: &[&str] = &["purchase", "order_completed", "checkout_completed", "ecommerce_order"];
pub(super) const PAGE_VIEW: &[&str] = &["page_view", "page_viewed", "mp_web_page_view", "page", "action"];
/// Records that hold what belongs to the row itself.
pub(super) const WRAPPERS: &[&str] = &[
    "properties",
    "ecommerce",
    "event_properties",
    "user_properties",
    "event_data",
    "attributes",
    "payload",
    "data",
    "metadata",
];
/// How columns' names end that say what became of a record.
pub(super) const STATE: &[&str] = &["status", "stage", "stage_name", "stagename", "state"];
/// What Stripe says of records whose amounts are in cents, and where.
pub(super) const IN_CENTS: &[&str] = &["charge", "payment_intent", "invoice", "refund", "checkout_session"];
pub(super) const OBJECT: &[&str] = &["object"];
/// Columns that say what the clock shows, beside one of days.
pub(super) const CLOCK: &[&str] =
    &["time", "time_of_day", "uhrzeit", "zeit", "heure", "hora", "ora", "tijd", "erzet", "uzeit", "cputm"];
/// Columns that say the currency of amounts.
pub(super) const CURRENCY: &[&str] =
    &["currency", "currency_code", "order_currency", "währung", "waehrung", "devise", "moneda", "valuta", "waerk"];
