//! Mappings that are guessed, of files of many kinds.

#![allow(clippy::unwrap_used)]
mod systems;

use arrow::array::{ArrayRef, Date32Array, StringArray, Time32SecondArray};
use parquet::arrow::ArrowWriter;

use super::*;

fn guessed(name: &str, text: &str) -> Result<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    guess(&path)
}

fn of(name: &str, text: &str) -> String {
    guessed(name, text).unwrap()
}

#[test]
fn a_data_source_file_needs_none() {
    let error = guessed("leads.txt", "Date\ttransactionID\tEvent 1\n09/01/2026\tT1\t1\n").unwrap_err();
    assert!(error.to_string().contains("needs no mapping"), "{error}");
    assert!(of("leads.txt", "date\tid\tn\n2026-09-01\tT1\t1\n").contains("time = \"date\""));
}

#[test]
fn columns_are_known_by_their_names() {
    let text = of("a.csv", "User_Pseudo_ID,event_timestamp,URL,order_id,amount,colour\nu,1790000000000,/,7,9.5,red\n");
    for line in [
        "kind = \"online\"",
        "visitor_id = \"User_Pseudo_ID\"",
        "time = \"event_timestamp\"",
        "time_unit = \"ms\"",
        "transaction_id = \"order_id\"",
        "page_url = \"URL\"",
        "revenue = \"amount\"",
        "#   colour (text)",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(of("a.csv", "id,At,n\nu,2026-09-01,1\n").contains("time = \"At\""));
    let text = of("crm.ndjson", "{\"customer_id\":\"c\",\"closed_at\":\"2026-09-01\",\"stage\":\"won\"}\n");
    assert!(text.contains("kind = \"offline\"") && text.contains("event1 = 1"), "{text}");
    let text = of("a.csv", "user;time;\"we \"\"quote\"\"\"\n1;2;3\n");
    assert!(text.contains("delimiter = \";\""), "{text}");
    assert!(of("b.csv", "a,b\n").contains("which one is it?"));
    // who has pages is online; a metric of ours is itself
    let text = of("d.csv", "User ID,Event Time,Page Name,Orders,order_id\nu,2026-09-01,home,2,o1\n");
    for line in ["kind = \"online\"", "visitor_id = \"User ID\"", "page_name = \"Page Name\"", "orders = \"Orders\""] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert_eq!(text.matches("orders =").count(), 1, "{text}");
    assert!(of("e.tsv", "Kunde\tDatum\nA\t2026-09-01\n").contains("time = \"Datum\""));
}

/// The answer of an API has its rows in a list; what is a row itself may have lists.
#[test]
fn rows_within_an_object() {
    let rows = r#"[{"order_id":"o","created_at":"2026-09-01","total":"9.5","lines":[{"sku":"a"}]},{"order_id":"p"}]"#;
    for (file, setting) in [
        (format!("{{\"data\":{rows},\"meta\":{{\"next\":null}}}}"), r#"rows = "data""#),
        (format!("{{\n\"count\":2,\n\"results\":\n{rows}\n}}\n"), r#"rows = "results""#),
        (format!("{{\"response\":{{\"rows\":{rows}}}}}"), r#"rows = ["response", "rows"]"#),
    ] {
        let text = of("answer.json", &file);
        for line in [setting, "transaction_id = \"order_id\"", "time = \"created_at\""] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
    let text = of("row.json", r#"{"order_id":"o","created_at":"2026-09-01","lines":[{"sku":"a","price":1}]}"#);
    assert!(!text.contains("rows ="), "{text}");
    let error = guessed("two.json", r#"{"data":[{"a":1}],"included":[{"b":1}]}"#).unwrap_err().to_string();
    assert!(error.contains("rows = \"data\" or rows = \"included\""), "{error}");
}

/// Parts of records and keys of lists are found as columns are.
#[test]
fn parts_are_known_by_their_names() {
    let text = of(
        "ga4.ndjson",
        r#"{"user_pseudo_id":"1.2","event_timestamp":"1788256800000000","event_name":"page_view","event_params":[{"key":"page_title","value":{"string_value":"Home"}},{"key":"it's","value":{"string_value":"x"}}],"ecommerce":{"transaction_id":"(not set)","purchase_revenue":9.5},"geo":{"country":"Germany","city":"Cologne"}}
{"user_pseudo_id":"1.2","event_timestamp":"1788256860000000","event_name":"purchase","event_params":[{"key":"ga_session_id","value":{"int_value":"7"}}],"ecommerce":{"transaction_id":"T","purchase_revenue":9.5},"geo":{"country":"Germany","city":"Cologne"}}
"#,
    );
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.visit.as_deref(), Some("param(event_params, 'ga_session_id')"), "{text}");
    assert_eq!(mapping.transaction_id.as_deref(), Some("nullif(ecommerce['transaction_id'], '(not set)')"));
    assert_eq!(mapping.dimensions["page_name"], "param(event_params, 'page_title')");
    assert_eq!(mapping.dimensions["geo_country"], "geo['country']");
    assert!(!mapping.dimensions.contains_key("tracking_code"), "{text}");
    assert_eq!(mapping.metrics["revenue"], "ecommerce['purchase_revenue']");
    assert_eq!(mapping.metrics["orders"], "CASE WHEN event_name = 'purchase' THEN 1 END");
    assert_eq!(mapping.metrics["page_views"], "CASE WHEN event_name = 'page_view' THEN 1 ELSE 0 END");
    for line in ["(list with the keys ga_session_id, it's, page_title)", "geo (record of city, country)"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    // a word of SQL is quoted, and what has a column of its own is not looked for in a record
    let text = of(
        "s.ndjson",
        r#"{"user":{"id":"c"},"order":{"id":"T"},"anonymousId":"a","timestamp":"2026-09-01","properties":{"timestamp":"x","revenue":"n/a"}}"#,
    );
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!((mapping.time.as_str(), mapping.customer_id.as_deref()), ("timestamp", Some("\"user\"['id']")));
    assert_eq!(mapping.transaction_id.as_deref(), Some("\"order\"['id']"));
    assert!(!mapping.metrics.contains_key("revenue"), "{text}");
}

/// Of a visit with its actions, each action is a row.
#[test]
fn a_list_of_what_has_a_time_is_taken_apart() {
    let text = of(
        "visits.json",
        r#"[{"visitorId":"v","idVisit":"1","actionDetails":[{"type":"action","url":"/","timestamp":1788256800},
{"type":"ecommerceOrder","orderId":"T","timestamp":1788256900}]},{"visitorId":"w","idVisit":"2","actionDetails":[]}]"#,
    );
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.unnest.as_deref(), Some("actionDetails"), "{text}");
    assert_eq!((mapping.time.as_str(), mapping.visit.as_deref()), ("actionDetails['timestamp']", Some("idVisit")));
    assert!(text.contains("time_unit = \"s\""), "{text}");
    assert_eq!(mapping.dimensions["page_url"], "actionDetails['url']");
    assert_eq!(mapping.transaction_id.as_deref(), Some("actionDetails['orderId']"));
    assert_eq!(mapping.metrics["orders"], "CASE WHEN actionDetails['type'] = 'ecommerceOrder' THEN 1 END");
}

/// What a till and a CRM write is offline, with days and amounts as people write them.
#[test]
fn records_of_elsewhere_are_read_as_they_are_written() {
    let text = of(
        "till.csv",
        "Bon-Nr.;Datum;Bestellung;Betrag\nB1;05.09.2026;T-1;-1.234,50 €\nB2;06.09.2026;T-2;12\nB3;;T-3;\n",
    );
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.time, "to_date(Datum, '%d.%m.%Y')", "{text}");
    assert_eq!(mapping.transaction_id.as_deref(), Some("Bestellung"));
    assert_eq!(mapping.metrics["revenue"], "parse_number(Betrag, ',')");
    assert!(text.contains("kind = \"offline\"") && text.contains("--kind transaction"), "{text}");
    let text = of("deals.csv", "Lead-Nr.,Abschluss am,Won on\nL1,05.09.2026,2026-09-06\n");
    assert_eq!(Mapping::parse(&text).unwrap().time, "to_date(\"Abschluss am\", '%d.%m.%Y')", "{text}");
    let text = of("crm.csv", "Id,CloseDate,Customer_Number__c,Amount\n1,2026-09-05,c1,9.5\n");
    assert!(text.contains("kind = \"offline\"") && text.contains("--kind customer"), "{text}");
    assert!(text.contains("time = \"CloseDate\"") && text.contains("customer_id = \"Customer_Number__c\""));
    // which comes first is known where a day is past the twelfth
    let time = |times: &str| of("a.csv", &format!("visitor,event_time\n{times}"));
    let text = time("u,05/31/2026 10:00\n");
    assert!(text.contains("time = \"to_timestamp(event_time, '%m/%d/%Y %H:%M')\"\n"), "{text}");
    let text = time("u,05/06/2026\n");
    assert!(text.contains("time = \"to_date(event_time, '%d/%m/%Y')\"   # the day first, or the month?"), "{text}");
    assert!(time("u,5\n").contains("time = \"event_time\""));
}

/// A list of what was bought becomes product lines, which have their product and category.
#[test]
fn lists_of_items_are_product_lines() {
    let of_lines = |items: &str| {
        let row = r#"{"anonymousId":"a","timestamp":"2026-09-01","properties":{"category":"x","products":ITEMS}}"#;
        of("a.ndjson", &row.replace("ITEMS", items))
    };
    let text = of_lines(r#"[{"product_id":"p","Category":"c","price":9.5,"quantity":2},{"product_id":"q"}]"#);
    for line in [
        "list = \"properties['products']\"",
        "product = \"product_id\"",
        "category = \"Category\"",
        "quantity = \"quantity\"",
        "price = \"price * coalesce(quantity, 1)\"   # the line's total",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert_eq!((text.matches("category =").count(), text.matches("product =").count()), (1, 1), "{text}");
    let text = of_lines(r#"[{"itemSKU":"p","price":"9.5"}]"#);
    assert!(text.contains("price = \"try_cast(price AS DOUBLE)\""), "{text}");
    for items in [r#"["p"]"#, r#"[{"colour":"red"}]"#, "7"] {
        let text = of_lines(items);
        assert!(!text.contains("[products]") && text.contains("category = "), "{text}");
    }
}

/// Days beside a clock's time, and amounts with their currency, as tills, shops and centres of calls write them.
#[test]
fn exports_of_tills_and_shops() {
    let text =
        of("till.csv", "Bon;Datum;Uhrzeit;Kunde;Menge;Betrag\n1;01.09.2026;10:00;K;1;1.249,90\n;;;;4;1.264,87\n");
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.time, "to_timestamp(concat(Datum, ' ', Uhrzeit), '%d.%m.%Y %H:%M')", "{text}");
    assert_eq!((mapping.transaction_id.as_deref(), mapping.customer_id.as_deref()), (Some("Bon"), Some("Kunde")));
    assert_eq!(mapping.metrics["units"], "Menge");
    assert_eq!(mapping.metrics["revenue"], "parse_number(Betrag, ',')");
    let text =
        of("a.csv", "Date,Time,Order ID,Total\n05/31/2026,10:00:30,7,\"USD 1,249.90\"\n06/01/2026,09:00:00,8,$5\n");
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.time, "to_timestamp(concat(\"Date\", ' ', \"Time\"), '%m/%d/%Y %H:%M:%S')", "{text}");
    assert_eq!(mapping.metrics["revenue"], "parse_number(Total, '.')");
    // a line of totals at the end says nothing of the others
    let rows = "Date,Order No,Amount\n09/13/2026,1,\"1,249.90\"\nTotal:,,\"1,249.90\"\n";
    let text = of("sums.csv", rows);
    assert!(text.contains("to_date(\"Date\", '%m/%d/%Y')"), "{text}");
    assert!(!of("sums.csv", &rows.replace("Total:", "Subject")).contains("to_date"));
    // whose clock it is, where no zone is told
    let says_zone = |time: &str| of("a.csv", &format!("visitor,time\nv,{time}\n")).contains("\n# time_zone = ");
    assert!(says_zone("2026-09-01 10:00") && says_zone("01.09.2026 10:00"));
    assert!(!(says_zone("2026-09-01T10:00:00Z") || says_zone("2026-09-01") || says_zone("1788256800")));
    // a clock alone is no time, and a time needs no clock
    let text = of("a.csv", "time,created_at,order_id\n10:00,2026-09-01 10:00,7\n");
    assert!(text.contains("time = \"created_at\"\n"), "{text}");
    let revenue = |amounts: &str| {
        let rows: String = amounts.split(' ').map(|amount| format!("1;2026-09-01;{amount}\n")).collect();
        Mapping::parse(&of("a.csv", &format!("order_id;date;total\n{rows}"))).unwrap().metrics.get("revenue").cloned()
    };
    for (amounts, sign) in [
        ("1,250 980", Some('.')),
        ("1.250,00 980,5", Some(',')),
        ("€99,95 -", Some(',')),
        ("-1,234.5 £7", Some('.')),
        ("1,2,3 4", None),
        ("- -", None),
        ("#1001 5", None),
    ] {
        let expected = sign.map(|sign| format!("parse_number(total, '{sign}')"));
        assert_eq!(revenue(amounts), expected, "{amounts}");
    }
    // what a shop and a centre of calls name their records
    let text = of("shop.csv", "Name,Email,Created at,Total\n#1,a@x.de,2026-09-01 12:00:01 +0200,9.5\n");
    assert!(text.contains("kind = \"offline\"") && text.contains("customer_id = \"Email\""), "{text}");
    let text = of("calls.csv", "Conversation ID,Date,Duration\nc-1,2026-09-01T10:00:00.000+0200,PT45S\n");
    assert!(text.contains("transaction_id = \"Conversation ID\"") && text.contains("time = \"Date\""), "{text}");
    let text = of(
        "mixpanel.ndjson",
        r#"{"event":"Page View","properties":{"time":1788256800,"distinct_id":"m","$current_url":"/","mp_country_code":"DE"}}"#,
    );
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.dimensions["page_url"], "properties['$current_url']");
    assert_eq!(mapping.dimensions["geo_country"], "properties['mp_country_code']");
}

/// Of several columns that could be meant the likeliest that says something is taken; the clock of a tracker's server comes
/// before that of its visitor.
#[test]
fn what_says_something_comes_first() {
    let names = "anonymous_id,sent_at,original_timestamp,timestamp";
    let text = of("pages.csv", &format!("{names}\na,2026-09-02,2026-09-01,2026-09-03\n"));
    assert!(text.contains("time = \"timestamp\"\n"), "{text}");
    let text = of("pages.csv", "anonymous_id,original_timestamp,timestamp\na,2026-09-01,\nb,2026-09-01, \n");
    assert!(text.contains("time = \"original_timestamp\"\n"), "{text}");
    let text = of(
        "orders.json",
        r#"[{"transaction_id":"","order_number":"7","customer_id":null,"email":"a@example.org","created_at":"2026-09-01","total":"9.5"}]"#,
    );
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.transaction_id.as_deref(), Some("order_number"), "{text}");
    assert_eq!(mapping.customer_id.as_deref(), Some("email"));
    // a part that says something comes before a column that does not, and a column that is alone is taken, however empty
    let text = of(
        "events.ndjson",
        r#"{"anonymousId":"a","timestamp":"2026-09-01","order_id":"","user_id":"","properties":{"order_id":"T"}}"#,
    );
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.transaction_id.as_deref(), Some("properties['order_id']"), "{text}");
    assert_eq!(mapping.customer_id.as_deref(), Some("user_id"));
    // a file of names alone
    let text = of("names.csv", "visitor_id,timestamp,page\n");
    assert!(text.contains("visitor_id = \"visitor_id\"") && text.contains("time = \"timestamp\""), "{text}");
}

