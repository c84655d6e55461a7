//! The world of a question: its devices, its alphabet, its variables, and what the policies say in those terms.
//!
//! Wherever something cannot be told, the answer leans to one side: [`Lean::Wide`] never takes a permission away that
//! somebody has, [`Lean::Narrow`] never gives one that somebody has not.

use std::collections::BTreeMap;
use std::sync::Arc;

use identity::Site;
use policy::{ConditionView, Document, Effect, Piece, ResourceView, StatementView, Variable, VariableKind};

use crate::cohort::{Association, CLIENT_ID, THING_NAME, settled};
use crate::dfa::Dfa;
use crate::language;
use crate::letters::{Letter, Letters, in_certificates};
use crate::machine::{Machine, Node, Tape};

/// To which side what is not known is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lean {
    Wide,
    Narrow,
}

/// One device of a question.
#[derive(Clone)]
pub(crate) struct Device<'a> {
    pub(crate) documents: Vec<&'a Document>,
    pub(crate) association: Association,
    /// Values that are fixed, by canonical name.
    pub(crate) values: BTreeMap<String, String>,
}

/// Truth of the conditions that the association does not decide, by their text; those that are missing lean.
pub(crate) type Assumed = BTreeMap<String, bool>;

pub(crate) struct World<'a> {
    pub(crate) site: &'a Site,
    pub(crate) letters: Letters,
    pub(crate) devices: Vec<Device<'a>>,
    pub(crate) variables: Vec<Unknown>,
    pub(crate) languages: Vec<Arc<Dfa>>,
    pub(crate) assumed: Assumed,
    /// The devices are one connection, looked at with two sets of policies.
    pub(crate) same: bool,
}

/// A variable without a fixed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) device: usize,
    pub(crate) canonical: String,
}

/// What an action permits, as patterns of whole last fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Permission {
    /// Resources of Allow.
    allow: Vec<Vec<Node>>,
    /// NotResource of Allow, by statement.
    allow_except: Vec<Vec<Vec<Node>>>,
    /// Resources of Deny.
    deny: Vec<Vec<Node>>,
    /// NotResource of Deny, by statement.
    deny_except: Vec<Vec<Vec<Node>>>,
}

/// A statement that counts for an action.
pub(crate) struct Clause<'a> {
    pub(crate) statement: StatementView<'a>,
    /// Those of its resources that can match here, and their patterns.
    pub(crate) resources: Vec<ResourceView<'a>>,
    pub(crate) patterns: Vec<Vec<Node>>,
    /// Its conditions that the association does not decide.
    pub(crate) open: Vec<String>,
}

/// Machines that have to agree; alternatives of each other.
pub(crate) type Variants = Vec<Vec<Machine>>;

impl<'a> World<'a> {
    /// Nothing if there is no alphabet for the texts, or there are too many variables.
    pub(crate) fn new(
        site: &'a Site,
        devices: Vec<Device<'a>>,
        texts: &[&str],
        assumed: Assumed,
        same: bool,
    ) -> Option<Self> {
        let letters = {
            let of_policies =
                devices.iter().flat_map(|device| device.documents.iter()).flat_map(|d| d.views());
            let mut all: Vec<&str> =
                of_policies.flat_map(StatementView::resources).map(|r| r.text()).collect();
            all.extend(devices.iter().flat_map(|device| device.values.values()).map(String::as_str));
            all.extend(texts);
            all.extend(RESERVED_TEXTS);
            let reserved: Vec<&'static str> = crate::topics::reserved_texts().collect();
            all.extend(reserved.iter().map(|text| -> &str { text }));
            Letters::of(all)?
        };
        let mut world =
            Self { site, letters, devices, variables: Vec::new(), languages: Vec::new(), assumed, same };
        world.find_variables()?;
        for index in 0..world.variables.len() {
            let language = language::of_variable(&world, index)?;
            world.languages.push(Arc::new(language));
        }
        Some(world)
    }

    fn find_variables(&mut self) -> Option<()> {
        let mut found: Vec<Unknown> = Vec::new();
        for (device, of) in self.devices.iter().enumerate() {
            let mut names = vec![CLIENT_ID.to_owned()];
            let resources = of.documents.iter().flat_map(|d| d.views()).flat_map(StatementView::resources);
            names.extend(resources.flat_map(|r| r.variables()).filter_map(|v| of.name(v)));
            for canonical in names {
                let unknown = Unknown { device: if self.same { 0 } else { device }, canonical };
                if !of.values.contains_key(&unknown.canonical) && !found.contains(&unknown) {
                    found.push(unknown);
                }
            }
        }
        self.variables = found;
        u8::try_from(self.variables.len()).ok().map(|_| ())
    }

