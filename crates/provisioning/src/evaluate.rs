//! Puts parameters into expressions, within a budget.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::expression::Expression;
use crate::fault::{Fault, Place};
use crate::limits;

/// `Mappings`: map, key, subkey, value.
pub(crate) type Mappings = BTreeMap<String, BTreeMap<String, BTreeMap<String, MappedValue>>>;

/// A value in `Mappings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MappedValue {
    Text(String),
    List(Vec<String>),
}

/// What an expression came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Evaluated {
    Null,
    Text(String),
    /// Elements are text; `None` is `null`.
    List(Vec<Option<String>>),
}

/// What an evaluation looks up, and what it has left to spend.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub parameters: &'a BTreeMap<String, String>,
    pub defaults: &'a BTreeMap<String, Option<String>>,
    pub mappings: &'a Mappings,
    /// A parameter without a value stays as it is written, instead of failing the plan.
    pub keeps_missing: bool,
    bytes: Cell<usize>,
    elements: Cell<usize>,
}

impl<'a> Scope<'a> {
    pub fn new(
        parameters: &'a BTreeMap<String, String>,
        defaults: &'a BTreeMap<String, Option<String>>,
        mappings: &'a Mappings,
        keeps_missing: bool,
    ) -> Self {
        let (bytes, elements) = (Cell::new(limits::PRODUCED), Cell::new(limits::ELEMENTS));
        Self { parameters, defaults, mappings, keeps_missing, bytes, elements }
    }

    fn spend(&self, bytes: usize, elements: usize, place: &Place<'_>) -> Result<(), Fault> {
        let left = self.bytes.get().checked_sub(bytes).zip(self.elements.get().checked_sub(elements));
        let Some((bytes, elements)) = left else {
            return Err(Fault::at(
                place,
                format!(
                    "the functions of the template produce more than {} bytes or {} list elements",
                    limits::PRODUCED,
                    limits::ELEMENTS
                ),
            ));
        };
        self.bytes.set(bytes);
        self.elements.set(elements);
        Ok(())
    }

    /// A text that counts.
    fn text(&self, text: &str, place: &Place<'_>) -> Result<String, Fault> {
        self.spend(text.len(), 0, place)?;
        Ok(text.to_owned())
    }

