//! `pg_catalog`, so that table browsers find the lake's tables and columns.

use std::borrow::Cow;

use arrow::datatypes::DataType;
use async_trait::async_trait;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::scalar::ScalarValue;
use datafusion_pg_catalog::pg_catalog::context::{PgCatalogContextProvider, Role};
use datafusion_pg_catalog::pg_catalog::setup_pg_catalog;
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;

use crate::engine::session::CATALOG;
use crate::serve::failure::Failure;
use crate::serve::session::Session;

/// Adds the catalog's tables and functions to a session.
pub fn add(session: &Session) -> Result<(), Failure> {
    let guest = OnlyGuest(session.admission.guest.name.clone());
    let context = session.engine.context();
    setup_pg_catalog(context, CATALOG, guest).map_err(|error| Failure::from(*error))?;
    let nothing = ScalarValue::Utf8(None);
    let visible = ScalarValue::Boolean(Some(true));
    for name in ["col_description", "obj_description", "shobj_description", "pg_size_pretty", "pg_table_size"] {
        context.register_udf(Always::function(name, &nothing));
    }
    for name in ["pg_function_is_visible", "pg_type_is_visible"] {
        context.register_udf(Always::function(name, &visible));
    }
    Ok(())
}

/// A function that gives always the same, whatever it is asked: there are no comments on tables, and nothing is hidden.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Always {
    name: &'static str,
    value: ScalarValue,
    signature: Signature,
}

impl Always {
    fn function(name: &'static str, value: &ScalarValue) -> ScalarUDF {
        let signature = Signature::variadic_any(Volatility::Immutable);
        ScalarUDF::from(Self { name, value: value.clone(), signature })
    }
}

impl ScalarUDFImpl for Always {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(self.value.data_type())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}

/// What `\d+` of psql asks of a table's storage; an array of a query is nothing that the engine knows.
const STORAGE_OPTIONS: &str = "pg_catalog.array_to_string(c.reloptions || array(select 'toast.' || x from pg_catalog.unnest(tc.reloptions) x), ', ')";

/// Statements that ask the catalog, in words that the engine understands. Others stay as they are.
pub fn understood(sql: &str) -> Cow<'_, str> {
    let text = sql.to_lowercase();
    if !["pg_", "information_schema", "::reg", "current_schema"].iter().any(|sign| text.contains(sign)) {
        return sql.into();
    }
    let sql = sql.replace(STORAGE_OPTIONS, "NULL::text");
    match PostgresCompatibilityParser::new().parse(&sql) {
        Ok(statements) => statements.iter().map(|s| format!("{s};")).collect::<Vec<_>>().join(" ").into(),
        // the engine says what is wrong about it
        Err(_) => sql.into(),
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