#[test]
fn what_is_no_file_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    assert!(guess(folder.path()).unwrap_err().to_string().contains("is a folder"));
    assert!(guess(Path::new("s3://drop/a.csv")).unwrap_err().to_string().contains("aws s3 cp"));
    let error = guess(&folder.path().join("none.csv")).unwrap_err().to_string();
    assert_eq!(error.matches("none.csv").count(), 1, "{error}");
    for text in
        [r#"{"visitor_id":"u","time":"2026-09-01"}"#, r#"[{"visitor_id":"u"}]"#, "{\n  \"visitor_id\": \"u\"\n}\n"]
    {
        let error = guessed("events.log", text).unwrap_err().to_string();
        assert!(error.contains("events.log: line 1: JSON") && error.contains("in .json"), "{error}");
    }
}

/// A call's own number is no transaction where the customer is known.
#[test]
fn who_called_says_more_than_the_number_of_the_call() {
    let text = of("calls.csv", "call_id,customer_id,Date,Duration\n9,c,2026-09-01,60\n");
    assert!(text.contains("customer_id = \"customer_id\"") && !text.contains("transaction_id"), "{text}");
    assert!(text.contains("--kind customer") && text.contains("#   call_id"), "{text}");
    let text = of("calls.csv", "call_id,order_id,Date\n9,o,2026-09-01\n");
    assert!(text.contains("transaction_id = \"order_id\""), "{text}");
    let text = of("cases.csv", "case_id,Date\n9,2026-09-01\n");
    assert!(text.contains("transaction_id = \"case_id\""), "{text}");
}

