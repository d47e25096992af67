//! Money: the key space as accounts, and transfers between them. etcd's transactions do no arithmetic, so a transfer
//! reads both balances, computes, and writes both only if neither was written meanwhile; else it begins again.

use crate::model::{
    Body, Compare, CompareResult, Interval, KeyValue, MainRevision, OpResponse, Operand, Put,
    Range, Request, RequestOp, Response, Txn,
};

/// What every account opens with.
pub(super) const OPENING: u64 = 1_000;
/// Most money one transfer moves.
pub(super) const AMOUNT_MAX: u64 = 100;

/// A balance as it is kept: a decimal number of fixed width.
pub(super) fn written(balance: u64, width: usize) -> Vec<u8> {
    format!("{balance:0width$}").into_bytes()
}

/// The balance that `value` holds, if it holds one.
pub fn balance(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// A transfer under way.
#[derive(Clone, Debug)]
pub struct Transfer {
    from: Vec<u8>,
    to: Vec<u8>,
    amount: u64,
    /// Width of a balance.
    width: usize,
    /// Whether the answer that is awaited is that of the write.
    is_writing: bool,
}

/// An account as it was read; one that is missing counts as empty and never written.
struct Account {
    balance: u64,
    modified: MainRevision,
}

impl Transfer {
    pub(super) fn new(from: Vec<u8>, to: Vec<u8>, amount: u64, width: usize) -> Transfer {
        Transfer { from, to, amount, width, is_writing: false }
    }

    /// What is sent first: both accounts are read at one revision.
    pub(super) fn read(&self) -> Request {
        let read = |key: &Vec<u8>| {
            let interval = Interval::point(key.clone());
            RequestOp::Range(Range { interval, ..Range::default() })
        };
        let success = vec![read(&self.from), read(&self.to)];
        Request::Txn(Txn { success, ..Txn::default() })
    }

    /// What has to be sent next, after `response`; nothing once the money has moved or if it was refused.
    pub fn next(&mut self, response: &Response) -> Option<Request> {
        let Ok(Body::Txn { succeeded, responses }) = &response.result else { return None };
        match self.is_writing {
            true if *succeeded => None,
            true => {
                self.is_writing = false;
                Some(self.read())
            }
            false => {
                self.is_writing = true;
                Some(self.write(&account(responses.first()), &account(responses.get(1))))
            }
        }
    }

    /// Never takes more than there is.
    fn write(&self, from: &Account, to: &Account) -> Request {
        let amount = self.amount.min(from.balance);
        let unchanged = |key: &Vec<u8>, account: &Account| Compare {
            interval: Interval::point(key.clone()),
            result: CompareResult::Equal,
            operand: Operand::Mod(account.modified),
        };
        let put = |key: &Vec<u8>, balance| {
            let value = written(balance, self.width);
            RequestOp::Put(Put { key: key.clone(), value, ..Put::default() })
        };
        Request::Txn(Txn {
            compares: vec![unchanged(&self.from, from), unchanged(&self.to, to)],
            success: vec![
                put(&self.from, from.balance - amount),
                put(&self.to, to.balance.saturating_add(amount)),
            ],
            failure: Vec::new(),
        })
    }
}

fn account(read: Option<&OpResponse>) -> Account {
    let kv: Option<&KeyValue> = match read.map(|read| &read.body) {
        Some(Body::Range(found)) => found.kvs.first(),
        _ => None,
    };
    Account {
        balance: kv.and_then(|kv| balance(&kv.value)).unwrap_or(0),
        modified: kv.map_or(0, |kv| kv.mod_revision),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RangeResult;

    fn read(balances: [(u64, MainRevision); 2]) -> Response {
        let step = |(balance, mod_revision)| {
            let kv = KeyValue { value: written(balance, 16), mod_revision, ..KeyValue::default() };
            let found = RangeResult { kvs: vec![kv], more: false, count: 1 };
            OpResponse { revision: 9, body: Body::Range(found) }
        };
        answer(true, balances.map(step).into())
    }

    fn answer(succeeded: bool, responses: Vec<OpResponse>) -> Response {
        Response { revision: 9, result: Ok(Body::Txn { succeeded, responses }) }
    }

    fn put_balances(request: &Request) -> Vec<u64> {
        let Request::Txn(txn) = request else { panic!("a transfer sends transactions") };
        let put = |op: &RequestOp| match op {
            RequestOp::Put(put) => balance(&put.value),
            _ => None,
        };
        txn.success.iter().filter_map(put).collect()
    }

    #[test]
    fn a_transfer_reads_writes_and_begins_again_if_it_was_too_late() {
        let mut transfer = Transfer::new(b"a".to_vec(), b"b".to_vec(), 30, 16);
        let first = transfer.read();
        assert!(!first.is_write());
        let write = transfer.next(&read([(100, 5), (7, 6)])).unwrap();
        assert_eq!(put_balances(&write), [70, 37]);
        let again = transfer.next(&answer(false, Vec::new())).unwrap();
        assert_eq!(again, first);
        let write = transfer.next(&read([(20, 8), (7, 6)])).unwrap();
        assert_eq!(put_balances(&write), [0, 27], "no more than there is");
        assert_eq!(transfer.next(&answer(true, Vec::new())), None);
    }
}
