//! Mappings of files as banks, tills and trackers write them.

use super::*;

/// Of a bank's amounts it is known which went out: at the amount, or in a column of its own.
#[test]
fn amounts_of_banks() {
    let text = of("bank.csv", "order_id,Date,Amount\n7,2026-09-13,12.50 CR\n8,2026-09-13,3.00 DR\n");
    assert_eq!(Mapping::parse(&text).unwrap().metrics["revenue"], "parse_number(Amount, '.')", "{text}");
    assert!(!text.contains("several currencies"), "{text}");
    let told = "# Dr/Cr says which of these amounts went out";
    for (amounts, is_told) in [(["12.50", "3.00"], true), (["12.50", "-3.00"], false)] {
        let [one, other] = amounts;
        let rows = format!("7,2026-09-13,{one},C\n8,2026-09-13,{other},D\n");
        let text = of("bank.csv", &format!("order_id,Date,Amount,Dr/Cr\n{rows}"));
        assert_eq!(text.contains(told), is_told, "{text}");
        let signed = text.lines().find_map(|line| line.strip_prefix("# revenue = "));
        let signed = signed.map(|value| toml::from_str::<toml::Table>(&format!("value = {value}")).unwrap());
        let expected = "CASE WHEN \"Dr/Cr\" = 'D' THEN -Amount ELSE Amount END";
        let signed = signed.as_ref().and_then(|table| table["value"].as_str());
        assert_eq!(signed, is_told.then_some(expected), "{text}");
    }
    let text = of("shop.csv", "order_id,Date,Amount,Size\n7,2026-09-13,12.50,S\n8,2026-09-13,3.00,M\n");
    assert!(!text.contains("went out"), "{text}");
}

/// The number of a card is a customer's, with a question, but for payment cards.
#[test]
fn numbers_of_cards() {
    for (numbers, is_customer) in [
        (["C-100023", "C-100024"], true),
        (["2900000012345", "2900000012352"], true),
        (["4111 1111 1111 1111", "5500000000000004"], false),
        (["****1111", "****0004"], false),
        (["1111", "0004"], false),
    ] {
        let [one, other] = numbers;
        let rows = format!("R1,2026-09-13,{one}\nR2,2026-09-13,{other}\n");
        let text = of("till.csv", &format!("Receipt No,Sale Date,Card No\n{rows}"));
        let customer = Mapping::parse(&text).unwrap().customer_id;
        assert_eq!(customer.as_deref(), is_customer.then_some("Card No"), "{text}");
        assert_eq!(text.contains("is it the number of a customer's card"), is_customer, "{text}");
        // who has a customer's number needs no other
        let text = of("till.csv", &format!("Receipt No,Sale Date,Card No,Customer No\n{}", rows.replace('\n', ",K\n")));
        assert_eq!(Mapping::parse(&text).unwrap().customer_id.as_deref(), Some("Customer No"), "{text}");
    }
}

/// A title may be a person's; the lines of an order stand in rows of their own; parts of records may have a column each.
#[test]
fn names_that_mean_something_else_elsewhere() {
    let text = of("leads.csv", "Lead ID,Title,Email,Created Date\n00Q1,CEO,a@example.org,2026-09-13 10:00\n");
    let mapping = Mapping::parse(&text).unwrap();
    assert!(text.contains("kind = \"offline\"") && !mapping.dimensions.contains_key("page_name"), "{text}");
    assert_eq!(mapping.transaction_id.as_deref(), Some("Lead ID"));
    let headings = "Name,Email,Total,Created at,Lineitem quantity,Lineitem name,Payment Reference";
    let row = "#1001,a@example.org,84.90,2026-09-13 10:00:00 +0200,2,Boots,c1";
    let text = of("orders.csv", &format!("{headings}\n{row}\n"));
    assert!(text.contains("transaction_id = \"Name\"   # the name of an order"), "{text}");
    let text = of("people.csv", "Name,Customer No,Date,Total\nAnn,7,2026-09-13,5\n");
    assert_eq!(Mapping::parse(&text).unwrap().transaction_id, None, "{text}");
    let headings = "event,distinct_id,timestamp,properties.$current_url,properties.title,properties.$device_id";
    let row = "$pageview,d1,2026-09-13T10:00:00Z,https://shop.example/,Home,x1";
    let text = of("posthog.csv", &format!("{headings}\n{row}\n"));
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.visitor_id.as_deref(), Some("coalesce(\"properties.$device_id\", distinct_id)"), "{text}");
    assert_eq!(mapping.dimensions["page_url"], "properties.$current_url");
    assert_eq!(mapping.dimensions["page_name"], "properties.title");
    assert!(text.contains("the device, which stays the same when somebody logs in"), "{text}");
}

