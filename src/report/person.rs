//! Who a person is, as SQL: what `rejoin explain-person` and the web page ask.

use crate::quote::literal;

/// Questions about the persons of a suite. A person is named as in `person_id`: `id:...`, `visitor:...`.
#[derive(Debug)]
pub struct PersonSql {
    own: String,
}

impl PersonSql {
    /// Of a suite.
    pub fn of(suite: &str) -> Self {
        Self { own: format!("suite = {}", literal(suite)) }
    }

    /// The person whose a customer ID is, where it is not simply its own: `person_id`.
    pub fn of_id(&self, id: &str) -> String {
        format!(
            "SELECT person_id FROM person_audit WHERE {} AND verdict = 'linked' AND customer_id = {}",
            self.own,
            literal(id)
        )
    }

    /// The persons who have rows of a visitor: `person_id`.
    pub fn of_visitor(&self, visitor: &str) -> String {
        format!(
            "SELECT DISTINCT person_id FROM persons WHERE {} AND visitor_id = {} ORDER BY 1",
            self.own,
            literal(visitor)
        )
    }

    /// The time line: `visitor`, `from`, `until`, `why`.
    pub fn spans(&self, person: &str) -> String {
        format!(
            "SELECT visitor_id AS visitor, valid_from AS \"from\", valid_until AS until, why FROM persons \
             WHERE {} AND person_id = {} ORDER BY visitor_id, valid_from NULLS FIRST, from_seq",
            self.own,
            literal(person)
        )
    }

    /// How many online rows, offline rows, visitors.
    pub fn rows(&self, person: &str) -> String {
        format!(
            "SELECT count(*) FILTER (WHERE row_kind = 'online'), count(*) FILTER (WHERE row_kind <> 'online'), \
             count(DISTINCT visitor_id) FROM events WHERE {} AND person_id = {}",
            self.own,
            literal(person)
        )
    }

    /// IDs of the person that rules or the limit are about: `customer_id`, `verdict`, `visitors`.
    pub fn ids(&self, person: &str) -> String {
        let id = person.strip_prefix("id:").unwrap_or_default();
        format!(
            "SELECT customer_id, verdict, visitors FROM person_audit WHERE {} AND (person_id = {} OR customer_id = {}) ORDER BY 1",
            self.own,
            literal(person),
            literal(id)
        )
    }

    /// The persons of the most visitors: `person_id`, `visitors`.
    pub fn of_most_visitors(&self, limit: usize) -> String {
        format!(
            "SELECT person_id, count(DISTINCT visitor_id) AS visitors FROM persons WHERE {} \
             GROUP BY person_id ORDER BY visitors DESC, person_id LIMIT {limit}",
            self.own
        )
    }

    /// The customer IDs on a visitor's hits.
    pub fn ids_on(&self, visitor: &str) -> String {
        format!(
            "SELECT DISTINCT trim(customer_id) FROM hits WHERE {} AND visitor_id = {} AND customer_id IS NOT NULL",
            self.own,
            literal(visitor)
        )
    }
}