    /// The value of a parameter, if it has one.
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        let given = self.parameters.get(name);
        given.or_else(|| self.defaults.get(name)?.as_ref()).map(String::as_str)
    }

    /// What an expression comes to.
    pub fn evaluate(&self, expression: &Expression, place: &Place<'_>) -> Result<Evaluated, Fault> {
        match expression {
            Expression::Null => Ok(Evaluated::Null),
            Expression::Text(text) => self.text(text, place).map(Evaluated::Text),
            Expression::List(elements) => self.list(elements, place).map(Evaluated::List),
            Expression::Ref(name) => self.reference(name, place).map(Evaluated::Text),
            Expression::Join(arguments) => self.join(arguments, place).map(Evaluated::Text),
            Expression::Select(arguments) => self.select(arguments, place).map(Evaluated::Text),
            Expression::FindInMap(arguments) => self.find(arguments, place),
            Expression::Split(arguments) => self.split(arguments, place).map(Evaluated::List),
            Expression::Sub(text, variables) => self.substitute(text, variables, place).map(Evaluated::Text),
        }
    }

    /// The same, where text is wanted.
    pub fn evaluate_text(&self, expression: &Expression, place: &Place<'_>) -> Result<String, Fault> {
        match self.evaluate(expression, place)? {
            Evaluated::Text(text) => Ok(text),
            Evaluated::Null => Err(Fault::at(place, "must be text, and is null")),
            Evaluated::List(_) => Err(Fault::at(place, "must be text, and is a list")),
        }
    }

    /// The same, where the text is JSON. What is put between other text must not end a text of it: a value with a
    /// quotation mark, a backslash or a control character fails, and where a device may choose the values (all templates
    /// but those of RegisterThing) one with `*`, `?`, `$`, `+` or `#` as well: it would widen a policy, the last two where
    /// it names a filter. These are the characters that a certificate's values may not have as policy variables either.
    /// `/` may be there, as in them: a topic or filter that has it is still a single one, whether another device's or not
    /// is for the template to rule out, and companies are called A/S. Defaults and `Mappings` are the template's own words.
    pub fn evaluate_json(&self, expression: &Expression, place: &Place<'_>) -> Result<String, Fault> {
        for name in expression.embedded() {
            let value = self.parameters.get(name).map(String::as_str).unwrap_or_default();
            let widens = |it: char| !self.keeps_missing && matches!(it, '*' | '?' | '$' | '+' | '#');
            let hostile = |it: &char| matches!(it, '"' | '\\') || it.is_control() || widens(*it);
            if let Some(found) = value.chars().find(hostile) {
                let detail = format!(
                    "the value of the parameter {name} has the character {found:?}: what is put into a document may \
                     have no quotation marks, backslashes and control characters, nor * ? $ + # if a device chooses it"
                );
                return Err(Fault::at(place, detail));
            }
        }
        self.evaluate_text(expression, place)
    }

    /// The same, where a list is wanted.
    pub fn evaluate_list(
        &self,
        expression: &Expression,
        place: &Place<'_>,
    ) -> Result<Vec<Option<String>>, Fault> {
        match self.evaluate(expression, place)? {
            Evaluated::List(list) => Ok(list),
            _ => Err(Fault::at(place, "must be a list")),
        }
    }

    fn list(&self, elements: &[Expression], place: &Place<'_>) -> Result<Vec<Option<String>>, Fault> {
        self.spend(0, elements.len(), place)?;
        let evaluated = elements.iter().enumerate().map(|(index, element)| {
            let place = &place.element(index);
            match self.evaluate(element, place)? {
                Evaluated::Null => Ok(None),
                Evaluated::Text(text) => Ok(Some(text)),
                Evaluated::List(_) => Err(Fault::at(place, "must be text: lists hold no lists")),
            }
        });
        evaluated.collect()
    }

    fn reference(&self, name: &str, place: &Place<'_>) -> Result<String, Fault> {
        match self.parameter(name) {
            Some(value) => self.text(value, place),
            None if self.keeps_missing => self.text(&serde_json::json!({ "Ref": name }).to_string(), place),
            None => Err(Fault::at(place, format!("the parameter {name} has no value and no Default"))),
        }
    }

    fn join(&self, [delimiter, list]: &[Expression; 2], place: &Place<'_>) -> Result<String, Fault> {
        let delimiter = self.evaluate_text(delimiter, place)?;
        let list = self.evaluate_list(list, place)?;
        let parts: Option<Vec<&str>> = list.iter().map(Option::as_deref).collect();
        let parts = parts.ok_or_else(|| Fault::at(place, "an element to join is null"))?;
        let gaps = delimiter.len().saturating_mul(parts.len().saturating_sub(1));
        self.spend(parts.iter().map(|part| part.len()).sum::<usize>().saturating_add(gaps), 0, place)?;
        Ok(parts.join(&delimiter))
    }

    fn select(&self, [index, list]: &[Expression; 2], place: &Place<'_>) -> Result<String, Fault> {
        let index = self.evaluate_text(index, place)?;
        let list = self.evaluate_list(list, place)?;
        let number: Option<usize> = index.parse().ok();
        let count = list.len();
        let found = number.and_then(|number| list.into_iter().nth(number));
        let found = found.ok_or_else(|| {
            Fault::at(place, format!("the list has {count} elements and no element {index}, counted from 0"))
        })?;
        found.ok_or_else(|| Fault::at(place, format!("the element {index} is null")))
    }

    fn find(&self, names: &[Expression; 3], place: &Place<'_>) -> Result<Evaluated, Fault> {
        let [map, key, subkey] = names;
        let map = self.evaluate_text(map, place)?;
        let (key, subkey) = (self.evaluate_text(key, place)?, self.evaluate_text(subkey, place)?);
        let found = self.mappings.get(&map).and_then(|keys| keys.get(&key)?.get(&subkey));
        match found {
            Some(MappedValue::Text(text)) => self.text(text, place).map(Evaluated::Text),
            Some(MappedValue::List(list)) => {
                self.spend(list.iter().map(String::len).sum(), list.len(), place)?;
                Ok(Evaluated::List(list.iter().cloned().map(Some).collect()))
            }
            None => Err(Fault::at(place, format!("Mappings have no {map}.{key}.{subkey}"))),
        }
    }

    fn split(
        &self,
        [delimiter, text]: &[Expression; 2],
        place: &Place<'_>,
    ) -> Result<Vec<Option<String>>, Fault> {
        let delimiter = self.evaluate_text(delimiter, place)?;
        let text = self.evaluate_text(text, place)?;
        if delimiter.is_empty() {
            return Err(Fault::at(place, "the delimiter is empty"));
        }
        self.spend(text.len(), text.matches(delimiter.as_str()).count() + 1, place)?;
        Ok(text.split(delimiter.as_str()).map(|part| Some(part.to_owned())).collect())
    }

    /// `${NAME}` becomes the value of a variable or a parameter, `${!TEXT}` becomes `${TEXT}`. Each variable is evaluated
    /// once, however often it stands in the text.
    fn substitute(
        &self,
        text: &str,
        variables: &BTreeMap<String, Expression>,
        place: &Place<'_>,
    ) -> Result<String, Fault> {
        let mut values = BTreeMap::new();
        for (name, expression) in variables {
            values.insert(name.as_str(), self.evaluate_text(expression, &place.element(1).member(name))?);
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, tail)) = after.split_once('}') else { break };
            out.push_str(&self.text(before, place)?);
            out.push_str(&self.variable(name, &values, place)?);
            rest = tail;
        }
        out.push_str(&self.text(rest, place)?);
        Ok(out)
    }

    fn variable(
        &self,
        name: &str,
        values: &BTreeMap<&str, String>,
        place: &Place<'_>,
    ) -> Result<String, Fault> {
        if let Some(literal) = name.strip_prefix('!') {
            return self.text(&format!("${{{literal}}}"), place);
        }
        match values.get(name).map(String::as_str).or_else(|| self.parameter(name)) {
            Some(value) => self.text(value, place),
            None if self.keeps_missing => self.text(&format!("${{{name}}}"), place),
            None => Err(Fault::at(
                place,
                format!(
                    "${{{name}}} names no parameter with a value; write ${{!{name}}} to keep it as it is"
                ),
            )),
        }
    }
}
