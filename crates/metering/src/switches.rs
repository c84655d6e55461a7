//! Switches for what nobody outside AWS knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::item::{Billed, Item};

/// How the open points are decided. The default of each stands in the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Switches {
    /// Bytes in a KB of AWS's steps: 1024 or 1000.
    pub kilobyte: u64,
    /// Items whose default is turned around: whether they are billed.
    #[serde(flatten)]
    pub billed: BTreeMap<String, bool>,
}

impl Default for Switches {
    fn default() -> Self {
        Self { kilobyte: 1024, billed: BTreeMap::new() }
    }
}

impl Switches {
    /// Whether an item costs money.
    pub fn is_billed(&self, item: Item) -> bool {
        match item.row().billed {
            Billed::Yes => true,
            Billed::Free => false,
            Billed::Switch(default) => self.billed.get(item.name()).copied().unwrap_or(default),
        }
    }

    /// Names and values are checked once.
    ///
    /// # Errors
    /// What is wrong, and what there is instead.
    pub fn check(&self) -> Result<(), String> {
        if ![1000, 1024].contains(&self.kilobyte) {
            return Err(format!("kilobyte = {}: it must be 1024 or 1000", self.kilobyte));
        }
        for name in self.billed.keys() {
            let switch = Item::named(name).filter(|item| matches!(item.row().billed, Billed::Switch(_)));
            if switch.is_none() {
                let known: Vec<&str> = Self::names().collect();
                return Err(format!("{name}: no switch is called that; there are {}", known.join(", ")));
            }
        }
        Ok(())
    }

    /// Sets one by a text such as `shadow-message=off`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn set(&mut self, text: &str) -> Result<(), String> {
        let wrong = || format!("{text}: write NAME=on or NAME=off");
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        let on = match value {
            "on" => true,
            "off" => false,
            _ => return Err(wrong()),
        };
        self.billed.insert(name.to_owned(), on);
        self.check()
    }

    /// The items that have one.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Item::ALL.iter().filter(|item| matches!(item.row().billed, Billed::Switch(_))).map(|item| item.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_turn_defaults_around() {
        let mut switches = Switches::default();
        assert!(switches.is_billed(Item::ShadowMessage) && !switches.is_billed(Item::Redelivery));
        switches.set("shadow-message=off").unwrap();
        switches.set("repeated-delivery=on").unwrap();
        assert!(!switches.is_billed(Item::ShadowMessage) && switches.is_billed(Item::Redelivery));
        assert!(switches.is_billed(Item::PublishIn) && !switches.is_billed(Item::BasicIngest));
    }

    #[test]
    fn what_is_certain_has_no_switch() {
        let error = Switches::default().set("publish-in=off").unwrap_err();
        assert!(error.contains("no switch") && error.contains("shadow-message"), "{error}");
        assert!(Switches::default().set("ping-beyond").unwrap_err().contains("NAME=on"));
        let odd = Switches { kilobyte: 1025, ..Switches::default() };
        assert!(odd.check().unwrap_err().contains("1024 or 1000"));
    }
}
