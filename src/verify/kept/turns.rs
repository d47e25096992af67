//! Operations of several processes as one sequence of invocations and completions, as Jepsen's histories are.

/// When an operation of a process began and ended, ns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) process: u64,
    pub(super) invoked: u64,
    /// None if nobody heard of its end. It ends with the history then, and its process does nothing after it.
    pub(super) returned: Option<u64>,
}

/// The begin or the end of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) at: u64,
    /// Which operation, by its place.
    pub(super) operation: usize,
    pub(super) is_begin: bool,
}

/// All begins and ends by time. At the same nanosecond begins come first, so that operations that touch overlap, as they do for our own
/// checkers; those of one process keep their order.
pub(super) fn by_time(spans: &[Span]) -> Vec<Turn> {
    let last = spans.iter().map(|span| span.returned.unwrap_or(0).max(span.invoked)).max();
    let mut of_process: Vec<usize> = (0..spans.len()).collect();
    of_process.sort_by_key(|place| (spans[*place].process, spans[*place].invoked));
    let mut turns: Vec<(usize, Turn)> = Vec::with_capacity(2 * spans.len());
    for operation in of_process {
        let Span { process, invoked, returned } = spans[operation];
        let ends =
            [(true, invoked), (false, returned.unwrap_or(last.unwrap_or(invoked)).max(invoked))];
        for (is_begin, at) in ends {
            // How many of this process come before it at the same time.
            let before = match turns.last() {
                Some((turn, last)) if last.at == at && spans[last.operation].process == process => {
                    turn + 1
                }
                _ => 0,
            };
            turns.push((before, Turn { at, operation, is_begin }));
        }
    }
    turns.sort_by_key(|(before, turn)| (turn.at, *before, !turn.is_begin));
    turns.into_iter().map(|(_, turn)| turn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_touches_overlaps_unless_one_process_did_both() {
        let span = |process, invoked, returned| Span { process, invoked, returned };
        let turns = by_time(&[
            span(0, 0, Some(5)),
            span(0, 5, Some(5)),
            span(1, 5, Some(7)),
            span(2, 1, None),
        ]);
        let told: Vec<_> =
            turns.iter().map(|turn| (turn.at, turn.operation, turn.is_begin)).collect();
        assert_eq!(
            told,
            [
                (0, 0, true),
                (1, 3, true),
                (5, 2, true),
                (5, 0, false),
                (5, 1, true),
                (5, 1, false),
                (7, 2, false),
                (7, 3, false)
            ]
        );
    }
}
