//! The checkers: each an independent naive model of one promise, in a file of its own. They see facts, in order, and
//! look sessions up in the book; none knows how the broker does what it does.

mod answers;
mod deliveries;
mod expiry;
mod groups;
mod growth;
mod identifiers;
mod loss;
mod order;
mod permits;
mod quotas;
mod redelivery;
mod retained;
mod seats;
mod traffic;
mod wills;

use identity::Timestamp;
use mqtt::Publish;

use crate::book::Book;
use crate::fact::Fact;
use crate::marks::Marks;

/// A model that watches one promise.
pub trait Checker: Send {
    /// Its name, as failures give it.
    fn name(&self) -> &'static str;

    /// A fact. The book does not have it yet.
    ///
    /// # Errors
    /// What was promised and did not hold.
    fn see(&mut self, now: Timestamp, fact: &Fact, book: &Book) -> Result<(), String>;

    /// What it still waits for, for the end of a world: nothing if it has all.
    fn waits_for(&self, _book: &Book) -> Option<String> {
        None
    }
}

/// All of them.
pub fn all(marks: &Marks) -> Vec<Box<dyn Checker>> {
    vec![
        Box::new(seats::Seats::default()),
        Box::new(permits::Permits::default()),
        Box::new(loss::Loss::default()),
        Box::new(redelivery::Redelivery::default()),
        Box::new(groups::Groups::new(marks.clone())),
        Box::new(expiry::Expiry::default()),
        Box::new(retained::Retained::default()),
        Box::new(wills::Wills::default()),
        Box::new(quotas::Quotas::new(marks.clone())),
        Box::new(answers::Answers::default()),
        Box::new(deliveries::Deliveries::default()),
        Box::new(order::Order::default()),
        Box::new(growth::Growth),
        Box::new(identifiers::Identifiers::new(marks.clone())),
        Box::new(traffic::Traffic::default()),
    ]
}

/// The names of all, and of what the world itself looks at.
pub fn names() -> Vec<&'static str> {
    let models = all(&Marks::default());
    models.iter().map(|checker| checker.name()).chain(["bill", "process", "rest", "start"]).collect()
}

/// What tells a message from every other: the first word of its payload.
pub fn word(publish: &Publish) -> String {
    let text = String::from_utf8_lossy(&publish.payload);
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Topics of shared groups are used for nothing else.
pub fn is_shared(topic: &str) -> bool {
    topic.starts_with("g/")
}