/// Where nothing says what rows are, the guess says that it is one.
#[test]
fn a_guess_says_that_it_is_one() {
    let text = of("unknown.csv", "alpha,beta,gamma\na,2026-10-05 10:00:00,1\n");
    assert!(text.contains("kind = \"online\"   # a guess; \"offline\""), "{text}");
    for known in ["visitor_id,beta", "url,beta", "session_id,beta"] {
        let text = of("known.csv", &format!("{known}\n7,2026-10-05 10:00:00\n"));
        assert!(text.contains("kind = \"online\"\n"), "{text}");
    }
}

/// Of files whose ending does not say that a mapping reads them, the mapping does.
#[test]
fn files_of_other_endings_are_named() {
    let files = |name: &str| {
        let text = of(name, "Bon|Datum|Betrag\n4711|05.10.2026|19,90\n");
        Mapping::parse(&text).unwrap().files.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(files("till.txt"), ["*.txt"]);
    assert_eq!(files("Kasse.2026.DAT"), ["*.DAT"]);
    assert_eq!((files("till.csv"), files("till"), files("till.a b")), (vec![], vec![], vec![]));
}

/// Names with `_` and without, with something before `Order ID`, of accounting; days and years as they are written there.
#[test]
fn names_of_crms_and_accounting() {
    let text = of("opportunities.csv", "Id,AccountId,CloseDate,Web_Transaction_ID__c,Amount\n1,9,2026-10-07,T3,12.5\n");
    assert!(text.contains("kind = \"offline\"") && text.contains("time = \"CloseDate\""), "{text}");
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.transaction_id.as_deref(), Some("Web_Transaction_ID__c"), "{text}");
    assert_eq!(mapping.customer_id.as_deref(), Some("AccountId"));
    let text = of("hits.csv", "visitor_id,time,last_order_id\nv,2026-10-07,7\n");
    assert!(!text.contains("transaction_id = "), "{text}");
    let text = of(
        "calls.json",
        r#"[{"conversationId":"c","conversationStart":"2026-10-06T10:00:00Z","conversationEnd":"x"}]"#,
    );
    let mapping = Mapping::parse(&text).unwrap();
    let time = mapping.time.as_str();
    assert_eq!((mapping.transaction_id.as_deref(), time), (Some("conversationId"), "conversationStart"), "{text}");
    // a number that has a comma alone is read as its neighbours are; a day is a number of eight digits
    let text = of(
        "sales.csv",
        "Belegnummer;Buchungsdatum;Kundennr.;Material;Menge;Nettobetrag\n90001;05.10.2026;0017;S1;1,000;1.234,50\n",
    );
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.time, "to_date(Buchungsdatum, '%d.%m.%Y')", "{text}");
    assert_eq!(mapping.transaction_id.as_deref(), Some("Belegnummer"));
    assert_eq!(mapping.customer_id.as_deref(), Some("Kundennr."));
    assert_eq!(mapping.metrics["units"], "parse_number(Menge, ',')");
    assert_eq!(mapping.metrics["revenue"], "parse_number(Nettobetrag, ',')");
    assert_eq!(mapping.dimensions["product"], "Material");
    let text = of("sap.csv", "VBELN;ERDAT;KUNNR;NETWR\n0090001;20261005;000101;1234.50\n");
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.time, "to_date(CAST(ERDAT AS VARCHAR), '%Y%m%d')", "{text}");
    assert_eq!((mapping.transaction_id.as_deref(), mapping.customer_id.as_deref()), (Some("VBELN"), Some("KUNNR")));
    assert!(!of("sap.csv", "VBELN;ERDAT\n1;20261305\n").contains("to_date"));
    // years of two digits
    let text = of("calls.csv", "Conversation ID,Date\nc-1,10/13/26 2:05 PM\n");
    assert!(text.contains("to_timestamp(\"Date\", '%m/%d/%y %I:%M %p')"), "{text}");
    assert!(of("a.csv", "order_id,date\n7,13.10.26\n").contains("'%d.%m.%y')"));
    // what Amplitude collects by itself
    let text = of(
        "amplitude.json",
        r#"{"amplitude_id":7,"event_time":"2026-10-05 10:00:00","event_type":"[Amplitude] Page Viewed","event_properties":{"[Amplitude] Page URL":"/a"},"user_properties":{"utm_campaign":"c"}}"#,
    );
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.dimensions["page_url"], "event_properties['[Amplitude] Page URL']", "{text}");
    assert_eq!(mapping.dimensions["tracking_code"], "user_properties['utm_campaign']");
    assert_eq!(mapping.metrics["page_views"], "CASE WHEN event_type = '[Amplitude] Page Viewed' THEN 1 ELSE 0 END");
}

