//! What a template and its evaluation may cost.

/// Characters of a template's text (L-3B9C1B78; the API model says the same).
pub const TEMPLATE: usize = 10_240;
/// Functions inside functions. AWS names no number; real templates need two or three.
pub const DEPTH: usize = 16;
/// Characters of a parameter's name (API reference, *RegisterThing*).
pub const PARAMETER_NAME: usize = 2_048;
/// Characters of a parameter's value (API reference, *RegisterThing*).
pub const PARAMETER_VALUE: usize = 4_096;
/// Bytes that the functions of one template may produce together; beyond it the plan fails. Four times what all members
/// of all resources could hold.
pub const PRODUCED: usize = 1 << 20;
/// Elements of all lists that the functions of one template may produce together; beyond it the plan fails.
pub const ELEMENTS: usize = 20_000;
/// Policies of one template: as many as a certificate takes (L-BC2638B3).
pub const POLICIES: usize = 10;