    pub(crate) fn variable(&self, device: usize, canonical: &str) -> Option<u8> {
        let device = if self.same { 0 } else { device };
        let place = self.variables.iter().position(|v| v.device == device && v.canonical == canonical)?;
        u8::try_from(place).ok()
    }

    /// The letters of a text; nothing if it has others.
    pub(crate) fn spell(&self, text: &str) -> Option<Vec<Node>> {
        text.chars().map(|c| self.letters.place(c).map(Node::Letter)).collect()
    }

    pub(crate) fn slash(&self) -> Letter {
        self.letters.place('/').unwrap_or_default()
    }

    /// What a device may do, as far as an action goes.
    pub(crate) fn permission(&self, device: usize, action: &str, lean: Lean) -> Permission {
        let mut permission = Permission::default();
        for clause in self.clauses(device, action, lean) {
            let patterns = clause.patterns;
            match (clause.statement.effect(), clause.statement.negates_resources()) {
                (Effect::Allow, false) => permission.allow.extend(patterns),
                (Effect::Allow, true) => permission.allow_except.push(patterns),
                (Effect::Deny, false) => permission.deny.extend(patterns),
                (Effect::Deny, true) => permission.deny_except.push(patterns),
            }
        }
        permission
    }

    /// The statements that count for an action, each with the patterns of its resources.
    pub(crate) fn clauses(&self, device: usize, action: &str, lean: Lean) -> Vec<Clause<'a>> {
        let Some(of) = self.devices.get(device) else { return Vec::new() };
        let statements = of.documents.iter().copied().flat_map(Document::views);
        let mut clauses = Vec::new();
        for statement in statements.filter(|statement| statement.covers(action)) {
            let effect = statement.effect();
            // An Allow that may apply counts when leaning wide; a Deny when leaning narrow.
            let counts = (effect == Effect::Allow) == (lean == Lean::Wide);
            let holds = |c: ConditionView<'_>| self.holds(of.association, c, effect).unwrap_or(counts);
            if !statement.conditions().all(holds) {
                continue;
            }
            let negated = statement.negates_resources();
            let Some((resources, patterns)) = self.patterns(device, statement, counts != negated) else {
                continue;
            };
            let open = statement.conditions().filter(|c| self.holds(of.association, *c, effect).is_none());
            let open = open.map(|condition| condition.to_string()).collect();
            clauses.push(Clause { statement, resources, patterns, open });
        }
        clauses
    }

    fn holds(&self, association: Association, condition: ConditionView<'_>, effect: Effect) -> Option<bool> {
        settled(condition, effect, association).or_else(|| self.assumed.get(&condition.to_string()).copied())
    }

    /// The patterns of a statement's resources; nothing if the statement cannot apply for want of a variable.
    /// `generous`: what may be of the site counts as of it.
    fn patterns<'s>(
        &self,
        device: usize,
        statement: StatementView<'s>,
        generous: bool,
    ) -> Option<(Vec<ResourceView<'s>>, Vec<Vec<Node>>)> {
        let (mut resources, mut patterns) = (Vec::new(), Vec::new());
        for resource in statement.resources() {
            let of_site = resource.is_of(self.site);
            match self.pattern(device, &resource.pieces()) {
                Some(pattern) if of_site.unwrap_or(generous) => {
                    resources.push(resource);
                    patterns.push(pattern);
                }
                None if statement.negates_resources() && statement.effect() == Effect::Allow => return None,
                _ => {}
            }
        }
        Some((resources, patterns))
    }

    /// The value of a variable, if it is fixed.
    pub(crate) fn known(&self, device: usize, variable: Variable<'_>) -> Option<&str> {
        let of = self.devices.get(device)?;
        of.values.get(&of.name(variable)?).map(String::as_str)
    }

    /// Nothing if a variable has no value.
    pub(crate) fn pattern(&self, device: usize, pieces: &[Piece<'_>]) -> Option<Vec<Node>> {
        let mut nodes = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => nodes.extend(self.spell(text)?),
                Piece::Any if nodes.last() == Some(&Node::Any) => {}
                Piece::Any => nodes.push(Node::Any),
                Piece::One => nodes.push(Node::One),
                Piece::Variable(variable) => nodes.extend(self.of_variable(device, *variable)?),
            }
        }
        Some(nodes)
    }

    /// What stands for a variable; nothing if it has no value.
    fn of_variable(&self, device: usize, variable: Variable<'_>) -> Option<Vec<Node>> {
        let of = self.devices.get(device)?;
        let canonical = of.name(variable)?;
        let Some(value) = of.values.get(&canonical) else {
            return Some(vec![Node::Variable(self.variable(device, &canonical)?)]);
        };
        // Such a value is not substituted (developer guide, *X.509 certificate policy variables*).
        let kept = variable.kind() != VariableKind::Certificate || value.chars().all(in_certificates);
        if kept { self.spell(value) } else { None }
    }
}