/// Objects that a text holds as JSON have parts as records have; the address of an API is no page.
#[test]
fn objects_in_texts_have_parts() {
    let text = of(
        "posthog.csv",
        r#"event,properties,timestamp,distinct_id
$pageview,"{""$current_url"":""/a"",""$session_id"":""s"",""order_id"":null,""order"":{""id"":1}}",2026-10-05T10:00:00Z,d
purchase,"{""order_id"":""T"",""revenue"":5.5}",2026-10-05T10:01:00Z,d
"#,
    );
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.dimensions["page_url"], "json_get(properties, '$current_url')", "{text}");
    assert_eq!(mapping.visit.as_deref(), Some("json_get(properties, '$session_id')"));
    assert_eq!(mapping.transaction_id.as_deref(), Some("json_get(properties, 'order_id')"));
    let revenue = "CASE WHEN \"event\" = 'purchase' THEN json_get(properties, 'revenue') END";
    assert_eq!(mapping.metrics["revenue"], revenue);
    let keys = "#   properties (JSON with the keys $current_url, $session_id, order, order_id, revenue)";
    assert!(text.contains(keys), "{text}");
    let text = of("a.csv", "time,properties\n2026-10-05,\"{\"\"url\"\":1}\"\n2026-10-05,x\n");
    assert!(text.contains("#   properties (text)"), "{text}");
    let text = of(
        "tickets.json",
        r#"[{"url":"https://x.example/api/v2/tickets/1.json","created_at":"2026-10-06T10:00:00Z","requester_id":5}]"#,
    );
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.customer_id.as_deref(), Some("requester_id"), "{text}");
    assert!(text.contains("kind = \"offline\"") && mapping.dimensions.is_empty(), "{text}");
}