/// Stripe's amounts are in cents, and the order stands in what the shop says of a charge.
#[test]
fn amounts_in_cents() {
    let charge = r#"{"id":"ch_1","object":"charge","amount":8490,"created":1788257100,"metadata":{"order_id":"G1"}}"#;
    let text = of("charges.ndjson", &format!("{charge}\n"));
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.transaction_id.as_deref(), Some("\"metadata\"['order_id']"), "{text}");
    assert_eq!(mapping.metrics["revenue"], "amount / 100.0", "{text}");
    let text = of("orders.ndjson", &format!("{}\n", charge.replace("charge", "order")));
    assert_eq!(Mapping::parse(&text).unwrap().metrics["revenue"], "amount", "{text}");
}

/// Deals that were lost and payments that failed have amounts, too, and a comment says so.
#[test]
fn what_came_to_nothing() {
    for (heading, states, told) in [
        ("StageName", ["Closed Won", "Closed Lost"], true),
        ("Deal - Status", ["Won", "Open"], false),
        ("Lead-Status", ["gewonnen", "verloren"], true),
        ("Financial Status", ["paid", "refunded"], true),
        ("Payment status", ["failed", "failed"], false),
        ("Description", ["Boots", "Refund of boots"], false),
    ] {
        let [one, other] = states;
        let rows = format!("7,2026-09-13,12.50,{one}\n8,2026-09-13,3.00,{other}\n");
        let text = of("deals.csv", &format!("deal_id,close_date,Amount,{heading}\n{rows}"));
        assert_eq!(text.contains("came to nothing"), told, "{text}");
        let without = text.lines().find_map(|line| line.strip_prefix("# revenue = "));
        assert_eq!(without.is_some_and(|sql| sql.contains(other) && sql.contains("THEN Amount END")), told, "{text}");
    }
}

/// A record of a customer is no hit, though it has a link to itself and a client's id as Google Analytics calls it.
#[test]
fn records_of_clients_are_no_hits() {
    let deals = "client_id,deal_id,close_date,amount,url\n17,D-1,2026-09-01,99.5,https://crm.example/deals/1\n";
    let text = of("deals.csv", deals);
    for line in ["kind = \"offline\"", "customer_id = \"client_id\"", "transaction_id = \"deal_id\""] {
        assert!(text.contains(line), "{line}: {text}");
    }
    for (columns, row) in [
        ("client_id,timestamp,transaction_id", "1234567890.1788256800,2026-09-01T10:00:00Z,T1"),
        ("client_id,timestamp,event_name,transaction_id", "17,2026-09-01T10:00:00Z,purchase,T1"),
        ("client_id,timestamp,page_location,transaction_id", "17,2026-09-01T10:00:00Z,/,T1"),
    ] {
        let text = of("log.csv", &format!("{columns}\n{row}\n"));
        assert!(text.contains("kind = \"online\"") && text.contains("visitor_id = \"client_id\""), "{text}");
    }
}

#[test]
fn amounts_that_would_be_counted_wrongly() {
    // the price of one piece
    let text = of("lines.csv", "order_no,sale_date,sku,price,quantity\nO1,2026-09-01,a,9.5,3\n");
    assert!(text.contains("revenue = \"price\"") && text.contains("# revenue = \"price * quantity\""), "{text}");
    for other in ["total_price,quantity", "price,colour"] {
        let text = of("lines.csv", &format!("order_no,sale_date,sku,{other}\nO1,2026-09-01,a,9.5,3\n"));
        assert!(!text.contains("price of one piece"), "{text}");
    }
    // carts, also where amounts are written for people
    let events = "v,2026-09-01,purchase,\"1.234,50\"\nv,2026-09-01,cart,\"99,00\"\n";
    let text = of("events.csv", &format!("visitor_id,time,event_name,revenue\n{events}"));
    let revenue = "revenue = \"CASE WHEN event_name = 'purchase' THEN parse_number(revenue, ',') END\"";
    assert!(text.contains(revenue), "{text}");
    // rows with nothing in the place of an order's number
    let row = |order: &str| format!("{{\"visitor_id\":\"v\",\"time\":\"2026-09-01\",\"order_id\":\"{order}\"}}\n");
    let text = of("orders.ndjson", &(row("") + &row("o1")));
    let is_borne = "nullif(CAST(order_id AS VARCHAR), '') IS NOT NULL";
    assert!(text.contains(&format!("orders = \"CASE WHEN {is_borne} THEN 1 END\"")), "{text}");
    let text = of("orders.ndjson", &(row("(not set)") + &row("o1")));
    assert!(text.contains("orders = \"CASE WHEN nullif(order_id, '(not set)') IS NOT NULL THEN 1 END\""), "{text}");
}
