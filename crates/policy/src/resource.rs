//! Resources of statements: ARN patterns, compared field by field.
//!
//! Wildcards stay inside their field; the last field keeps its colons. Source: IAM user guide, *Resource*.

use std::sync::Arc;

use identity::{Arn, Site};
use smallvec::SmallVec;

use crate::ConnectionContext;
use crate::glob::Glob;
use crate::key::KeyName;
use crate::template::{Syntax, Template, split_fields};

/// A resource as a document has it.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) text: Box<str>,
    body: Option<Body>,
}

#[derive(Clone, Debug)]
struct Body {
    /// The fields before the last one: mostly those of the site. The resources of a document share them.
    place: Arc<[Template; 5]>,
    name: Template,
}

/// A resource whose variables are substituted. `None` inside is `*`: everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Option<Box<[Glob; 6]>>);

impl Resource {
    /// `*`, or text of the form `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`; otherwise nothing.
    pub(crate) fn parse(text: &str, variables: bool) -> Option<Self> {
        if text == "*" {
            return Some(Self::everything());
        }
        let fields = split_fields(text, variables).filter(|fields| fields.starts_with(&["arn"]))?;
        let syntax = Syntax { variables, wildcards: true };
        let [a, b, c, d, e, name] = fields.map(|field| Template::parse(field, syntax));
        let place = Arc::new([a, b, c, d, e]);
        Some(Self { text: text.into(), body: Some(Body { place, name }) })
    }

    pub(crate) fn everything() -> Self {
        Self { text: "*".into(), body: None }
    }

    /// Lets resources whose fields before the last are the same have them once.
    pub(crate) fn share_places<'a>(resources: impl Iterator<Item = &'a mut Self>) {
        /// Others are kept as they are: a document names one place, or few.
        const MOST: usize = 4;
        let mut seen: SmallVec<[Arc<[Template; 5]>; MOST]> = SmallVec::new();
        for body in resources.filter_map(|resource| resource.body.as_mut()) {
            match seen.iter().find(|known| **known == body.place) {
                Some(known) => body.place = known.clone(),
                None if seen.len() < MOST => seen.push(body.place.clone()),
                None => {}
            }
        }
    }

    pub(crate) fn variables(&self) -> impl Iterator<Item = &KeyName> {
        self.templates().flat_map(Template::variables)
    }

    fn templates(&self) -> impl Iterator<Item = &Template> {
        self.body.iter().flat_map(|body| body.place.iter().chain([&body.name]))
    }

    /// The template of the last field; none for `*`.
    pub(crate) fn last_template(&self) -> Option<&Template> {
        self.body.as_ref().map(|body| &body.name)
    }

    /// Whether the fields before the last one are of the site; nothing if that hangs on a variable.
    pub(crate) fn place_is_of(&self, site: &Site) -> Option<bool> {
        let Some([_, a, b, c, d]) = self.body.as_ref().map(|body| &*body.place) else { return Some(true) };
        let nobody = ConnectionContext::default();
        let place = [site.partition(), "iot", site.region.as_str(), site.account.as_str()];
        let mut verdict = Some(true);
        for (template, text) in [a, b, c, d].into_iter().zip(place) {
            match template.resolve(&nobody) {
                Ok(glob) if glob.matches(text) => {}
                Ok(_) => return Some(false),
                Err(_) => verdict = None,
            }
        }
        verdict
    }

    /// Substitutes; fails with the variable that has no value.
    pub(crate) fn resolve(&self, context: &ConnectionContext) -> Result<Pattern, &KeyName> {
        let Some(Body { place, name: f }) = &self.body else { return Ok(Pattern(None)) };
        let [a, b, c, d, e] = &**place;
        let resolve = |template| Template::resolve(template, context);
        let fields = [resolve(a)?, resolve(b)?, resolve(c)?, resolve(d)?, resolve(e)?, resolve(f)?];
        Ok(Pattern(Some(Box::new(fields))))
    }

    /// How far the text before the first variable of the last field agrees with a name, and whether wholly.
    pub(crate) fn likeness_before_variables(&self, name: &str) -> (usize, bool) {
        let Some(last) = self.last_template() else { return (0, true) };
        let head = last.before_variables();
        (head.shared_prefix(name), head.has_prefix_of(name))
    }
}