/// Clocks with twelve hours, and units behind the names of columns, as tills of many countries write them.
#[test]
fn clocks_of_twelve_hours_and_units_in_names() {
    let text =
        of("till.csv", "Receipt,Date,Time,Amount (EUR)\nR1,09/13/2026,2:05 PM,9.50\nR2,09/14/2026,11:59 AM,1.00\n");
    for line in ["'%m/%d/%Y %I:%M %p')", "revenue = \"Amount (EUR)\"", "transaction_id = \"Receipt\""] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let text = of("till.csv", "Receipt,Date,Time,Total [€]\nR1,13.09.2026,02:05:10 pm,\"9,50\"\n");
    assert!(
        text.contains("'%d.%m.%Y %I:%M:%S %p')") && text.contains("Total [€]") && text.contains("revenue = "),
        "{text}"
    );
    let text = of("till.csv", "Receipt,Date,Qty (pcs)\nR1,9/13/2026 2:05 PM,2\nR2,9/1/2026 12:00 AM,1\n");
    assert!(text.contains("'%m/%d/%Y %I:%M %p')") && text.contains("units = \"Qty (pcs)\""), "{text}");
}

/// Headings of tills, shops, CRMs and call centres are known by their words, and what only looks like one is not taken.
#[test]
fn headings_of_exports() {
    // a till that began this: a day, a clock and a number with a word before each
    let text = of(
        "till.csv",
        "Sale Date,Sale Time,Receipt No,Net Sales,Qty Sold,Update Time\n09/13/2026,10:05,R1,9.50,2,11:00\n",
    );
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.time, "to_timestamp(concat(\"Sale Date\", ' ', \"Sale Time\"), '%m/%d/%Y %H:%M')", "{text}");
    assert_eq!(mapping.transaction_id.as_deref(), Some("Receipt No"));
    assert_eq!((mapping.metrics["revenue"].as_str(), mapping.metrics["units"].as_str()), ("Net Sales", "Qty Sold"));
    assert!(text.contains("# Not used: Update Time, which holds clocks"), "{text}");
    let fields = |headings: &str, row: &str| {
        let text = of("export.csv", &format!("{headings}\n{row}\n"));
        let mapping = Mapping::parse(&text).unwrap();
        (mapping.time, mapping.transaction_id.unwrap_or_default(), mapping.customer_id.unwrap_or_default())
    };
    let both = |time: &str, transaction: &str, customer: &str| {
        (time.to_string(), transaction.to_string(), customer.to_string())
    };
    for (headings, row, expected) in [
        ("Order Date,Ship Date,Order Reference", "2026-09-13,2026-09-15,7", both("Order Date", "Order Reference", "")),
        (
            "Ship Date,Due date,Purchase Date,Sales Order No.,Customer #",
            "2026-09-15,2026-10-15,2026-09-13,7,K1",
            both("Purchase Date", "Sales Order No.", "Customer #"),
        ),
        (
            "Opportunity Name,Expected Close Date,Closed on,Deal ID,Account Number",
            "x,2026-12-01,2026-09-13,D1,A1",
            both("Closed on", "Deal ID", "Account Number"),
        ),
        (
            "Deal - Update time,Deal - Won time,Deal - ID",
            "2026-09-20 10:00,2026-09-13 10:00,D1",
            both("Deal - Won time", "Deal - ID", ""),
        ),
        (
            "Birth Date,Valid until,Call Start,Ticket #",
            "2001-01-01,2027-01-01,2026-09-13 10:00,9",
            both("Call Start", "Ticket #", ""),
        ),
        (
            "Fecha de venta,Nº de pedido,Código de cliente",
            "2026-09-13,7,K",
            both("Fecha de venta", "Nº de pedido", "Código de cliente"),
        ),
        ("Date de la commande,N° de facture", "2026-09-13,7", both("Date de la commande", "N° de facture", "")),
        (
            "Data ordine,Data di consegna,Numero scontrino",
            "2026-09-13,2026-09-15,7",
            both("Data ordine", "Numero scontrino", ""),
        ),
        (
            "Besteldatum,Factuurnummer,Klantnummer",
            "2026-09-13,7,K",
            both("Besteldatum", "Factuurnummer", "Klantnummer"),
        ),
        (
            "Lieferdatum,Verkaufsdatum,Rechnungs-Nr.",
            "2026-09-15,2026-09-13,7",
            both("Verkaufsdatum", "Rechnungs-Nr.", ""),
        ),
        ("Number of orders,Booking Date,Booking Ref", "3,2026-09-13,7", both("Booking Date", "Booking Ref", "")),
    ] {
        assert_eq!(fields(headings, row), expected, "{headings}");
    }
    // what is not taken for what it is not
    for (headings, row) in [
        ("Customer ID,Date,Tax Amount", "K,2026-09-13,1.5"),
        ("Customer ID,Date,Unit Price", "K,2026-09-13,1.5"),
        ("Customer ID,Date,Amount (refunded)", "K,2026-09-13,1.5"),
    ] {
        let text = of("a.csv", &format!("{headings}\n{row}\n"));
        assert!(!Mapping::parse(&text).unwrap().metrics.contains_key("revenue"), "{text}");
    }
    let totals = ["Order Total", "Total Collected", "Importe total", "Montant TTC", "Total (incl. VAT)"];
    for heading in totals.into_iter().chain(["Amount in EUR"]) {
        let text = of("a.csv", &format!("Customer ID,Date,Tax,{heading}\nK,2026-09-13,1.5,9.5\n"));
        assert_eq!(Mapping::parse(&text).unwrap().metrics["revenue"], heading, "{text}");
    }
}

