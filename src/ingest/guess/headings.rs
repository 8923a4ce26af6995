//! What the words of a heading say: `Sale Date`, `Bestelldatum`, `invoiceNo`, `Update Time`.
//!
//! In: a heading. Out: what each of its words says, and how well they fit what is looked for. A word that says something
//! else (`due`, `birth`, `discount`) keeps its heading out; with a word that nobody knows a heading comes last, if at all.

use std::collections::HashMap;
use std::sync::LazyLock;

use self::Word::{
    Amount, Booking, Call, Card, Case, Closed, Code, Created, Currency, Customer, Date, Day, Email, Event, Invoice,
    Lead, Link, Month, Number, Of, Order, Other, Payment, Product, Quantity, Receipt, Sale, Start, Tax, Time,
    Transaction, Unknown, Utc, Without, Won, Year, Zone,
};

/// What a word of a heading says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Word {
    // what the column holds
    Date,
    Year,
    Month,
    Day,
    Time,
    Zone,
    Number,
    Code,
    Email,
    Amount,
    Quantity,
    Currency,
    // of what
    Sale,
    Order,
    Transaction,
    Receipt,
    Invoice,
    Booking,
    Payment,
    Lead,
    Won,
    Closed,
    Call,
    Case,
    Event,
    Created,
    Start,
    Customer,
    Card,
    Product,
    /// Nothing: `the`, `web`.
    Link,
    /// `of`: a number of orders is no order's number.
    Of,
    /// `UTC`, `GMT`.
    Utc,
    Tax,
    /// What stands before a tax that an amount has or lacks: `incl. VAT`.
    Without,
    /// Something that is never looked for.
    Other,
    /// Nobody knows.
    Unknown,
}