impl Pattern {
    #[cfg(test)]
    fn parse(text: &str) -> Option<Self> {
        Resource::parse(text, false)?.resolve(&ConnectionContext::default()).ok()
    }

    /// Field by field.
    pub(crate) fn matches(&self, arn: &Arn<'_>) -> bool {
        self.matches_place(arn.partition, arn.service, arn.region, arn.account)
            && self.name_matches(arn.resource)
    }

    /// The same; without an ARN only `*` covers.
    pub(crate) fn covers(&self, arn: Option<&Arn<'_>>) -> bool {
        self.0.is_none() || arn.is_some_and(|arn| self.matches(arn))
    }

    /// True if the pattern is of the site's own Region and account, or of all.
    pub(crate) fn is_of(&self, site: &Site) -> bool {
        self.matches_place(site.partition(), "iot", site.region.as_str(), site.account.as_str())
    }

    fn matches_place(&self, partition: &str, service: &str, region: &str, account: &str) -> bool {
        let Some([_, a, b, c, d, _]) = self.0.as_deref() else { return true };
        [(a, partition), (b, service), (c, region), (d, account)]
            .iter()
            .all(|(glob, text)| glob.matches(text))
    }

    fn name_matches(&self, name: &str) -> bool {
        self.last().is_none_or(|last| last.matches(name))
    }

    fn last(&self) -> Option<&Glob> {
        match self.0.as_deref() {
            Some([.., last]) => Some(last),
            None => None,
        }
    }

    /// The patterns for names of resources of one kind, `prefix` being `topic/` for instance: none if the
    /// pattern is for resources of another kind.
    pub(crate) fn names(&self, prefix: &str) -> Vec<Glob> {
        self.last().map_or_else(|| vec![Glob::anything()], |last| last.after(prefix))
    }

    /// How many bytes of the resource the literal beginning of the pattern shares.
    pub(crate) fn likeness(&self, resource: &str) -> usize {
        self.last().map_or(resource.len(), |last| last.shared_prefix(resource))
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(fields) = &self.0 else { return f.write_str("*") };
        for (index, field) in fields.iter().enumerate() {
            write!(f, "{}{field}", if index == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, arn: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(&Arn::parse(arn).unwrap())
    }

    #[test]
    fn wildcards_stay_inside_their_field() {
        assert!(matches("arn:aws:iot:*:*:topic/a", "arn:aws:iot:eu-west-1:1:topic/a"));
        assert!(!matches("arn:aws:*:topic/a:x:y", "arn:aws:iot:eu-west-1:1:topic/a:x:y"));
        assert!(matches("arn:aws:iot:r:1:client/fleet:*", "arn:aws:iot:r:1:client/fleet:7:8"));
        assert!(matches("*", "arn:aws:iot:r:1:anything"));
    }

    #[test]
    fn only_arns_are_resources() {
        for bad in
            ["", "topic/a", "aws:iot:::x", "arn:aws:iot:topic/a", "arn*", "**", "[\"arn:aws:iot:r:1:x\"]"]
        {
            assert!(Resource::parse(bad, true).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_kind_is_read_off() {
        let names = |pattern: &str, kind: &str| Pattern::parse(pattern).unwrap().names(kind);
        assert_eq!(names("arn:aws:iot:r:1:topic/a*", "topic/"), [Glob::parse("a*")]);
        assert!(names("arn:aws:iot:r:1:topicfilter/a*", "topic/").is_empty());
        assert_eq!(names("arn:aws:iot:r:1:*", "topicfilter/"), [Glob::anything()]);
        assert_eq!(names("*", "client/"), [Glob::anything()]);
    }
}