/// A day in three columns, clocks in forms of spreadsheets and SAP, zones in a column and in a heading.
#[test]
fn times_in_several_columns() {
    let time = |text: &str| {
        let text = of("a.csv", text);
        let mapping = Mapping::parse(&text).unwrap();
        (mapping.time, mapping.time_zone, text)
    };
    for (text, expected, has_zone) in [
        (
            "order_id,Year,Month,Day\n7,2026,9,13\n",
            "to_date(concat(CAST(\"Year\" AS VARCHAR), '-', CAST(\"Month\" AS VARCHAR), '-', CAST(\"Day\" AS VARCHAR)), '%Y-%m-%d')",
            true,
        ),
        (
            "VBELN;ERDAT;ERZET\n90001;20260913;093000\n",
            "to_timestamp(concat(CAST(ERDAT AS VARCHAR), ' ', ERZET), '%Y%m%d %H%M%S')",
            false,
        ),
        (
            "order_id;Datum;Uhrzeit\n7;13.09.2026 00:00:00;10:05 Uhr\n",
            "to_timestamp(concat(Datum, ' ', Uhrzeit), '%d.%m.%Y 00:00:00 %H:%M Uhr')",
            false,
        ),
        (
            "order_id;Datum;Uhrzeit\n7;13.09.2026;30.12.1899 10:05:00\n",
            "to_timestamp(concat(Datum, ' ', Uhrzeit), '%d.%m.%Y 30.12.1899 %H:%M:%S')",
            false,
        ),
        (
            "order_id,Date,Time,Time Zone\n7,2026-09-13,10:05,Europe/Berlin\n",
            "concat(concat(\"Date\", ' ', \"Time\"), ' ', \"Time Zone\")",
            true,
        ),
        (
            "order_id,Date,Time,TimeZone\n7,13/09/2026,10:05:00,CEST\n",
            "concat(concat(to_char(to_date(\"Date\", '%d/%m/%Y'), '%Y-%m-%d'), ' ', \"Time\"), ' ', \"TimeZone\")",
            true,
        ),
    ] {
        let (value, _, text) = time(text);
        assert_eq!(value, expected, "{text}");
        assert_eq!(!text.contains("# time_zone"), has_zone, "{text}");
    }
    let (_, zone, text) = time("order_id,Date (UTC)\n7,2026-09-13 10:05\n");
    assert!(zone == chrono_tz::UTC && text.contains("time_zone = \"UTC\"   # as the column's name says"), "{text}");
    let (_, zone, text) = time("order_id,Date,Time (Europe/Paris)\n7,2026-09-13,10:05\n");
    assert_eq!(zone, chrono_tz::Europe::Paris, "{text}");
    let (_, _, text) = time("order_id,Date,Time,Time Zone\n7,2026-09-13,10:05,Eastern Time (US & Canada)\n");
    assert!(text.contains("# Time Zone is not used: \"Eastern Time (US & Canada)\" is no zone"), "{text}");
    assert!(text.contains("\n# time_zone = "), "{text}");
}

