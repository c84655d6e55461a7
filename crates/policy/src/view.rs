//! A read-only view of parsed statements, for those who reason about policies instead of asking them.
//!
//! It shows what the decisions use, so that there is one meaning. It decides nothing itself but what needs no request.

use std::sync::Arc;

use identity::{
    CertificateFacts, CertificateId, ClientId, DistinguishedName, Site, ThingName, ThingTypeName, Timestamp,
};

use crate::condition::Condition;
use crate::document::Statement;
use crate::glob::Token;
use crate::key::{CertificateKey, Field, Key, KeyName, MomentaryKey, Party, Pick, ThingKey};
use crate::operator::Test;
use crate::resource::Resource;
use crate::values::connect_attributes;
use crate::{ConnectFacts, ConnectionContext, Document, Effect, ThingFacts};

/// One statement of a document.
#[derive(Clone, Copy)]
pub struct StatementView<'a> {
    statement: &'a Statement,
    number: usize,
}

/// One resource of a statement.
#[derive(Clone, Copy)]
pub struct ResourceView<'a>(&'a Resource);

/// One condition of a statement.
#[derive(Clone, Copy)]
pub struct ConditionView<'a>(&'a Condition);

/// A policy variable or condition key.
#[derive(Clone, Copy)]
pub struct Variable<'a>(&'a KeyName);

/// A piece of the last field of a resource.
#[derive(Clone, Copy)]
pub enum Piece<'a> {
    /// Literal text.
    Text(&'a str),
    /// `*`
    Any,
    /// `?`
    One,
    /// `${...}`
    Variable(Variable<'a>),
}

/// What a variable's value is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableKind {
    /// `iot:ClientId`.
    ClientId,
    /// `iot:Connection.Thing.ThingName`.
    ThingName,
    /// `iot:Connection.Thing.ThingTypeName`.
    ThingTypeName,
    /// `iot:Connection.Thing.Attributes[...]`.
    ThingAttribute,
    /// `iot:Connection.Thing.IsAttached`.
    IsAttached,
    /// `iot:CertificateId`.
    CertificateId,
    /// A text of the certificate.
    Certificate,
    /// `aws:SourceIp`.
    SourceIp,
    /// `iot:DomainName`.
    DomainName,
    /// It has a value as a condition key at one moment only, never inside a text.
    Momentary,
    /// It never has a value under an AWS IoT policy: not in the catalogue, a list inside a text, or IAM's.
    Never,
}

impl Document {
    /// The statements in their order.
    pub fn views(&self) -> impl Iterator<Item = StatementView<'_>> {
        let numbered = self.statements.iter().enumerate();
        numbered.map(|(index, statement)| StatementView { statement, number: index + 1 })
    }
}

impl<'a> StatementView<'a> {
    /// Its place in the document, from 1.
    pub fn number(self) -> usize {
        self.number
    }

    /// Its Sid.
    pub fn sid(self) -> Option<&'a str> {
        self.statement.sid.as_deref()
    }

    /// Allow or Deny.
    pub fn effect(self) -> Effect {
        self.statement.effect
    }

    /// True if it speaks of the action, whatever the case.
    pub fn covers(self, action: &str) -> bool {
        self.statement.covers(&action.to_ascii_lowercase())
    }

    /// True for NotAction.
    pub fn negates_actions(self) -> bool {
        self.statement.actions.negated
    }

    /// Whether one pattern of its Action or NotAction, by its place in the list, matches an action.
    pub fn action_matches(self, index: usize, action: &str) -> bool {
        let pattern = self.statement.actions.of.get(index);
        pattern.is_some_and(|glob| glob.matches(&action.to_ascii_lowercase()))
    }

    /// True for NotResource.
    pub fn negates_resources(self) -> bool {
        self.statement.resources.negated
    }

    /// The values of Resource or NotResource.
    pub fn resources(self) -> impl Iterator<Item = ResourceView<'a>> {
        self.statement.resources.of.iter().map(ResourceView)
    }

    /// All of them have to hold.
    pub fn conditions(self) -> impl Iterator<Item = ConditionView<'a>> {
        self.statement.conditions.iter().map(ConditionView)
    }
}

impl<'a> ResourceView<'a> {
    /// As the document spells it.
    pub fn text(self) -> &'a str {
        &self.0.text
    }

    /// Whether partition, service, Region and account are the site's; nothing if a variable stands in them.
    pub fn is_of(self, site: &Site) -> Option<bool> {
        self.0.place_is_of(site)
    }

    /// The last field, `topic/a/*` for instance; [`Piece::Any`] alone for `*`.
    pub fn pieces(self) -> Vec<Piece<'a>> {
        let Some(template) = self.0.last_template() else { return vec![Piece::Any] };
        template.parts().map(Piece::of).collect()
    }

    /// The variables of all its fields.
    pub fn variables(self) -> impl Iterator<Item = Variable<'a>> {
        self.0.variables().map(Variable)
    }
}

