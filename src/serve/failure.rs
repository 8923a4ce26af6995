//! What went wrong, in the words of each door.

use axum::http::StatusCode;
use tonic::Code;

use crate::error::{Spot, StatementFault};
use crate::{Error, ErrorKind};

/// Why a door did not give what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The engine's reason.
    Engine(ErrorKind),
    /// No such user, or a wrong password or token; the door does not say which.
    Unknown,
    /// The user may not do this.
    Forbidden,
    /// The statement would write.
    ReadOnly,
    /// There are too many guests.
    Full,
    /// The user's memory does not suffice.
    Memory,
    /// The answer has too many rows, or the question is too long.
    TooLarge,
    /// The statement took too long.
    Late,
    /// The client cancelled the statement.
    Cancelled,
    /// The door does not offer this.
    NotOffered,
    /// The server stops.
    Stopping,
}

impl Reason {
    /// SQLSTATE (PostgreSQL's appendix A), gRPC code, HTTP status.
    fn words(self) -> (&'static str, Code, StatusCode) {
        use ErrorKind as K;
        match self {
            Reason::Engine(K::Usage) => ("22023", Code::InvalidArgument, StatusCode::BAD_REQUEST),
            Reason::Engine(K::Configuration) => ("55000", Code::FailedPrecondition, StatusCode::UNPROCESSABLE_ENTITY),
            Reason::Engine(K::Refused) => ("22000", Code::InvalidArgument, StatusCode::UNPROCESSABLE_ENTITY),
            Reason::Engine(K::Conflict) => ("40001", Code::Aborted, StatusCode::CONFLICT),
            Reason::Engine(K::Unavailable) => ("58030", Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
            Reason::Engine(K::Query) => ("42000", Code::InvalidArgument, StatusCode::BAD_REQUEST),
            Reason::Engine(K::Bug) => ("XX000", Code::Internal, StatusCode::INTERNAL_SERVER_ERROR),
            Reason::Unknown => ("28P01", Code::Unauthenticated, StatusCode::UNAUTHORIZED),
            Reason::Forbidden => ("42501", Code::PermissionDenied, StatusCode::FORBIDDEN),
            Reason::ReadOnly => ("25006", Code::PermissionDenied, StatusCode::FORBIDDEN),
            Reason::Full => ("53300", Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS),
            Reason::Memory => ("53200", Code::ResourceExhausted, StatusCode::SERVICE_UNAVAILABLE),
            Reason::TooLarge => ("54000", Code::OutOfRange, StatusCode::PAYLOAD_TOO_LARGE),
            Reason::Late => ("57014", Code::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT),
            Reason::Cancelled => ("57014", Code::Cancelled, StatusCode::REQUEST_TIMEOUT),
            Reason::NotOffered => ("0A000", Code::Unimplemented, StatusCode::NOT_IMPLEMENTED),
            Reason::Stopping => ("57P01", Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

/// A reason and a message for a person.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// What, where and the next step.
    pub message: String,
    /// What in the statement it is about, where that is known.
    pub spot: Option<Spot>,
    /// Five characters that tell more than the reason does.
    state: Option<&'static str>,
}

impl Failure {
    /// A failure.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), spot: None, state: None }
    }

    /// The same with an SQLSTATE that tells more than its reason.
    pub fn with_sqlstate(self, state: &'static str) -> Self {
        Self { state: Some(state), ..self }
    }

    /// Five characters as PostgreSQL has them.
    pub fn sqlstate(&self) -> &'static str {
        self.state.unwrap_or(self.reason.words().0)
    }

    /// As HTTP has it.
    pub fn http(&self) -> StatusCode {
        self.reason.words().2
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let reason = if error.is_out_of_memory() { Reason::Memory } else { Reason::Engine(error.kind()) };
        let state = error.fault().map(|fault| match fault {
            StatementFault::Syntax => "42601",
            StatementFault::Table => "42P01",
            StatementFault::Column => "42703",
            StatementFault::Ambiguous => "42702",
            StatementFault::Function => "42883",
            StatementFault::Setting | StatementFault::Object => "42704",
            StatementFault::Schema => "3F000",
            StatementFault::Time => "22007",
            StatementFault::TimeRange => "22008",
            StatementFault::Value => "22P02",
            StatementFault::Range => "22003",
            StatementFault::Division => "22012",
            StatementFault::Power => "2201F",
            StatementFault::Logarithm => "2201E",
            StatementFault::Grouping => "42803",
            StatementFault::Windowing => "42P20",
            StatementFault::Argument => "22023",
            StatementFault::Rows => "21000",
        });
        Self { reason, message: error.to_string(), spot: error.spot().cloned(), state }
    }
}

impl From<datafusion::error::DataFusionError> for Failure {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        Error::from(error).into()
    }
}

impl From<Failure> for tonic::Status {
    fn from(failure: Failure) -> Self {
        tonic::Status::new(failure.reason.words().1, failure.message)
    }
}