impl Device<'_> {
    /// Under which name a variable's value is kept; nothing if it has none.
    fn name(&self, variable: Variable<'_>) -> Option<String> {
        let thing = self.association != Association::None;
        match variable.kind() {
            VariableKind::Never | VariableKind::Momentary => None,
            VariableKind::ThingName => match self.association {
                Association::Attached => Some(CLIENT_ID.to_owned()),
                Association::Exclusive => Some(THING_NAME.to_owned()),
                Association::None => None,
            },
            VariableKind::ThingTypeName | VariableKind::ThingAttribute => thing.then(|| variable.canonical()),
            _ => Some(variable.canonical()),
        }
    }
}

impl Permission {
    /// The same, allowed by one pattern only; by everything else if it is negated.
    pub(crate) fn by(&self, pattern: &[Node], except: Option<&[Vec<Node>]>) -> Self {
        Self {
            allow: if except.is_none() { vec![pattern.to_vec()] } else { Vec::new() },
            allow_except: except.into_iter().map(<[_]>::to_vec).collect(),
            deny: self.deny.clone(),
            deny_except: self.deny_except.clone(),
        }
    }

    /// The ways to be permitted. Nothing if there are too many patterns.
    pub(crate) fn granted(&self, tape: Tape) -> Option<Variants> {
        let rest = self.not_denied(tape)?;
        let mut variants = Vec::new();
        let mut add = |machine: Machine| {
            let mut machines = vec![machine];
            machines.extend(rest.iter().cloned());
            variants.push(machines);
        };
        if !self.allow.is_empty() {
            add(Machine::new(tape, false, &self.allow)?);
        }
        for except in &self.allow_except {
            add(Machine::new(tape, true, except)?);
        }
        Some(variants)
    }

    /// That no Deny applies.
    pub(crate) fn not_denied(&self, tape: Tape) -> Option<Vec<Machine>> {
        let mut machines = Vec::new();
        if !self.deny.is_empty() {
            machines.push(Machine::new(tape, true, &self.deny)?);
        }
        for except in &self.deny_except {
            machines.push(Machine::new(tape, false, except)?);
        }
        Some(machines)
    }

    /// The ways not to be permitted: no Allow applies, or a Deny does.
    pub(crate) fn refused(&self, tape: Tape) -> Option<Variants> {
        let mut no_allow = vec![Machine::new(tape, true, &self.allow)?];
        for except in &self.allow_except {
            no_allow.push(Machine::new(tape, false, except)?);
        }
        let mut variants = vec![no_allow];
        if !self.deny.is_empty() {
            variants.push(vec![Machine::new(tape, false, &self.deny)?]);
        }
        for except in &self.deny_except {
            variants.push(vec![Machine::new(tape, true, except)?]);
        }
        Some(variants)
    }

    /// The same for patterns of client ids, in which the own client id is all that is read.
    pub(crate) fn of_client_ids(&self, world: &World<'_>, device: usize) -> Self {
        let whole = |patterns: &Vec<Vec<Node>>| language::whole_client_id(patterns, world, device);
        Self {
            allow: whole(&self.allow),
            allow_except: self.allow_except.iter().map(whole).collect(),
            deny: whole(&self.deny),
            deny_except: self.deny_except.iter().map(whole).collect(),
        }
    }

    /// The patterns of Allow, Deny and their exceptions, for the language of client ids.
    pub(crate) fn parts(&self) -> PermissionParts<'_> {
        (&self.allow, &self.allow_except, &self.deny, &self.deny_except)
    }
}

pub(crate) type PermissionParts<'p> =
    (&'p [Vec<Node>], &'p [Vec<Vec<Node>>], &'p [Vec<Node>], &'p [Vec<Vec<Node>>]);

/// Letters of the kinds of resources, which every question needs.
const RESERVED_TEXTS: [&str; 2] = ["topicfilter/client/thing/rolealias/$share/", "$aws"];
