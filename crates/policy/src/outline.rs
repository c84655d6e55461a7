//! Where the elements of a document stand in its text: for those who point at them.
//!
//! It is read apart from the document, so that the documents of live connections carry no positions, and it is
//! lenient: what it does not understand it leaves out.

use crate::json::{Node, Shape};
use crate::{MalformedPolicy, Position};

/// The places of a document's statements, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// One for each statement.
    pub statements: Vec<OutlinedStatement>,
    /// The value of `Version`, if it has one.
    pub version: Option<OutlinedText>,
}

/// The places of one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlinedStatement {
    /// Where the statement begins.
    pub at: Position,
    /// The values of Action or NotAction.
    pub actions: Vec<OutlinedText>,
    /// The values of Resource or NotResource.
    pub resources: Vec<OutlinedText>,
    /// Where Condition's value begins.
    pub condition: Option<Position>,
}

/// A text and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlinedText {
    /// The text; empty if the value is not a string.
    pub text: String,
    /// Where it begins.
    pub at: Position,
}

impl Outline {
    /// Reads the places from a document's text. Costs time and memory in proportion to the text.
    ///
    /// # Errors
    /// The text is not JSON, or not an object.
    pub fn read(text: &str) -> Result<Self, MalformedPolicy> {
        let mut outline = Self::default();
        for (name, node) in Node::root(text)?.members("the policy document")? {
            match name.as_str() {
                "Version" => outline.version = Some(outlined(&node)),
                "Statement" => outline.statements = node.elements()?.iter().map(statement).collect(),
                _ => {}
            }
        }
        Ok(outline)
    }
}

fn outlined(node: &Node<'_>) -> OutlinedText {
    OutlinedText { text: node.string("").unwrap_or_default(), at: node.at() }
}

fn statement(node: &Node<'_>) -> OutlinedStatement {
    let mut found =
        OutlinedStatement { at: node.at(), actions: Vec::new(), resources: Vec::new(), condition: None };
    if node.shape() != Shape::Object {
        return found;
    }
    let list = |node: &Node<'_>| node.elements().unwrap_or_default().iter().map(outlined).collect();
    for (name, node) in node.members("a statement").unwrap_or_default() {
        match name.as_str() {
            "Action" | "NotAction" => found.actions = list(&node),
            "Resource" | "NotResource" => found.resources = list(&node),
            "Condition" => found.condition = Some(node.at()),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_where_they_stand() {
        let text = "{\"Version\": \"2012-10-17\",\n \"Statement\": [{\"Effect\": \"Allow\",\n  \"Action\": \"iot:Connect\",\n  \"Resource\": [\"*\",\n   {\"x\": 1}]}]}";
        let outline = Outline::read(text).unwrap();
        let statement = &outline.statements[0];
        assert_eq!(statement.at, Position { line: 2, column: 16 });
        assert_eq!(statement.actions[0].at, Position { line: 3, column: 13 });
        assert_eq!(
            statement.resources[1],
            OutlinedText { text: String::new(), at: Position { line: 5, column: 4 } }
        );
        assert!(Outline::read("[1]").is_err());
    }
}
