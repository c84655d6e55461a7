//! All the documents that apply to one identity, put together once and shared by its connections.

use std::sync::{Arc, OnceLock};

use identity::{PolicyName, Site, ThingGroupName};

use crate::authorizer::Rules;
use crate::document::Statement;
use crate::glob::Glob;
use crate::resource::Pattern;
use crate::{ConnectionContext, Document};

/// By which way a policy came to apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Attached to the certificate.
    Certificate,
    /// Attached to a thing group, or an ancestor of it, that holds the connection's thing.
    ThingGroup(ThingGroupName),
    /// Anything else; the text reads well after "from".
    Other(Arc<str>),
}

/// One version of one policy.
#[derive(Clone, Debug)]
pub struct Source {
    /// The policy's name.
    pub policy: PolicyName,
    /// The version in force.
    pub version: u32,
    /// Why it applies.
    pub origin: Origin,
    /// What it says.
    pub document: Arc<Document>,
}

/// The policies of one identity.
#[derive(Debug)]
pub struct PolicySet {
    sources: Box<[Source]>,
    entries: Box<[Entry]>,
    /// What the connections of a site share if no statement asks about them.
    shared: OnceLock<(Arc<Site>, Arc<Rules>)>,
}

/// One statement of the set.
#[derive(Debug)]
pub(crate) struct Entry {
    source: usize,
    statement: usize,
    /// The actions of [`Asked`] that it speaks of.
    asked: [bool; Asked::COUNT],
    /// What the connections share because no variable stands in it.
    fixed: Option<Box<Fixed>>,
}

#[derive(Debug)]
struct Fixed {
    patterns: Box<[Pattern]>,
    /// By [`Kind`].
    names: [Arc<[Glob]>; Kind::COUNT],
}

/// The actions that the broker asks for without end, and that are therefore prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Connect,
    Publish,
    RetainPublish,
    Subscribe,
    Receive,
}

impl Asked {
    pub(crate) const COUNT: usize = 5;
    pub(crate) const ALL: [Self; Self::COUNT] =
        [Self::Connect, Self::Publish, Self::RetainPublish, Self::Subscribe, Self::Receive];

    pub(crate) fn lower_case_name(self) -> &'static str {
        match self {
            Self::Connect => "iot:connect",
            Self::Publish => "iot:publish",
            Self::RetainPublish => "iot:retainpublish",
            Self::Subscribe => "iot:subscribe",
            Self::Receive => "iot:receive",
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Connect => Kind::Client,
            Self::Subscribe => Kind::TopicFilter,
            Self::Publish | Self::RetainPublish | Self::Receive => Kind::Topic,
        }
    }
}

/// The kinds of resources of these actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Client,
    Topic,
    TopicFilter,
}

impl Kind {
    pub(crate) const COUNT: usize = 3;
    pub(crate) const ALL: [Self; Self::COUNT] = [Self::Client, Self::Topic, Self::TopicFilter];

    pub(crate) fn name(self) -> &'static str {
        self.prefix().trim_end_matches('/')
    }

    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Client => "client/",
            Self::Topic => "topic/",
            Self::TopicFilter => "topicfilter/",
        }
    }
}

impl PolicySet {
    /// Puts the documents together. Their order has no meaning.
    pub fn compile(sources: Vec<Source>) -> Self {
        let numbered = sources.iter().enumerate();
        let entries = numbered.flat_map(|(source, of)| {
            let statements = of.document.statements.iter().enumerate();
            statements.map(move |(statement, text)| Entry {
                source,
                statement,
                asked: Asked::ALL.map(|asked| text.covers(asked.lower_case_name())),
                fixed: Fixed::of(text).map(Box::new),
            })
        });
        Self { entries: entries.collect(), sources: sources.into(), shared: OnceLock::new() }
    }

    /// A set that allows every action on everything: for the principals of test listeners.
    pub fn allow_all(name: PolicyName) -> Self {
        let document = Arc::new(Document::allow_all());
        let origin = Origin::Other("the configuration".into());
        Self::compile(vec![Source { policy: name, version: 1, origin, document }])
    }

    /// True if no policy applies: everything is denied.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// The policies of which the set consists.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The rules for a connection of a site: made once if they are the same for all of them.
    pub(crate) fn rules(&self, site: &Arc<Site>, make: impl Fn() -> Arc<Rules>) -> Arc<Rules> {
        let is_same =
            |located: &Located<'_>| located.entry.fixed.is_some() && located.statement.conditions.is_empty();
        if !self.statements().all(|located| is_same(&located)) {
            return make();
        }
        let (known, rules) = self.shared.get_or_init(|| (site.clone(), make()));
        if Arc::ptr_eq(known, site) { rules.clone() } else { make() }
    }

    /// Every statement with where it stands.
    pub(crate) fn statements(&self) -> impl Iterator<Item = Located<'_>> {
        self.entries.iter().filter_map(|entry| {
            let source = self.sources.get(entry.source)?;
            let statement = source.document.statements.get(entry.statement)?;
            Some(Located { entry, source, number: entry.statement + 1, statement })
        })
    }
}

/// A statement and where it stands.
#[derive(Clone, Copy)]
pub(crate) struct Located<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) source: &'a Source,
    /// From 1.
    pub(crate) number: usize,
    pub(crate) statement: &'a Statement,
}

impl Entry {
    pub(crate) fn covers(&self, asked: Asked) -> bool {
        self.asked.get(asked as usize).copied().unwrap_or(false)
    }

    /// The prepared patterns for names of a kind, if they are the same for every connection of the site.
    pub(crate) fn shared_names(&self, site: &Site, kind: Kind) -> Option<Arc<[Glob]>> {
        let fixed = self.fixed.as_ref()?;
        let at_home = fixed.patterns.iter().all(|pattern| pattern.is_of(site));
        at_home.then(|| fixed.names.get(kind as usize).cloned()).flatten()
    }
}

impl Fixed {
    fn of(statement: &Statement) -> Option<Self> {
        let nobody = ConnectionContext::default();
        let resolved = statement.resources.of.iter().map(|resource| resource.resolve(&nobody).ok());
        let patterns: Box<[Pattern]> = resolved.collect::<Option<_>>()?;
        let names = |kind: Kind| patterns.iter().flat_map(|pattern| pattern.names(kind.prefix())).collect();
        let names = Kind::ALL.map(names);
        Some(Self { patterns, names })
    }
}
