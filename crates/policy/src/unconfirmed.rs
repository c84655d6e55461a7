//! Questions that AWS's pages leave open, and the reading that this crate takes.

/// One open question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unconfirmed {
    /// A stable name.
    pub id: &'static str,
    /// What nobody has documented.
    pub question: &'static str,
    /// What this crate does, and why that is the safe side.
    pub reading: &'static str,
}

/// Every open question of the policy language that the code had to answer.
pub const UNCONFIRMED: &[Unconfirmed] = &[];