impl<'a> Piece<'a> {
    fn of(part: Result<&'a Token, &'a KeyName>) -> Self {
        match part {
            Ok(Token::Text(text)) => Self::Text(text),
            Ok(Token::Any) => Self::Any,
            Ok(Token::One) => Self::One,
            Err(name) => Self::Variable(Variable(name)),
        }
    }
}

impl<'a> ConditionView<'a> {
    /// The key it asks for.
    pub fn key(self) -> Variable<'a> {
        Variable(&self.0.key)
    }

    /// As the document spells it, `ForAllValues:StringEquals` for instance.
    pub fn operator(self) -> &'a str {
        &self.0.operator_text
    }

    /// The values it compares with, as the document spells them.
    pub fn values(self) -> impl Iterator<Item = &'a str> {
        self.0.operands.iter().map(|operand| operand.text())
    }

    /// Whether it holds in a context where its key has the value it has there, absent included. Nothing if a variable
    /// stands in its values, or if its key belongs to a moment.
    pub fn holds_in(self, context: &ConnectionContext, effect: Effect) -> Option<bool> {
        if self.0.variables().next().is_some() || matches!(self.0.key.key, Key::Momentary(_)) {
            return None;
        }
        let values = context.fixed_values(&self.0.key.key);
        Some(self.0.settle(context, effect).holds(values.as_ref()))
    }

    /// Whether a condition on `iot:ConnectAttributes` holds for a CONNECT, or, without one, for another request. Nothing if
    /// its key is another, or a variable stands in its values.
    pub fn holds_by_attributes(self, connect: Option<ConnectFacts<'_>>, effect: Effect) -> Option<bool> {
        let asks = self.0.key.key == Key::Momentary(MomentaryKey::ConnectAttributes);
        if !asks || self.0.variables().next().is_some() {
            return None;
        }
        let values = connect.map(connect_attributes);
        Some(self.0.settle(&ConnectionContext::default(), effect).holds(values.as_ref()))
    }

    /// Gives its key a value that meets it, if the key has none and a value can be read off. True if it did.
    pub fn meet(self, context: &mut ConnectionContext) -> bool {
        if self.0.operator.negated || self.0.operator.test == Test::Null {
            return false;
        }
        if context.fixed_values(&self.0.key.key).is_some() {
            return false;
        }
        let Some(wanted) = self.values().find(|value| !value.contains("${")) else { return false };
        let value = match self.0.operator.test {
            Test::StringLike => wanted.replace('*', "").replace('?', "x"),
            Test::Ip => wanted.split('/').next().unwrap_or(wanted).to_owned(),
            _ => wanted.to_owned(),
        };
        self.key().set(context, &value)
    }
}

impl std::fmt::Display for ConditionView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<'a> Variable<'a> {
    /// As the document spells it.
    pub fn name(self) -> &'a str {
        &self.0.text
    }

    /// Equal for variables that always have the same value.
    pub fn canonical(self) -> String {
        match &self.0.key {
            Key::Thing(ThingKey::Attribute(name)) => format!("iot:Connection.Thing.Attributes[{name}]"),
            Key::Certificate(CertificateKey::Name { .. }) => {
                let name = self.0.text.to_ascii_lowercase();
                name.strip_suffix(".0").unwrap_or(&name).to_owned()
            }
            _ => self.0.text.to_ascii_lowercase(),
        }
    }

    /// What its value is like.
    pub fn kind(self) -> VariableKind {
        match &self.0.key {
            Key::ClientId => VariableKind::ClientId,
            Key::SourceIp => VariableKind::SourceIp,
            Key::DomainName => VariableKind::DomainName,
            Key::CertificateId => VariableKind::CertificateId,
            Key::Thing(ThingKey::Name) => VariableKind::ThingName,
            Key::Thing(ThingKey::TypeName) => VariableKind::ThingTypeName,
            Key::Thing(ThingKey::Attribute(_)) => VariableKind::ThingAttribute,
            Key::Thing(ThingKey::IsAttached) => VariableKind::IsAttached,
            Key::Certificate(CertificateKey::Name { pick: Pick::Index(_), .. })
            | Key::Certificate(CertificateKey::SerialNumber) => VariableKind::Certificate,
            Key::Momentary(_) => VariableKind::Momentary,
            Key::Certificate(_) | Key::Iam(_) | Key::Unknown => VariableKind::Never,
        }
    }

    /// True if it never has a value under an AWS IoT policy, not as a condition key either. A list of a certificate has one
    /// there, and none inside a text.
    pub fn is_never_known(self) -> bool {
        matches!(self.0.key, Key::Iam(_) | Key::Unknown)
    }

    /// True for `iot:ConnectAttributes` and `iot:LastWillTopic`.
    pub fn is_connect_only(self) -> bool {
        matches!(self.0.key, Key::Momentary(MomentaryKey::ConnectAttributes | MomentaryKey::LastWillTopic))
    }

    /// Makes a context in which the variable has the value. False if it cannot have it; then the context is as it was.
    pub fn set(self, context: &mut ConnectionContext, value: &str) -> bool {
        match &self.0.key {
            Key::ClientId => put(&mut context.client_id, ClientId::new(value).ok()),
            Key::SourceIp => put(&mut context.source_ip, value.parse().ok()),
            Key::DomainName => put(&mut context.domain_name, Some(value.into())),
            Key::Thing(ThingKey::IsAttached) => put(&mut context.is_attached, value.parse().ok()),
            Key::Thing(key) => set_thing(context, key, value),
            Key::CertificateId => CertificateId::new(value)
                .is_ok_and(|id| certificate(context).map(|certificate| certificate.id = id).is_some()),
            Key::Certificate(key) => set_certificate(context, *key, value),
            Key::Iam(_) | Key::Momentary(_) | Key::Unknown => false,
        }
    }
}