/// Nothing that says when rows happened is left out without a word.
#[test]
fn what_is_left_out_is_told() {
    for (text, told) in [
        (
            "order_id,Date,Last call\n7,2026-09-13,10:05\n",
            "# Not used: Last call, which holds clocks; where it belongs to the days, time = ",
        ),
        ("order_id,Sale Date,Talk Time\n7,2026-09-13,00:03:12\n", "a length of time is parse_duration(\"Talk Time\")"),
        // a heading of two lines does not end the comment
        (
            "order_id,Date,\"Talk\nTime\"\n7,2026-09-13,00:03:12\n",
            "a length of time is parse_duration(\"Talk?Time\")\n",
        ),
        (
            "order_id,Date,Delivered,Paid\n7,2026-09-13,2026-09-14,2026-09-15\n",
            "# Not used: Delivered, Paid, which hold days or times",
        ),
        ("order_id,Date\n7,2026-09-13\n", "# Rows have a day alone: they stand at 12:00 of it, where the suite is."),
        ("visitor,Date\n7,2026-09-13\n", "# Rows have a day alone: they stand at its first instant."),
        (
            "order_id,Date\n7,13.09.2026 00:00:00\n",
            "# All these times are midnight; where the day alone is known, time = ",
        ),
        (
            "order_id,Date\n7,13/09/2026\n8,14/09/2026\n9,09/15/2026\n",
            "# In some rows the day comes first and in others the month",
        ),
        (
            "order_id,Date\n7,13/09/2026\n8,14/09/2026\n9,soon\n",
            "# 1 of the first 3 rows say their time in a way that is not read, such as \"soon\"",
        ),
        ("order_id,Delivery Date\n7,2026-09-13\n", "its name says something else: is it this one?"),
        ("order_id,Date\n", "# The file has no row"),
        ("7,2026-09-13\n8,2026-09-14\n", "# The first line looks like a row; header = false"),
        (
            "order_id,Date,Total,Currency\n7,2026-09-13,5,EUR\n8,2026-09-13,5,USD\n",
            "# These amounts are in several currencies (EUR, USD)",
        ),
        (
            "order_id;Date;Total\n7;2026-09-13;€ 5\n8;2026-09-13;$ 5\n",
            "# These amounts are in several currencies ($, €)",
        ),
        (
            "order_id;Date;Total\n7;2026-09-13;1.234\n8;2026-09-13;12\n",
            "revenue = \"Total\"   # between thousands, or before a fraction?",
        ),
        (
            "order_id;Date;Total\n7;2026-09-13;1,234\n",
            "revenue = \"parse_number(Total, '.')\"   # between thousands, or",
        ),
    ] {
        let text = of("a.csv", text);
        assert!(text.contains(told), "{told}: {text}");
    }
    // one amount tells how the others are written
    let text = of("a.csv", "order_id;Date;Total;Menge\n7;2026-09-13;1.234;1,5\n");
    assert!(text.contains("revenue = \"parse_number(Total, ',')\"\n"), "{text}");
    assert!(of("a.csv", "order_id,Date,Total\n7,2026-09-13,0.125\n").contains("revenue = \"Total\"\n"));
}

