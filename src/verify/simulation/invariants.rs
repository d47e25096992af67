//! What has to hold, by name. The `checker` and the `clients` look at it, the recovery and the witness checker in the end.

/// What is held against every member at every tick, and what in the end.
pub const INVARIANTS: [(&str, &str); 25] = [
    ("one-leader-per-term", "no term has two leaders"),
    ("logs-match", "logs that have an entry of one index and term in common are the same up to it"),
    ("leader-appends-only", "a leader changes nothing in its log"),
    (
        "leader-has-all-committed",
        "whoever leads has every entry that was committed in an earlier term",
    ),
    (
        "committed-on-a-quorum",
        "what is committed is on the disks of a majority when anybody first knows",
    ),
    ("committed-stays-on-a-quorum", "and at every tick from then on, whoever crashes"),
    ("committed-never-changes", "an index that was committed has one entry for good, in every log"),
    ("commit-within-log", "nobody takes for committed what its log has not got"),
    ("applied-within-commit", "nobody applies what it does not know to be committed"),
    ("same-entries-applied", "what is applied is what was committed"),
    ("term-never-back", "a term never goes back, not over a crash either"),
    ("one-vote-per-term", "nobody votes twice in a term, not over a crash either"),
    ("commit-never-back", "what a member knows to be committed it does not forget while it runs"),
    ("applied-never-back", "what it has applied it does not undo while it runs"),
    (
        "equal-state-at-equal-index",
        "members that have applied the same entries have the same state",
    ),
    ("image-is-its-state", "an image holds the state at its index"),
    ("lease-excludes-others", "nobody leads a later term while another may answer by its lease"),
    (
        "no-stale-answer",
        "nobody is answered with less than anybody had been answered with before it asked",
    ),
    ("one-change-per-revision", "no revision is given to two changes"),
    ("one-entry-per-proposal", "no proposal is committed twice"),
    (
        "one-group-at-one-change",
        "members that follow the same change of the group know the same group",
    ),
    ("no-member-gives-up", "no member panics or ends by itself"),
    ("a-leader-in-time", "once all is well, somebody leads within twenty election timeouts"),
    ("all-catch-up", "and everybody has the same, and answers a read and a write"),
    (
        "strict-serializability",
        "an order that respects real time explains every answer of the whole run",
    ),
];

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What should.
    pub invariant: &'static str,
    /// How it shows.
    pub words: String,
}

impl Violation {
    pub(super) fn of<T>(invariant: &'static str, words: String) -> Result<T, Violation> {
        Err(Violation { invariant, words })
    }
}
