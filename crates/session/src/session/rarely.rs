//! State that most sessions never have: it takes a pointer until it is first changed.

use std::ops::{Deref, DerefMut};

/// State that has a form in which it says nothing.
pub(super) trait Rare: Default + 'static {
    /// What is read where there is none. Equal to the default.
    fn nothing() -> &'static Self;
}

/// Reads as [`Rare::nothing`] until somebody changes it. Whoever only might change something asks
/// [`Rarely::is_there`] first.
#[derive(Debug)]
pub(super) struct Rarely<T>(Option<Box<T>>);

impl<T> Default for Rarely<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> From<T> for Rarely<T> {
    fn from(state: T) -> Self {
        Self(Some(Box::new(state)))
    }
}

impl<T> Rarely<T> {
    /// True if it was ever changed.
    pub(super) fn is_there(&self) -> bool {
        self.0.is_some()
    }
}

impl<T: Rare> Deref for Rarely<T> {
    type Target = T;
    fn deref(&self) -> &T {
        match &self.0 {
            Some(state) => state,
            None => T::nothing(),
        }
    }
}

impl<T: Rare> DerefMut for Rarely<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}
