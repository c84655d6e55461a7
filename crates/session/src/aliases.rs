//! Topic aliases towards the client: short numbers for topics that come often (outbound-topic-aliases).

use mqtt::Text;

/// How many topics have an alias at most, whatever the client allows: they are looked through in a row.
pub(crate) const MOST: u16 = 16;

/// The aliases of one connection, given in the order in which topics are sent.
#[derive(Debug)]
pub(crate) struct Aliases {
    topics: Vec<Text>,
    most: u16,
}

/// How a topic is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// By its name alone.
    Name,
    /// By its name, with the alias that it has from now on.
    Both(u16),
    /// By its alias alone [MQTT-3.3.2-8].
    Alias(u16),
}

impl Aliases {
    /// For a client that takes aliases up to `most`; 0 means none.
    pub(crate) fn new(most: u16) -> Self {
        Self { topics: Vec::new(), most: most.min(MOST) }
    }

    /// True if the client takes any.
    pub(crate) fn are_used(&self) -> bool {
        self.most > 0
    }

    /// How to send a topic now.
    pub(crate) fn form(&mut self, topic: &Text) -> Form {
        let number = |at: usize| u16::try_from(at + 1).unwrap_or(MOST);
        if let Some(at) = self.topics.iter().position(|known| known == topic) {
            return Form::Alias(number(at));
        }
        if self.topics.len() >= usize::from(self.most) {
            return Form::Name;
        }
        self.topics.push(topic.detached());
        Form::Both(number(self.topics.len() - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_topics_get_the_aliases() {
        let topic = |name: &'static str| Text::from_static(name);
        let mut aliases = Aliases::new(2);
        assert_eq!(aliases.form(&topic("a")), Form::Both(1));
        assert_eq!(aliases.form(&topic("b")), Form::Both(2));
        assert_eq!(aliases.form(&topic("c")), Form::Name);
        assert_eq!(aliases.form(&topic("b")), Form::Alias(2));
        assert!(!Aliases::new(0).are_used());
    }
}