/// The words, in small letters and without accents, in English, German, French, Spanish, Italian and Dutch.
const WORDS: &[(Word, &str)] = &[
    (Date, "date datetime datum fecha data timestamp tstamp ts zeitstempel zeitpunkt horodatage"),
    (Year, "year jahr annee ano anno jaar yyyy"),
    (Month, "month monat mois mes mese maand mm"),
    (Day, "day tag jour dia giorno dag dd"),
    (Time, "time clock uhrzeit zeit heure hora ora tijd uhr"),
    (Zone, "zone timezone tz zeitzone fuseau zona tijdzone fuso"),
    (Number, "no nr num number nummer numero nro n id ref reference referenz referencia riferimento referentie uuid"),
    (Number, "guid identifier kennung"),
    (Code, "code kode codigo codice"),
    (Email, "email mail emails correo courriel"),
    (Amount, "amount amt betrag betrags bedrag montant importe importo monto total totals totale totaal gesamt summe"),
    (Amount, "sum somme suma somma revenue umsatz erlos omzet turnover ingresos value wert valeur valor valore waarde"),
    (Amount, "price preis prix precio prezzo prijs brutto netto gross net grand ttc gesamtbetrag gesamtsumme"),
    (Quantity, "quantity qty quant menge anzahl stuck stueck stk zahl quantite qte cantidad cant quantita aantal"),
    (Quantity, "units pieces pcs nb count"),
    (Currency, "eur usd gbp chf jpy sek nok dkk pln czk huf cad aud nzd inr brl mxn cny try zar sgd hkd euro euros"),
    (Currency, "dollars"),
    (Sale, "sale sales sold verkauf verkaufs verkauft vente venta vendita verkoop verkocht purchase purchased kauf"),
    (Sale, "kaufs gekauft achat compra acquisto aankoop"),
    (Order, "order ordered bestellung bestellungs bestell auftrag auftrags commande pedido orden ordine bestelling"),
    (Order, "bestel"),
    (Transaction, "transaction trans txn trx transaktion transaktions transaccion transazione transactie"),
    (Receipt, "receipt beleg bon kassenbon kassenbeleg quittung quittungs recu recibo ricevuta scontrino bonnetje"),
    (Receipt, "kassabon document doc dokument documento"),
    (Invoice, "invoice rechnung rechnungs facture factura fattura factuur bill billing"),
    (Booking, "booking booked posting posted buchung buchungs gebucht reservation reserva prenotazione boeking"),
    (Payment, "payment paid pay zahlung zahlungs bezahlt gezahlt paiement pago pagamento betaling charge collected"),
    (Lead, "lead opportunity opp deal geschaft"),
    (Won, "won gewonnen gagne ganado vinto gewonnene"),
    (Closed, "closed close closing abschluss abgeschlossen geschlossen cierre chiusura cloture gesloten completed"),
    (Closed, "completion finished solved"),
    (Call, "call anruf anrufs appel llamada chiamata oproep gesprach gesprachs conversation interaction"),
    (Case, "case ticket fall vorgang vorgangs incident cas caso"),
    (Event, "event hit visit activity action"),
    (Created, "created create creation erstellt erstellungs erstell angelegt creado creacion creato creazione cree"),
    (Created, "aangemaakt opened registered submitted entered placed added recorded received eingang eingangs erfasst"),
    (Start, "start started begin begann beginn debut inicio inizio"),
    (Customer, "customer cust kunde kunden client clients cliente klant klanten buyer shopper guest patron member"),
    (Customer, "mitglied mitglieds loyalty user account acct konto debitor contact kontakt person subscriber crm"),
    (Customer, "requester payer caller kundenkarte klantenkaart acheteur clubcard club rewards treue treuekarte"),
    (Customer, "fidelity fidelite"),
    (Card, "card karte karten carte tarjeta tessera kaart"),
    (Product, "product produkt item items article artikel articulo articolo material sku produit producto prodotto"),
    (Product, "plu ean upc gtin barcode"),
    (Link, "the de del della di du des der die das von van la le les el al at on am um in im and und et y e c my web"),
    (Link, "online local lokal pos full external ext internal"),
    (Of, "of"),
    (Utc, "utc gmt"),
    (Tax, "tax taxes vat mwst ust steuer iva tva btw gst"),
    (Without, "incl inc including inkl excl ex excluding exkl zzgl before after ohne without untaxed"),
    (Other, "ship shipped shipping shipment versand versendet liefer lieferung lieferungs delivery delivered deliver"),
    (Other, "livraison entrega envio consegna spedizione levering verzend fulfilled fulfillment pickup dispatch birth"),
    (Other, "birthday geburt geburts dob naissance nacimiento nascita geboorte age anniversary due falligkeit"),
    (Other, "falligkeits faelligkeit faelligkeits falls valid validity until gultig gueltig bis expiry expiration"),
    (Other, "expires expired expire ablauf vervaldatum echeance vencimiento scadenza mahn warranty update updated"),
    (Other, "modified modify modification changed change geandert geaendert anderung anderungs aenderung aenderungs"),
    (Other, "mise last letzte letzter letztes previous prev next nachste first erste hold wait waiting talk ring"),
    (Other, "ringing handle handling wrap queue duration dauer duree duracion durata elapsed response resolution"),
    (Other, "length lasting break idle ready work cancelled canceled cancel cancellation storno stornierung refund"),
    (Other, "refunds refunded return returned returns retoure lost void voided printed print export exported import"),
    (Other, "imported download report sync synced end ended ende fin stop since estimated estimate est expected"),
    (Other, "forecast planned plan target scheduled follow reminder appointment discount discounts rabatt remise"),
    (Other, "descuento sconto korting coupon voucher promo tip tips trinkgeld fee fees gebuhr gebuehr cost costs"),
    (Other, "kosten cogs margin profit weighted probability balance outstanding commission average avg per pro unit"),
    (Other, "einzel line lineitem row zeile position parent related source type typ status state stage name"),
    (Other, "description reason method mode address phone zip city note comment rate language join joined signup hire"),
    (Other, "contract period week quarter fiscal partial tendered rounding gift deposit points stock inventory"),
    (Other, "available orders transactions receipts invoices customers payments calls tickets deals leads visits"),
    (Other, "events bestellungen rechnungen original"),
];

