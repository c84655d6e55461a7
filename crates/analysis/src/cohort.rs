//! Who is asked about: policies, and how a connection may stand to a thing.

use std::collections::BTreeMap;

use identity::{ClientId, ThingName};
use policy::{ConditionView, ConnectionContext, Document, Effect, Source, Variable, VariableKind};

/// How a connection stands to a thing: it decides which variables have values.
///
/// Source: developer guide, *Thing policy variables*, *Associating an AWS IoT thing to an MQTT client connection*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Association {
    /// The principal is attached to a thing, and the client id is that thing's name.
    Attached,
    /// The principal belongs to one thing, whatever the client id.
    Exclusive,
    /// There is no thing.
    None,
}

impl Association {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Attached, Self::Exclusive, Self::None];

    /// The word that stands for it in arguments and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Exclusive => "exclusive",
            Self::None => "none",
        }
    }
}

/// A principal, or a group of devices that have the same policies.
#[derive(Clone, Debug)]
pub struct Cohort {
    /// What a person calls it.
    pub name: String,
    /// Its policies.
    pub sources: Vec<Source>,
    /// In which ways its connections may stand to a thing.
    pub associations: Vec<Association>,
    /// Values that are known, by the variable's name as [`Variable::canonical`] spells it.
    pub known: BTreeMap<String, String>,
}

impl Cohort {
    /// A principal of which nothing is known but its policies.
    pub fn new(name: impl Into<String>, sources: Vec<Source>) -> Self {
        Self { name: name.into(), sources, associations: Association::ALL.to_vec(), known: BTreeMap::new() }
    }

    /// Groups cohorts that have the same documents, associations and values: one analysis serves each group. Documents
    /// are the same if they are shared; the groups hold places in the list.
    pub fn shared(cohorts: &[Self]) -> Vec<Vec<usize>> {
        Self::grouped(cohorts, |cohort| cohort.known.clone())
    }

    /// The same, whatever the client ids: what holds for [`Cohort::symbolic`] of one of a group holds for all of it.
    pub fn alike(cohorts: &[Self]) -> Vec<Vec<usize>> {
        Self::grouped(cohorts, |cohort| cohort.symbolic().known)
    }

    /// The same policies with any client id that they let connect.
    #[must_use]
    pub fn symbolic(&self) -> Self {
        let mut any = self.clone();
        any.known.remove(CLIENT_ID);
        any
    }

    fn grouped(cohorts: &[Self], values: impl Fn(&Self) -> BTreeMap<String, String>) -> Vec<Vec<usize>> {
        let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (index, cohort) in cohorts.iter().enumerate() {
            let documents =
                cohort.sources.iter().map(|source| std::sync::Arc::as_ptr(&source.document) as usize);
            let mut documents: Vec<usize> = documents.collect();
            documents.sort_unstable();
            documents.dedup();
            let key = (documents, &cohort.associations, values(cohort));
            groups.entry(key).or_default().push(index);
        }
        let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
        groups.sort_unstable();
        groups
    }

    pub(crate) fn documents(&self) -> impl Iterator<Item = &Document> {
        self.sources.iter().map(|source| &*source.document)
    }

    /// True if no statement names a variable or key of things: then the associations do not differ.
    pub(crate) fn ignores_things(&self) -> bool {
        let of_thing = |variable: Variable<'_>| {
            matches!(
                variable.kind(),
                VariableKind::ThingName
                    | VariableKind::ThingTypeName
                    | VariableKind::ThingAttribute
                    | VariableKind::IsAttached
            )
        };
        !self.documents().flat_map(Document::views).any(|statement| {
            statement.resources().any(|resource| resource.variables().any(of_thing))
                || statement.conditions().any(|condition| {
                    of_thing(condition.key()) || condition.values().any(|v| v.contains("${"))
                })
        })
    }

    /// The associations that make a difference.
    pub(crate) fn distinct_associations(&self) -> Vec<Association> {
        match self.ignores_things() && self.associations.contains(&Association::None) {
            true => vec![Association::None],
            false => self.associations.clone(),
        }
    }
}

/// What a connection is like whose values are not known: enough for the conditions that the association decides.
fn bare(association: Association) -> ConnectionContext {
    ConnectionContext { is_attached: Some(association != Association::None), ..Default::default() }
}

/// Whether a condition holds for every connection of an association, or for none; nothing if that depends.
pub(crate) fn settled(
    condition: ConditionView<'_>,
    effect: Effect,
    association: Association,
) -> Option<bool> {
    let decided = match condition.key().kind() {
        VariableKind::IsAttached => true,
        VariableKind::Never => condition.key().is_never_known(),
        VariableKind::ThingName | VariableKind::ThingTypeName | VariableKind::ThingAttribute => {
            association == Association::None
        }
        _ => false,
    };
    if decided { condition.holds_in(&bare(association), effect) } else { None }
}

/// A connection with certain values. Nothing if a value is not one that its variable can have.
pub(crate) fn context(
    documents: &[&Document],
    association: Association,
    values: &BTreeMap<String, String>,
    met: &dyn Fn(ConditionView<'_>) -> bool,
) -> Option<ConnectionContext> {
    let mut context = bare(association);
    context.client_id = Some(ClientId::new(values.get(CLIENT_ID)?).ok()?);
    let name = match association {
        Association::Attached => values.get(CLIENT_ID),
        Association::Exclusive => values.get(THING_NAME),
        Association::None => None,
    };
    if association != Association::None {
        let name = ThingName::new(name.map_or("thing", String::as_str)).ok()?;
        let facts = policy::ThingFacts { name, type_name: None, attributes: BTreeMap::new() };
        context.thing = Some(std::sync::Arc::new(facts));
    }
    for statement in documents.iter().flat_map(|document| document.views()) {
        let of_resources = statement.resources().flat_map(|resource| resource.variables());
        for variable in of_resources {
            let given = matches!(variable.kind(), VariableKind::ClientId | VariableKind::ThingName);
            if let (false, Some(value)) = (given, values.get(&variable.canonical())) {
                variable.set(&mut context, value).then_some(())?;
            }
        }
    }
    for statement in documents.iter().flat_map(|document| document.views()) {
        for condition in statement.conditions().filter(|condition| met(*condition)) {
            let of_thing = matches!(
                condition.key().kind(),
                VariableKind::ThingAttribute | VariableKind::ThingTypeName | VariableKind::IsAttached
            );
            if !of_thing || association != Association::None {
                condition.meet(&mut context);
            }
        }
    }
    Some(context)
}

pub(crate) const CLIENT_ID: &str = "iot:clientid";
pub(crate) const THING_NAME: &str = "iot:connection.thing.thingname";
