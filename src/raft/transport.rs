//! How members of a group reach each other. The raft library repeats what it does not see answered, so a transport may lose,
//! delay, repeat and reorder; it must not change bytes, and not make its caller wait.

use super::refusals::Refused;
use std::path::PathBuf;

/// Number of a member; never 0.
pub type MemberId = u64;

/// A message on its way out.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Who gets it.
    pub to: MemberId,
    /// What only the raft library reads.
    pub bytes: Vec<u8>,
    /// A file that goes with it: the state that the message says there is. It is read while it is sent, and may be gone by then.
    pub image: Option<PathBuf>,
}

/// A message that has arrived.
#[derive(Debug)]
pub struct Received {
    /// Who brought it, as far as the transport could tell.
    pub from: MemberId,
    /// What the sender's [`Envelope`] held.
    pub bytes: Vec<u8>,
    /// The file that came with it, complete, in the folder for what comes in; it is moved away or removed.
    pub image: Option<PathBuf>,
}

/// What a transport has to tell the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The member could not be reached lately.
    Unreachable(MemberId),
    /// An image reached the member whole, or did not.
    Image(MemberId, bool),
}

/// Carries messages to the other members.
pub trait Transport: Send + Sync + 'static {
    /// Takes messages and returns at once. What cannot be delivered soon is dropped.
    fn send(&self, envelopes: Vec<Envelope>);
}

/// Where messages for a member are left.
pub trait Door: Send + Sync + 'static {
    /// Leaves a message; beyond a bound it is dropped.
    fn receive(&self, received: Received);

    /// Tells what became of messages sent from here.
    fn report(&self, report: Report);

    /// Takes note of a message that was not even left here.
    fn refused(&self, from: MemberId, why: Refused);
}

/// For a group of one: there is nobody to send to.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl Transport for Nobody {
    fn send(&self, _: Vec<Envelope>) {}
}
