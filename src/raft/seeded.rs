//! Known bugs of the pipeline, for `tests/seeded_bugs`: only in builds with feature `seeded-bugs`, and only in members that a simulation
//! steps. Each is one that replicated logs are known for.

/// Something that a member can get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeededBug {
    /// A sync returns before what it was for is on disk, so that answers and votes precede it.
    SyncIsNone,
    /// Whom a member voted for is not written down.
    VoteForgotten,
    /// A member that takes itself for the leader answers reads without asking anybody.
    ReadUnasked,
    /// A lease lasts twice as long as anybody promised.
    LeaseTooLong,
    /// A proposal that arrives twice is appended twice.
    ForwardedTwice,
    /// A question that is asked again is known to the leader by the same bytes.
    QuestionsUnnamed,
}

impl SeededBug {
    /// Each of them.
    pub const ALL: [SeededBug; 6] = [
        SeededBug::SyncIsNone,
        SeededBug::VoteForgotten,
        SeededBug::ReadUnasked,
        SeededBug::LeaseTooLong,
        SeededBug::ForwardedTwice,
        SeededBug::QuestionsUnnamed,
    ];
}