/// How words of German and Dutch end that say what a column holds, whatever stands before it.
const ENDS: [&str; 11] =
    ["datum", "uhrzeit", "zeit", "nummer", "nr", "betrag", "summe", "menge", "tijd", "bedrag", "preis"];

/// Nobody knows the words of a heading of more bytes: it is a text, and no name.
const MAX_HEADING_BYTES: usize = 200;

static KNOWN: LazyLock<HashMap<&'static str, Word>> =
    LazyLock::new(|| WORDS.iter().flat_map(|(word, texts)| texts.split(' ').map(move |text| (text, *word))).collect());

/// What is looked for by the words of headings.
pub(super) struct Sought {
    /// What the column holds.
    what: &'static [Word],
    /// Of what, the likeliest first.
    of: &'static [Word],
    /// What may stand beside it.
    beside: &'static [Word],
    /// What may be missing.
    need: Need,
    /// How many words there may be that nobody knows.
    unknown: usize,
}

/// What a heading must say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    What,
    Both,
    Either,
}

/// Of what there is a time, the likeliest first.
const HAPPENED: &[Word] = &[
    Sale,
    Order,
    Transaction,
    Receipt,
    Invoice,
    Booking,
    Closed,
    Won,
    Call,
    Case,
    Event,
    Created,
    Start,
    Payment,
    Lead,
];

/// A time, or a day.
pub(super) const MOMENT: Sought =
    Sought { what: &[Date, Time], of: HAPPENED, beside: &[Link, Of, Utc], need: Need::Either, unknown: 1 };
/// What a clock shows, beside a day.
pub(super) const CLOCK_BESIDE: Sought =
    Sought { what: &[Time], of: HAPPENED, beside: &[Link, Of, Utc, Date], need: Need::What, unknown: 1 };
/// The zone of a clock.
pub(super) const ZONE: Sought =
    Sought { what: &[Zone], of: HAPPENED, beside: &[Link, Of, Time], need: Need::What, unknown: 0 };
pub(super) const YEAR: Sought =
    Sought { what: &[Year], of: HAPPENED, beside: &[Link, Of], need: Need::What, unknown: 0 };
pub(super) const MONTH: Sought =
    Sought { what: &[Month], of: HAPPENED, beside: &[Link, Of], need: Need::What, unknown: 0 };
pub(super) const DAY: Sought = Sought { what: &[Day], of: HAPPENED, beside: &[Link, Of], need: Need::What, unknown: 0 };
pub(super) const TRANSACTION_NUMBER: Sought = Sought {
    what: &[Number, Code],
    of: &[Transaction, Order, Receipt, Sale, Lead, Invoice, Booking, Payment],
    beside: &[Link],
    need: Need::Both,
    unknown: 0,
};
/// The number that a record has where it was made.
pub(super) const OWN_NUMBER: Sought =
    Sought { what: &[Number, Code], of: &[Case, Call], beside: &[Link], need: Need::Both, unknown: 0 };
pub(super) const CUSTOMER_NUMBER: Sought =
    Sought { what: &[Number, Code], of: &[Customer], beside: &[Link, Card], need: Need::Both, unknown: 0 };
/// The number of a card, which may be the customer's.
pub(super) const CARD_NUMBER: Sought =
    Sought { what: &[Number], of: &[Card], beside: &[Link], need: Need::Both, unknown: 0 };
pub(super) const CUSTOMER_EMAIL: Sought =
    Sought { what: &[Email], of: &[Customer, Invoice, Order], beside: &[Link], need: Need::What, unknown: 0 };
pub(super) const AMOUNT: Sought = Sought {
    what: &[Amount],
    of: &[Sale, Order, Transaction, Receipt, Invoice, Booking, Payment, Lead, Won, Closed],
    beside: &[Link, Of, Currency],
    need: Need::What,
    unknown: 0,
};
pub(super) const QUANTITY: Sought = Sought {
    what: &[Quantity],
    of: &[Sale, Order, Product],
    beside: &[Link, Of, Amount],
    need: Need::What,
    unknown: 0,
};
pub(super) const PRODUCT_NUMBER: Sought =
    Sought { what: &[Number, Code], of: &[Product], beside: &[Link], need: Need::Both, unknown: 0 };

