//! `pg_catalog`, so that table browsers find the lake's tables and columns.

use async_trait::async_trait;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::{PgCatalogContextProvider, Role};
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::setup_pg_catalog;
use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;

use crate::engine::session::CATALOG;
use crate::serve::failure::Failure;
use crate::serve::session::Session;

/// Adds the catalog's tables and functions to a session.
pub fn add(session: &Session) -> Result<(), Failure> {
    let guest = OnlyGuest(session.place.guest.name.clone());
    setup_pg_catalog(session.engine.context(), CATALOG, guest).map_err(|error| Failure::from(*error))
}

/// A statement that asks the catalog, in words that the engine understands. Others stay as they are.
pub fn understood(statement: String) -> String {
    let text = statement.to_lowercase();
    if !["pg_", "information_schema", "::reg", "current_schema"].iter().any(|sign| text.contains(sign)) {
        return statement;
    }
    match PostgresCompatibilityParser::new().parse(&statement).as_deref() {
        Ok([one]) => Statement::to_string(one),
        // the engine says what is wrong about it
        _ => statement,
    }
}

/// A guest sees no other user.
#[derive(Debug, Clone)]
struct OnlyGuest(String);

#[async_trait]
impl PgCatalogContextProvider for OnlyGuest {
    async fn roles(&self) -> Vec<String> {
        vec![self.0.clone()]
    }

    async fn role(&self, name: &str) -> Option<Role> {
        (name == self.0).then(|| Role {
            name: self.0.clone(),
            is_superuser: false,
            can_login: true,
            can_create_db: false,
            can_create_role: false,
            can_create_user: false,
            can_replication: false,
            grants: vec![],
            inherited_roles: vec![],
        })
    }
}
