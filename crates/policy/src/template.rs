//! Policy text with variables, before anything is substituted.

use crate::ConnectionContext;
use crate::glob::{Glob, Token};
use crate::key::KeyName;

/// Which characters of a text are special.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Syntax {
    /// `${...}` names a variable. Only in documents of version 2012-10-17.
    pub(crate) variables: bool,
    /// `*` and `?` are wildcards.
    pub(crate) wildcards: bool,
}

/// A text that becomes a [`Glob`] once its variables are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Box<[Part]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Plain(Token),
    Variable(Box<KeyName>),
}

impl Template {
    pub(crate) fn parse(text: &str, syntax: Syntax) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let (part, after) = match (c, variable_at(rest).filter(|_| syntax.variables)) {
                (_, Some((name, after))) => (variable(name), after),
                ('*', _) if syntax.wildcards => (Part::Plain(Token::Any), skip(rest, 1)),
                ('?', _) if syntax.wildcards => (Part::Plain(Token::One), skip(rest, 1)),
                _ => {
                    let end = special_after(rest, c);
                    (text_part(rest.get(..end).unwrap_or(rest)), skip(rest, end))
                }
            };
            parts.push(part);
            rest = after;
        }
        Self(parts.into())
    }

    /// True if the text is the same for every connection.
    pub(crate) fn is_fixed(&self) -> bool {
        self.variables().next().is_none()
    }

    pub(crate) fn variables(&self) -> impl Iterator<Item = &KeyName> {
        self.0.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(&**name),
            Part::Plain(_) => None,
        })
    }

    /// Puts values in the place of variables; they are literal text whatever they contain. Fails with the first
    /// variable that has no value: AWS leaves `${...}` standing then, and such a pattern matches nothing.
    pub(crate) fn resolve(&self, context: &ConnectionContext) -> Result<Glob, &KeyName> {
        let tokens = self.0.iter().map(|part| match part {
            Part::Plain(token) => Ok(token.clone()),
            Part::Variable(name) => match context.variable(&name.key) {
                Some(value) => Ok(Token::Text(value.as_ref().into())),
                None => Err(&**name),
            },
        });
        Ok(Glob::new(tokens.collect::<Result<Vec<_>, _>>()?))
    }

    /// The parts in their order: tokens, and the names of variables.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Result<&Token, &KeyName>> {
        self.0.iter().map(|part| match part {
            Part::Plain(token) => Ok(token),
            Part::Variable(name) => Err(&**name),
        })
    }

    /// The part before the first variable.
    pub(crate) fn before_variables(&self) -> Glob {
        Glob::new(self.0.iter().map_while(|part| match part {
            Part::Plain(token) => Some(token.clone()),
            Part::Variable(_) => None,
        }))
    }
}

/// Splits at the first five colons that do not stand inside a variable's name.
pub(crate) fn split_fields(text: &str, variables: bool) -> Option<[&str; 6]> {
    let mut fields = [""; 6];
    let mut rest = text;
    let (last, leading) = fields.split_last_mut()?;
    for field in leading {
        let colon = find_colon(rest, variables)?;
        *field = rest.get(..colon)?;
        rest = skip(rest, colon + 1);
    }
    *last = rest;
    Some(fields)
}

fn find_colon(text: &str, variables: bool) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        match (rest.chars().next()?, variable_at(rest).filter(|_| variables)) {
            (_, Some((_, after))) => at = text.len() - after.len(),
            (':', _) => return Some(at),
            (c, _) => at += c.len_utf8(),
        }
    }
}

/// The name in a leading `${name}`, and what follows. Without the closing brace it is plain text.
fn variable_at(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("${")?.split_once('}')
}

/// `${*}`, `${?}` and `${$}` are the characters themselves.
fn variable(name: &str) -> Part {
    match name {
        "*" | "?" | "$" => text_part(name),
        _ => Part::Variable(Box::new(KeyName::parse(name))),
    }
}

fn text_part(text: &str) -> Part {
    Part::Plain(Token::Text(text.into()))
}

fn special_after(text: &str, first: char) -> usize {
    let start = first.len_utf8();
    skip(text, start).find(['*', '?', '$']).map_or(text.len(), |at| at + start)
}

fn skip(text: &str, bytes: usize) -> &str {
    text.get(bytes..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Syntax = Syntax { variables: true, wildcards: true };

    fn fixed(text: &str, syntax: Syntax) -> Glob {
        Template::parse(text, syntax).resolve(&ConnectionContext::default()).unwrap()
    }

    #[test]
    fn escapes_are_literal() {
        assert!(fixed("a/${*}", FULL).matches("a/*"));
        assert!(!fixed("a/${*}", FULL).matches("a/b"));
        assert!(fixed("${$}aws/$x/${?}", FULL).matches("$aws/$x/?"));
        assert!(fixed("a${", FULL).matches("a${"));
        assert!(fixed("ü*", Syntax { wildcards: false, ..FULL }).matches("ü*"));
    }

    #[test]
    fn old_documents_have_no_variables() {
        let old = Syntax { variables: false, wildcards: true };
        assert!(fixed("${iot:ClientId}", old).matches("${iot:ClientId}"));
        assert!(fixed("${*}", old).matches("${anything}"));
    }

    #[test]
    fn colons_inside_variables_do_not_divide() {
        let fields = split_fields("arn:aws:iot:${aws:region}:1:topic/${iot:ClientId}:x", true).unwrap();
        assert_eq!(fields, ["arn", "aws", "iot", "${aws:region}", "1", "topic/${iot:ClientId}:x"]);
        assert_eq!(split_fields("arn:aws:iot:a:b", true), None);
    }

    #[test]
    fn a_missing_value_is_named() {
        let template = Template::parse("a/${iot:ClientId}/b", FULL);
        let context = ConnectionContext::default();
        assert_eq!(&*template.resolve(&context).unwrap_err().text, "iot:ClientId");
        assert_eq!(template.before_variables().to_string(), "a/");
    }
}
