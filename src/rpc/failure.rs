//! Errors as gRPC statuses. Codes and texts are etcd's, byte for byte: its clients compare both.

use crate::model::Refusal;
use tonic::{Code, Status};

/// Why a server does not do what it was asked, beside what the state machine refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A sort order or target that is not known.
    #[error("etcdserver: invalid sort option")]
    InvalidSortOption,
    /// A comparison whose result or target is not known. etcd lets it hold; that hides the mistake.
    #[error("etcdserver: invalid comparison in txn request")]
    InvalidCompare,
    /// Too many requests wait already.
    #[error("etcdserver: too many requests")]
    TooManyRequests,
    /// Nobody leads.
    #[error("etcdserver: no leader")]
    NoLeader,
    /// Another member leads.
    #[error("etcdserver: not leader")]
    NotLeader,
    /// Somebody else leads since.
    #[error("etcdserver: leader changed")]
    LeaderChanged,
    /// It took too long; a write may or may not happen.
    #[error("etcdserver: request timed out")]
    Timeout,
    /// The server is ending; a write may or may not have happened.
    #[error("etcdserver: server stopped")]
    Stopped,
    /// No such member.
    #[error("etcdserver: member not found")]
    MemberNotFound,
    /// Who should lead cannot.
    #[error("etcdserver: bad leader transferee")]
    BadTransferee,
    /// An election's key is missing in a request.
    #[error("\"leader\" field must be provided")]
    MissingLeaderKey,
    /// Whoever asks was not elected, or no longer is.
    #[error("election: not leader")]
    NotElected,
    /// Nobody was elected.
    #[error("election: no leader")]
    NobodyElected,
    /// A lease ended while its client waited for what hangs on it.
    #[error("mutex: session is expired")]
    SessionExpired,
}

impl Failure {
    fn code(self) -> Code {
        match self {
            Failure::InvalidSortOption | Failure::InvalidCompare | Failure::MissingLeaderKey => {
                Code::InvalidArgument
            }
            Failure::TooManyRequests => Code::ResourceExhausted,
            Failure::NoLeader | Failure::LeaderChanged | Failure::Timeout | Failure::Stopped => {
                Code::Unavailable
            }
            Failure::NotLeader | Failure::BadTransferee => Code::FailedPrecondition,
            Failure::MemberNotFound => Code::NotFound,
            Failure::NotElected | Failure::NobodyElected | Failure::SessionExpired => Code::Unknown,
        }
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Status {
        Status::new(failure.code(), failure.to_string())
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Status {
        Status::new(code(refusal), refusal.to_string())
    }
}

fn code(refusal: Refusal) -> Code {
    match refusal {
        Refusal::EmptyKey
        | Refusal::ValueProvided
        | Refusal::LeaseProvided
        | Refusal::KeyNotFound
        | Refusal::TooManyOps
        | Refusal::DuplicateKey
        | Refusal::TooLarge => Code::InvalidArgument,
        Refusal::FutureRevision | Refusal::Compacted | Refusal::LeaseTtlTooLarge => {
            Code::OutOfRange
        }
        Refusal::LeaseNotFound => Code::NotFound,
        Refusal::LeaseExists => Code::FailedPrecondition,
        Refusal::NoSpace => Code::ResourceExhausted,
        Refusal::Corrupt => Code::DataLoss,
    }
}

/// What the gRPC library says of a message beyond the size that is decoded, as Go's says it to etcd's clients: its code is another one.
/// Any other status stays as it is.
pub fn as_go_says(status: Status) -> Status {
    let numbers = status
        .message()
        .strip_prefix("Error, decoded message length too large: found ")
        .and_then(|rest| rest.strip_suffix(" bytes"))
        .and_then(|rest| rest.split_once(" bytes, the limit is: "));
    match numbers {
        Some((found, limit)) if status.code() == Code::OutOfRange => Status::resource_exhausted(
            format!("grpc: received message larger than max ({found} vs. {limit})"),
        ),
        _ => status,
    }
}

/// What a client was refused, if that is what `status` says.
pub fn refusal(status: &Status) -> Option<Refusal> {
    let said = |refusal: &Refusal| refusal.to_string() == status.message();
    REFUSALS.into_iter().find(said)
}

const REFUSALS: [Refusal; 14] = [
    Refusal::EmptyKey,
    Refusal::ValueProvided,
    Refusal::LeaseProvided,
    Refusal::KeyNotFound,
    Refusal::TooManyOps,
    Refusal::DuplicateKey,
    Refusal::TooLarge,
    Refusal::FutureRevision,
    Refusal::Compacted,
    Refusal::LeaseNotFound,
    Refusal::LeaseExists,
    Refusal::LeaseTtlTooLarge,
    Refusal::NoSpace,
    Refusal::Corrupt,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_survives_the_wire() {
        for sent in REFUSALS {
            assert_eq!(refusal(&Status::from(sent)), Some(sent));
        }
        assert_eq!(refusal(&Status::from(Failure::Timeout)), None);
    }

    #[test]
    fn alarms_refuse_with_etcds_codes_and_texts() {
        let space = Status::from(Refusal::NoSpace);
        let text = "etcdserver: mvcc: database space exceeded";
        assert_eq!((space.code(), space.message()), (Code::ResourceExhausted, text));
        let corrupt = Status::from(Refusal::Corrupt);
        let text = "etcdserver: corrupt cluster";
        assert_eq!((corrupt.code(), corrupt.message()), (Code::DataLoss, text));
    }

    /// Codes and texts of etcd's `rpctypes`, for what no test can bring about over the wire without harm or long waits.
    #[test]
    fn failures_have_etcds_codes_and_texts() {
        for (failure, code, text) in [
            (Failure::TooManyRequests, Code::ResourceExhausted, "too many requests"),
            (Failure::NoLeader, Code::Unavailable, "no leader"),
            (Failure::NotLeader, Code::FailedPrecondition, "not leader"),
            (Failure::LeaderChanged, Code::Unavailable, "leader changed"),
            (Failure::Timeout, Code::Unavailable, "request timed out"),
            (Failure::Stopped, Code::Unavailable, "server stopped"),
            (Failure::MemberNotFound, Code::NotFound, "member not found"),
            (Failure::BadTransferee, Code::FailedPrecondition, "bad leader transferee"),
        ] {
            let status = Status::from(failure);
            let text = format!("etcdserver: {text}");
            assert_eq!((status.code(), status.message()), (code, text.as_str()));
        }
    }

    #[test]
    fn only_what_is_too_large_gets_another_code() {
        let text = "Error, decoded message length too large: found 9 bytes, the limit is: 5 bytes";
        let go = as_go_says(Status::out_of_range(text));
        assert_eq!(go.code(), Code::ResourceExhausted);
        assert_eq!(go.message(), "grpc: received message larger than max (9 vs. 5)");
        let revision = Status::from(Refusal::FutureRevision);
        assert_eq!(as_go_says(revision).code(), Code::OutOfRange);
    }
}
