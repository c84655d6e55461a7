//! A file for each kind of packet that a client sends.

pub(crate) mod acknowledge;
pub(crate) mod disconnect;
pub(crate) mod misplaced;
pub(crate) mod ping;
pub(crate) mod pubcomp;
pub(crate) mod publish;
pub(crate) mod pubrec;
pub(crate) mod pubrel;
pub(crate) mod subscribe;
