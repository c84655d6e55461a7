//! Conditions: one operator, one key, the values it is compared with.
//!
//! Several conditions are joined by AND, several values by OR (NOR for negated operators). Source: IAM user guide,
//! *Conditions with multiple context keys or values*.

use std::fmt;

use crate::glob::Glob;
use crate::key::{Key, KeyName};
use crate::operator::{Operator, Quantifier, Test};
use crate::resource::{Pattern, Resource};
use crate::scalar::{Network, boolean, date, number};
use crate::template::{Syntax, Template};
use crate::values::{Value, Values};
use crate::{ConnectionContext, Effect};

/// A condition as a document has it.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) operator_text: Box<str>,
    pub(crate) operator: Operator,
    pub(crate) key: KeyName,
    pub(crate) operands: Box<[Operand]>,
}

#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Text { text: Box<str>, template: Template },
    Arn(Resource),
}

/// A condition whose variables are substituted.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    operator: Operator,
    pub(crate) key: Key,
    expected: Box<[Expected]>,
    /// A value names a variable without value. Such a value matches nothing; and where not matching would
    /// grant something, it does not.
    blocked: bool,
}

#[derive(Clone, Debug)]
enum Expected {
    Text(Glob),
    Folded(Box<str>),
    Number(f64),
    Date(i64),
    Bool(bool),
    Network(Network),
    Arn(Pattern),
}

impl Condition {
    /// Fails with the first value that is not of the operator's type.
    pub(crate) fn new(
        operator_text: &str,
        operator: Operator,
        key: &str,
        values: &[String],
        variables: bool,
    ) -> Result<Self, String> {
        let operand =
            |text: &String| Operand::parse(text, operator.test, variables).ok_or_else(|| text.clone());
        let operands = values.iter().map(operand).collect::<Result<_, _>>()?;
        Ok(Self { operator_text: operator_text.into(), operator, key: KeyName::parse(key), operands })
    }

    pub(crate) fn variables(&self) -> impl Iterator<Item = &KeyName> {
        self.operands.iter().flat_map(Operand::variables)
    }

    /// Substitutes what is fixed for the connection.
    pub(crate) fn settle(&self, context: &ConnectionContext, effect: Effect) -> Settled {
        let all = self.operands.iter().map(|operand| operand.expected(self.operator.test, context));
        let expected: Vec<Option<Expected>> = all.collect();
        let unresolved = expected.iter().any(Option::is_none);
        Settled {
            operator: self.operator,
            key: self.key.key.clone(),
            blocked: unresolved && self.operator.negated && effect == Effect::Allow,
            expected: expected.into_iter().flatten().collect(),
        }
    }
}

impl Operand {
    /// Nothing if the text is the same for everybody and not of the operator's type.
    fn parse(text: &str, test: Test, variables: bool) -> Option<Self> {
        if test == Test::Arn {
            return Resource::parse(text, variables).map(Self::Arn);
        }
        let template = Template::parse(text, Syntax { variables, wildcards: test == Test::StringLike });
        let (fixed, operand) = (template.is_fixed(), Self::Text { text: text.into(), template });
        (!fixed || operand.expected(test, &ConnectionContext::default()).is_some()).then_some(operand)
    }

    /// The value in the operator's type; nothing if a variable is missing or the text is not of that type.
    fn expected(&self, test: Test, context: &ConnectionContext) -> Option<Expected> {
        let template = match self {
            Self::Arn(resource) => return resource.resolve(context).ok().map(Expected::Arn),
            Self::Text { template, .. } => template,
        };
        let glob = template.resolve(context).ok()?;
        let text = glob.to_string();
        match test {
            Test::String | Test::StringLike => Some(Expected::Text(glob)),
            Test::StringIgnoreCase => Some(Expected::Folded(fold(&text).collect::<String>().into())),
            Test::Numeric(_) => number(&text).map(Expected::Number),
            Test::Date(_) => date(&text).map(Expected::Date),
            Test::Bool | Test::Null => boolean(&text).map(Expected::Bool),
            Test::Ip => Network::parse(&text).map(Expected::Network),
            Test::Arn => None,
        }
    }

    fn variables(&self) -> Box<dyn Iterator<Item = &KeyName> + '_> {
        match self {
            Self::Text { template, .. } => Box::new(template.variables()),
            Self::Arn(resource) => Box::new(resource.variables()),
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text { text, .. } => text,
            Self::Arn(resource) => &resource.text,
        }
    }

    /// True for `true`, whoever asks.
    pub(crate) fn is_true(&self) -> bool {
        boolean(self.text()) == Some(true)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} [", self.operator_text, self.key.text)?;
        for (index, operand) in self.operands.iter().enumerate() {
            write!(f, "{}{:?}", if index == 0 { "" } else { ", " }, operand.text())?;
        }
        f.write_str("]")
    }
}

impl Settled {
    /// True if the condition holds for the values that the request has; `None` is an absent key.
    pub(crate) fn holds(&self, values: Option<&Values<'_>>) -> bool {
        let Operator { quantifier, test, negated, if_exists } = self.operator;
        if self.blocked {
            return false;
        }
        if test == Test::Null {
            let null = values.is_none_or(|values| values.is_empty());
            return self.expected.iter().any(|e| matches!(e, Expected::Bool(wanted) if *wanted == null));
        }
        let Some(values) = values else {
            return if_exists
                || match quantifier {
                    Quantifier::Plain => negated,
                    Quantifier::ForAllValues => true,
                    Quantifier::ForAnyValue => false,
                };
        };
        let mut hits = values.iter().map(|value| self.expected.iter().any(|e| e.is_met_by(test, value)));
        match quantifier {
            Quantifier::Plain => hits.any(|hit| hit) != negated,
            Quantifier::ForAllValues => hits.all(|hit| hit != negated),
            Quantifier::ForAnyValue => hits.any(|hit| hit != negated),
        }
    }
}

impl Expected {
    fn is_met_by(&self, test: Test, value: &Value<'_>) -> bool {
        match (self, test) {
            (Self::Text(glob), _) => glob.matches(&value.text()),
            (Self::Folded(text), _) => fold(&value.text()).eq(text.chars()),
            (Self::Number(policy), Test::Numeric(order)) => {
                value.number().is_some_and(|request| order.holds(request, *policy))
            }
            (Self::Date(policy), Test::Date(order)) => {
                value.date().is_some_and(|request| order.holds(request, *policy))
            }
            (Self::Bool(policy), _) => boolean(&value.text()) == Some(*policy),
            (Self::Network(network), _) => {
                value.text().parse().is_ok_and(|address| network.contains(address))
            }
            (Self::Arn(pattern), _) => {
                identity::Arn::parse(&value.text()).is_ok_and(|arn| pattern.matches(&arn))
            }
            _ => false,
        }
    }
}

fn fold(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}