/// Books have the sign of a loss behind it or in brackets, and currencies on either side.
#[test]
fn signs_of_losses() {
    for amount in ["1.234,56-", "(1.234,56)", "- 1.234,56", "\u{2212}1.234,56", "EUR 1.234,56-", "1.234,56 CHF"] {
        let text = of("sap.csv", &format!("Belegnr;Datum;Betrag\n7;13.09.2026;{amount}\n"));
        assert_eq!(Mapping::parse(&text).unwrap().metrics["revenue"], "parse_number(Betrag, ',')", "{text}");
    }
}

/// Files of other programs, and of shapes that no table has.
#[test]
fn what_is_no_table_is_told_with_the_next_step() {
    let of_bytes = |name: &str, bytes: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        guess(&path)
    };
    let long = [b"order_id,Date\n".as_slice(), b"x".repeat(17 << 20).as_slice()].concat();
    for (name, bytes, said) in [
        ("a.xlsx", b"PK\x03\x04\x14\0\x06\0\x08\0".as_slice(), "save the sheet as CSV"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0".as_slice(), "save the sheet as CSV"),
        ("a.xls", b"<html><table>".as_slice(), "save it as CSV"),
        ("a.pdf", b"%PDF-1.7\n%\xe2\xe3".as_slice(), "export it as CSV"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), "an image"),
        ("a.csv", b"o\0r\0d\0e\0r\0,\0D\0\n\0".as_slice(), "utf-16le"),
        ("a.bin", b"\x01\x02\x03\x7f,\x05\n".as_slice(), "export the file as CSV"),
        ("a.parquet", b"order_id,Date\n7,2026-09-13\n".as_slice(), "Parquet"),
        ("a.csv", b"".as_slice(), "empty"),
        ("a.csv", long.as_slice(), "more than 16 MiB; has the file line ends"),
    ] {
        let error = of_bytes(name, bytes).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains(name), "{name}: {error}");
    }
    let wide: Vec<String> = (0..10_000).map(|column| format!("column_{column}")).collect();
    let text = of("wide.csv", &format!("order_id,Date,{}\n7,2026-09-13{}\n", wide.join(","), ",x".repeat(10_000)));
    assert!(text.contains("time = \"Date\"") && text.contains("#   and 9940 more"), "{text}");
    let utf16: Vec<u8> = "\u{feff}order_id,Date\n7,2026-09-13\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(of_bytes("a.csv", &utf16).unwrap().contains("transaction_id = \"order_id\""));
}

/// Days and clocks that Parquet has as such are one time, too.
#[test]
fn days_and_clocks_of_parquet() {
    let [day, clock, ended]: [ArrayRef; 3] = [
        Arc::new(Date32Array::from(vec![20_709])),
        Arc::new(Time32SecondArray::from(vec![36_300])),
        Arc::new(Time32SecondArray::from(vec![36_400])),
    ];
    let ids: ArrayRef = Arc::new(StringArray::from(vec!["7"]));
    let guessed = |columns: Vec<(&str, ArrayRef)>| {
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sales.parquet");
        let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), rows.schema(), None).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        guess(&path).unwrap()
    };
    let text = guessed(vec![("order_id", ids.clone()), ("sale_date", day.clone()), ("sale_time", clock.clone())]);
    let both =
        "to_timestamp(concat(CAST(sale_date AS VARCHAR), ' ', CAST(sale_time AS VARCHAR)), '%Y-%m-%d %H:%M:%S%.f')";
    assert_eq!(Mapping::parse(&text).unwrap().time, both, "{text}");
    let text = guessed(vec![("order_id", ids.clone()), ("sale_date", day.clone()), ("end_time", ended)]);
    assert!(text.contains("time = \"sale_date\"\n") && text.contains("# Rows have a day alone"), "{text}");
    assert!(text.contains("# Not used: end_time, which holds clocks") && text.contains("end_time (clock)"), "{text}");
    let text = guessed(vec![("order_id", ids), ("sale_time", clock), ("paid_on", day)]);
    // the clock of something else
    let told = "# Not used: sale_time, which holds clocks; where it belongs to the days, time = ";
    assert!(text.contains("time = \"paid_on\"\n") && text.contains(told), "{text}");
}
