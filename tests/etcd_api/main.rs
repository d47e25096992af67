//! etcd's API v3 as a client of it sees it: a server in this process, and the generated client against it. What etcd's
//! own client says of it is `scripts/etcdctl`.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

mod alarms;
mod errors;
mod groups;
mod keys;
mod leases;
mod served;
mod strangers;
mod turns;
mod watches;