impl Sought {
    /// The same, where a word that nobody knows may stand beside.
    pub fn or_longer(self) -> Self {
        Self { unknown: 1, ..self }
    }

    /// True for a heading that says of what it is.
    pub fn has_subject(&self, words: &[Word]) -> bool {
        words.iter().any(|word| self.of.contains(word))
    }

    /// How far a heading is from what is looked for; None where it is something else.
    pub fn rank(&self, words: &[Word]) -> Option<usize> {
        let (mut has_what, mut subject, mut unknown) = (false, None::<usize>, 0);
        for word in words {
            if self.what.contains(word) {
                has_what = true;
            } else if let Some(place) = self.of.iter().position(|of| of == word) {
                subject = Some(subject.map_or(place, |before| before.min(place)));
            } else if *word == Unknown || *word == Card && !self.beside.contains(word) {
                unknown += 1;
            } else if !self.beside.contains(word) {
                return None;
            }
        }
        let fits = match self.need {
            Need::What => has_what,
            Need::Both => has_what && subject.is_some(),
            Need::Either => has_what || subject.is_some(),
        };
        let bare = usize::from(!has_what);
        (fits && unknown <= self.unknown).then(|| unknown * 1000 + bare * 100 + subject.map_or(0, |place| place + 1))
    }
}

/// True for headings that may be of one thing: one does not say of what it is, or both say the same.
pub(super) fn are_of_one(one: &[Word], other: &[Word]) -> bool {
    let of = |words: &[Word]| words.iter().copied().filter(|word| HAPPENED.contains(word)).collect::<Vec<_>>();
    let (one, other) = (of(one), of(other));
    one.is_empty() || other.is_empty() || one.iter().any(|word| other.contains(word))
}

/// What the words of a heading say. Of those in brackets at its end what nobody knows is left out: `Total (base)`.
pub(super) fn words(heading: &str) -> Vec<Word> {
    if heading.len() > MAX_HEADING_BYTES {
        return vec![Unknown];
    }
    let short = without_unit(heading);
    let mut words = words_of(short);
    words.extend(words_of(&heading[short.len()..]).into_iter().filter(|word| *word != Unknown));
    if words.contains(&Without) {
        words.retain(|word| !matches!(word, Without | Tax));
    }
    words.iter().map(|word| if matches!(word, Without | Tax) { Other } else { *word }).collect()
}

/// A heading without the unit that stands behind it: `Amount (EUR)`, `Total [€]`.
fn without_unit(heading: &str) -> &str {
    let heading = heading.trim_end();
    let open = match heading.chars().last() {
        Some(')') => '(',
        Some(']') => '[',
        _ => return heading,
    };
    heading.rfind(open).map(|at| heading[..at].trim_end()).filter(|rest| !rest.is_empty()).unwrap_or(heading)
}

/// What stands in brackets at the end of a heading.
pub(super) fn unit(heading: &str) -> Option<&str> {
    let short = without_unit(heading);
    let rest = heading.trim_end().get(short.len()..)?.trim_start();
    rest.strip_prefix(['(', '['])?.strip_suffix([')', ']']).map(str::trim)
}

/// A heading by which its column is known: without its unit, unless that says what it is not: `Amount (refunded)`.
pub(super) fn name_of(heading: &str) -> &str {
    let short = without_unit(heading);
    match words(&heading[short.len()..]).contains(&Other) {
        true => heading,
        false => short,
    }
}

fn words_of(text: &str) -> Vec<Word> {
    let mut words = vec![];
    for piece in pieces(text) {
        said_by(&piece, &mut words);
    }
    words
}

