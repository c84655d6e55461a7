//! What every backend promises, as a suite that each runs from its own tests.