fn put<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    let known = value.is_some();
    if known {
        *slot = value;
    }
    known
}

fn set_thing(context: &mut ConnectionContext, key: &ThingKey, value: &str) -> bool {
    let fresh = || {
        ThingName::new("thing").map(|name| ThingFacts {
            name,
            type_name: None,
            attributes: Default::default(),
        })
    };
    let Some(mut thing) = context.thing.as_deref().cloned().or_else(|| fresh().ok()) else { return false };
    let done = match key {
        ThingKey::Name => ThingName::new(value).map(|name| thing.name = name).is_ok(),
        ThingKey::TypeName => put(&mut thing.type_name, ThingTypeName::new(value).ok()),
        ThingKey::Attribute(name) => {
            thing.attributes.insert(name.as_ref().into(), value.into());
            true
        }
        ThingKey::IsAttached => false,
    };
    if done {
        context.thing = Some(Arc::new(thing));
    }
    done
}

/// The certificate of a context, made up if it has none.
fn certificate(context: &mut ConnectionContext) -> Option<&mut CertificateFacts> {
    if context.certificate.is_none() {
        context.certificate = Some(Arc::new(CertificateFacts {
            id: CertificateId::new(&"0".repeat(64)).ok()?,
            serial_number: "1".into(),
            subject: DistinguishedName::default(),
            issuer: DistinguishedName::default(),
            not_before: Timestamp(0),
            not_after: Timestamp(u64::MAX),
        }));
    }
    context.certificate.as_mut().map(Arc::make_mut)
}

fn set_certificate(context: &mut ConnectionContext, key: CertificateKey, value: &str) -> bool {
    let Some(facts) = certificate(context) else { return false };
    let (party, field) = match key {
        CertificateKey::SerialNumber => {
            facts.serial_number = value.into();
            return true;
        }
        CertificateKey::Name { party, field, pick: Pick::Index(0) | Pick::List } => (party, field),
        CertificateKey::Name { .. } | CertificateKey::AvailableKeys => return false,
    };
    let name = match party {
        Party::Subject => &mut facts.subject,
        Party::Issuer => &mut facts.issuer,
    };
    match field {
        Field::Attribute(attribute) => {
            name.attributes.retain(|(known, _)| *known != attribute);
            name.attributes.push((attribute, value.into()));
        }
        Field::Alternative(kind) => {
            name.alternative_names.retain(|(known, _)| *known != kind);
            name.alternative_names.push((kind, value.into()));
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(resource: &str, condition: &str) -> Document {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"iot:Pub*","Resource":"{resource}","Condition":{condition}}}]}}"#
        );
        Document::parse(&text).unwrap()
    }

    #[test]
    fn a_statement_shows_what_the_decisions_use() {
        let document = document("arn:aws:iot:r:1:topic/a/${iot:ClientId}/*?", "{}");
        let view = document.views().next().unwrap();
        assert!(view.covers("iot:publish") && !view.covers("iot:Connect"));
        let pieces = view.resources().next().unwrap().pieces();
        let shown: Vec<String> = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => (*text).to_owned(),
                Piece::Any => "*".into(),
                Piece::One => "?".into(),
                Piece::Variable(variable) => variable.canonical(),
            })
            .collect();
        assert_eq!(shown, ["topic/a/", "iot:clientid", "/", "*", "?"]);
    }

    #[test]
    fn variables_can_be_given_values() {
        let names = [
            ("iot:ClientId", "c"),
            ("iot:Connection.Thing.Attributes[x]", "v/#"),
            ("iot:Certificate.Subject.CommonName", "cn"),
            ("aws:SourceIp", "10.0.0.1"),
        ];
        for (name, value) in names {
            let document = document(&format!("arn:aws:iot:r:1:topic/${{{name}}}"), "{}");
            let view = document.views().next().unwrap().resources().next().unwrap();
            let variable = view.variables().next().unwrap();
            let mut context = ConnectionContext::default();
            assert!(variable.set(&mut context, value), "{name}");
            assert_eq!(context.variable(&variable.0.key).as_deref(), Some(value));
        }
    }

    #[test]
    fn conditions_can_be_met() {
        let document = document(
            "*",
            r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"StringLike":{"iot:DomainName":"a.*"}}"#,
        );
        let mut context = ConnectionContext::default();
        for condition in document.views().next().unwrap().conditions() {
            assert_eq!(condition.holds_in(&context, Effect::Allow), Some(false));
            assert!(condition.meet(&mut context));
            assert_eq!(condition.holds_in(&context, Effect::Allow), Some(true), "{condition}");
        }
    }
}
