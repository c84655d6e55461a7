//! The invariant, and what views are made of.
