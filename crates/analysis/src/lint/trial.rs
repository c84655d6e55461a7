//! Trials: what one device meets with the document, by the broker's engine. They are the witnesses of the lint's rules.

use std::collections::BTreeMap;

use policy::{Piece, Variable, VariableKind};

use super::Subject;
use crate::cohort::{Association, CLIENT_ID};
use crate::witness::Actor;

/// The device's client id, and the name of its thing.
pub(super) const DEVICE: &str = "device-a";

/// A device to try things with.
pub(crate) struct Trial {
    actor: Option<Actor>,
    values: BTreeMap<String, String>,
}

impl Trial {
    /// A device that is attached to its thing and has some value for each variable of the document.
    pub(super) fn of(subject: &Subject<'_>) -> Self {
        let resources = subject.document.views().flat_map(|view| view.resources().collect::<Vec<_>>());
        let mut values = BTreeMap::from([(CLIENT_ID.to_owned(), DEVICE.to_owned())]);
        let has_value = |v: &Variable<'_>| !matches!(v.kind(), VariableKind::Never | VariableKind::Momentary);
        let variables = resources.flat_map(|resource| resource.variables().collect::<Vec<_>>());
        for variable in variables.filter(has_value) {
            values.entry(variable.canonical()).or_insert_with(|| value(variable));
        }
        let (site, now) = (subject.analyst.site, subject.analyst.now);
        let stand =
            |association| Actor::stand(site, &subject.cohort, association, &values, &BTreeMap::new(), now);
        Self { actor: stand(Association::Attached).or_else(|| stand(Association::None)), values }
    }

    /// A name that a pattern matches for the device.
    pub(super) fn name(&self, pieces: &[Piece<'_>]) -> String {
        let text = |piece: &Piece<'_>| match piece {
            Piece::Text(text) => (*text).to_owned(),
            Piece::Any | Piece::One => "x".to_owned(),
            Piece::Variable(variable) => {
                self.values.get(&variable.canonical()).cloned().unwrap_or_else(|| value(*variable))
            }
        };
        pieces.iter().map(text).collect()
    }

    /// Whether a statement, by its number, applies to an action on a whole last field such as `topic/a`.
    pub(super) fn applies(&self, statement: usize, action: &str, field: &str) -> Option<bool> {
        let considered = self.actor.as_ref()?.consider(action, field);
        considered.into_iter().find(|one| one.statement == statement).map(|one| one.applies)
    }

    /// The sentence that a statement applies, if it does.
    pub(super) fn met(&self, statement: usize, action: &str, field: &str) -> Option<String> {
        let met = self.applies(statement, action, field)?;
        met.then(|| format!("client id {DEVICE:?}: statement {statement} applies to {action} on {field}"))
    }

    /// The sentence that a statement does not apply, if it does not.
    pub(super) fn missed(&self, statement: usize, action: &str, field: &str) -> Option<String> {
        let met = self.applies(statement, action, field)?;
        let says =
            || format!("client id {DEVICE:?}: statement {statement} does not apply to {action} on {field}");
        (!met).then(says)
    }

    /// The sentence that the document refuses something, if it does.
    pub(super) fn refused(&self, action: &str, field: &str) -> Option<String> {
        let (kind, name) = field.split_once('/')?;
        let allowed = self.actor.as_ref()?.may(action, kind, name);
        (!allowed).then(|| format!("client id {DEVICE:?}: {action} on {field} is refused"))
    }
}

/// Some value of a variable's kind.
fn value(variable: Variable<'_>) -> String {
    match variable.kind() {
        VariableKind::SourceIp => "192.0.2.1".into(),
        VariableKind::CertificateId => "a".repeat(64),
        VariableKind::ClientId | VariableKind::ThingName => DEVICE.into(),
        _ => "x".into(),
    }
}