/// The words as they are written, in small letters and without accents: at signs, and where a capital begins a word.
fn pieces(text: &str) -> Vec<String> {
    let signs: Vec<char> = text.chars().collect();
    let (mut pieces, mut piece) = (vec![], String::new());
    for (at, sign) in signs.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| signs[before]);
        let begins = sign.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_uppercase() && signs.get(at + 1).is_some_and(|next| next.is_lowercase())
            });
        let is_number = matches!(sign, '#' | '№');
        if begins || is_number || !sign.is_alphanumeric() {
            pieces.push(std::mem::take(&mut piece));
        }
        match is_number {
            true => pieces.push("no".into()),
            false if sign.is_alphanumeric() => piece.extend(sign.to_lowercase().map(without_accent)),
            false => {}
        }
    }
    pieces.push(piece);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn without_accent(sign: char) -> char {
    match sign {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => 'a',
        'ç' => 'c',
        'è' | 'é' | 'ê' | 'ë' => 'e',
        'ì' | 'í' | 'î' | 'ï' => 'i',
        'ñ' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'º' => 'o',
        'ù' | 'ú' | 'û' | 'ü' => 'u',
        other => other,
    }
}

/// What a word says, or the two of which it is made: `orderdate`, `kundennummer`.
fn said_by(piece: &str, words: &mut Vec<Word>) {
    if let Some(word) = KNOWN.get(piece) {
        words.push(*word);
        return;
    }
    let parts = piece.char_indices().map(|(at, _)| piece.split_at(at)).filter(|(head, _)| head.len() >= 3);
    let mut both = parts.filter_map(|(head, tail)| KNOWN.get(head).copied().zip(KNOWN.get(tail).copied()));
    if let Some((head, tail)) = both.rfind(|(head, tail)| *head != Link && *tail != Link) {
        words.extend([head, tail]);
        return;
    }
    words.push(Unknown);
    let end = ENDS.iter().find(|end| piece.ends_with(**end));
    words.extend(end.and_then(|end| KNOWN.get(end)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_headings() {
        for (heading, said) in [
            ("Sale Date", vec![Sale, Date]),
            ("saleDate", vec![Sale, Date]),
            ("SALE_DATE__c", vec![Sale, Date, Link]),
            ("orderdate", vec![Order, Date]),
            ("Verkaufsdatum", vec![Sale, Date]),
            ("Kundennr.", vec![Customer, Number]),
            ("Mietdatum", vec![Unknown, Date]),
            ("Rechnungs-Nr.", vec![Invoice, Number]),
            ("N° de commande", vec![Number, Link, Order]),
            ("Nº pedido", vec![Number, Order]),
            ("Numéro de facture", vec![Number, Link, Invoice]),
            ("Fecha de creación", vec![Date, Link, Created]),
            ("Data ordine", vec![Date, Order]),
            ("Klantnummer", vec![Customer, Number]),
            ("Receipt #", vec![Receipt, Number]),
            ("InvoiceID", vec![Invoice, Number]),
            ("IDOrder", vec![Number, Order]),
            ("Deal - Won time", vec![Lead, Won, Time]),
            ("TimeZone", vec![Time, Zone]),
            ("Total (incl. VAT)", vec![Amount]),
            ("Total excl. tax", vec![Amount]),
            ("Total tax", vec![Amount, Other]),
            ("Time (UTC)", vec![Time, Utc]),
            ("Grand Total (Base)", vec![Amount, Amount]),
            ("Update Time", vec![Other, Time]),
            ("candidate", vec![Unknown]),
            ("lifetime", vec![Unknown]),
            ("", vec![]),
        ] {
            assert_eq!(words(heading), said, "{heading}");
        }
        // where a long one could be cut is not looked for
        assert_eq!(words(&"x".repeat(1 << 20)), [Unknown]);
        assert_eq!(words(&"sale date ".repeat(100)), [Unknown]);
        let mut seen = HashMap::new();
        for (word, texts) in WORDS {
            for text in texts.split(' ') {
                assert!(seen.insert(text, *word).is_none(), "{text} is there twice");
            }
        }
    }

    #[test]
    fn what_a_heading_is_and_what_it_is_not() {
        let is = |sought: &Sought, heading: &str| sought.rank(&words(heading)).is_some();
        let times = ["Sale Date", "Date of sale", "Transaction Timestamp", "Closed on", "Fecha de venta", "Belegdatum"];
        let of_orders = ["Besteldatum", "Date de la commande", "Data ordine", "Order Time (UTC)"];
        for heading in times.into_iter().chain(of_orders) {
            assert!(is(&MOMENT, heading), "{heading}");
        }
        let no_times = ["Update Time", "Delivery Date", "Birth Date", "Time on hold", "Due date", "Valid until"];
        let of_others = ["Customer since", "Ship Date", "Lieferdatum", "Fälligkeitsdatum", "Geburtsdatum"];
        for heading in no_times.into_iter().chain(of_others).chain(["Expected close date", "Last activity date"]) {
            assert!(!is(&MOMENT, heading) && !is(&CLOCK_BESIDE, heading), "{heading}");
        }
        let numbers = ["Order No", "Receipt Number", "Sales Order Number", "Reference Txn ID", "Belegnr", "Pedido nº"];
        for heading in numbers {
            assert!(is(&TRANSACTION_NUMBER, heading), "{heading}");
        }
        for heading in ["Number of orders", "Discount code", "Last order ID", "Order status", "Order", "Order row no"] {
            assert!(!is(&TRANSACTION_NUMBER, heading), "{heading}");
        }
        for heading in ["Net Sales", "Total Collected", "Order Total", "Montant TTC", "Importe", "Amount in EUR"] {
            assert!(is(&AMOUNT, heading), "{heading}");
        }
        for heading in ["Tax Amount", "Tip Amount", "Unit price", "Amount refunded", "Discount value", "Total time"] {
            assert!(!is(&AMOUNT, heading), "{heading}");
        }
        for heading in ["Customer No", "Kunden-Nr.", "Client ID", "Account number", "Código de cliente"] {
            assert!(is(&CUSTOMER_NUMBER, heading), "{heading}");
        }
        for heading in ["Loyalty Card No", "Club card number", "Kundenkarte Nr.", "N° de carte fidélité"] {
            assert!(is(&CUSTOMER_NUMBER, heading), "{heading}");
        }
        for (heading, expected) in [
            ("Card No", true),
            ("CARD_NUMBER", true),
            ("Kartennummer", true),
            ("Credit card no", false),
            ("Gift card number", false),
            ("Card type", false),
            ("Payment card no", false),
        ] {
            assert_eq!(is(&CARD_NUMBER, heading), expected, "{heading}");
        }
        assert!(is(&MOMENT, "Card Sale Date"));
        for heading in ["Number of customers", "Customer name", "Customer since", "Salesperson ID"] {
            assert!(!is(&CUSTOMER_NUMBER, heading), "{heading}");
        }
        let rank = |heading: &str| MOMENT.rank(&words(heading));
        assert!(rank("Datum") < rank("Sale Date") && rank("Sale Date") < rank("Created Date"));
        assert!(rank("Created Date") < rank("Created on") && rank("Created on") < rank("Mietdatum"));
        for (clock, expected) in [("Time", true), ("Sale Time", true), ("Call Time", false)] {
            assert_eq!(are_of_one(&words("Sale Date"), &words(clock)), expected, "{clock}");
        }
    }

    #[test]
    fn units_stand_in_brackets() {
        for (heading, name, said) in [
            ("Amount (EUR)", "Amount", Some("EUR")),
            ("Total [€] ", "Total", Some("€")),
            ("(EUR)", "(EUR)", None),
            ("Amount (refunded)", "Amount (refunded)", Some("refunded")),
            ("Time (Europe/Berlin)", "Time", Some("Europe/Berlin")),
            ("Total", "Total", None),
        ] {
            assert_eq!((name_of(heading), unit(heading)), (name, said), "{heading}");
        }
    }
}
