//! What the generated tables are made of: operations, and shapes with their constraints.
//!
//! The tables are `static`, refer to each other by reference and are interpreted at run time; the only state is
//! the compiled form of a pattern, made at its first use.

use std::fmt;
use std::sync::OnceLock;

use regex_lite::Regex;

/// A service of AWS IoT, as the scope of a signature names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// The control plane: `iot`.
    Iot,
    /// The data plane: `iotdata`; `iotdevicegateway` is taken as the same.
    IotData,
    /// The jobs data plane: `iot-jobs-data`.
    IotJobsData,
    /// Service Quotas: `servicequotas`.
    ServiceQuotas,
    /// IAM: `iam`.
    Iam,
    /// AWS STS: `sts`.
    Sts,
    /// Identity pools of Amazon Cognito: `cognito-identity`.
    CognitoIdentity,
    /// Certificate Manager: `acm`.
    Acm,
    /// `thingcore`, for operations that AWS does not have. They can be signed for any of the others as well.
    Thingcore,
}

impl Service {
    /// Those with the JSON protocol, in the order of the coverage page.
    pub const JSON: [Self; 2] = [Self::ServiceQuotas, Self::Acm];
    /// Those that say who may sign; see `account`.
    pub const ACCOUNT: [Self; 3] = [Self::Iam, Self::Sts, Self::CognitoIdentity];

    /// All of AWS IoT's, in the order of the coverage page.
    pub const ALL: [Self; 3] = [Self::Iot, Self::IotData, Self::IotJobsData];

    /// Every name that a credential scope may have.
    pub const SCOPES: [&'static str; 10] = [
        "iot",
        "iotdata",
        "iotdevicegateway",
        "iot-jobs-data",
        "servicequotas",
        "acm",
        "iam",
        "sts",
        "cognito-identity",
        "thingcore",
    ];

    /// Whether its protocol is JSON 1.1.
    pub fn speaks_json(self) -> bool {
        self == Self::CognitoIdentity || Self::JSON.contains(&self)
    }

    /// The name in a credential scope.
    pub fn signing_name(self) -> &'static str {
        match self {
            Self::Iot => "iot",
            Self::IotData => "iotdata",
            Self::IotJobsData => "iot-jobs-data",
            Self::ServiceQuotas => "servicequotas",
            Self::Iam => "iam",
            Self::Sts => "sts",
            Self::CognitoIdentity => "cognito-identity",
            Self::Acm => "acm",
            Self::Thingcore => "thingcore",
        }
    }

    /// The service that a credential scope names.
    pub fn from_scope(name: &str) -> Option<Self> {
        match name {
            "iot" => Some(Self::Iot),
            "iotdata" | "iotdevicegateway" => Some(Self::IotData),
            "iot-jobs-data" => Some(Self::IotJobsData),
            "servicequotas" => Some(Self::ServiceQuotas),
            "iam" => Some(Self::Iam),
            "sts" => Some(Self::Sts),
            "cognito-identity" => Some(Self::CognitoIdentity),
            "acm" => Some(Self::Acm),
            "thingcore" => Some(Self::Thingcore),
            _ => None,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.signing_name())
    }
}

/// Where a member travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the JSON body.
    Body,
    /// A label of the path.
    Uri,
    /// The query string.
    Query,
    /// A header.
    Header,
    /// It is the status of the response.
    StatusCode,
    /// It is the whole body.
    Payload,
}

/// One operation.
pub struct Operation {
    /// The service that has it.
    pub service: Service,
    /// `CreateThing`.
    pub name: &'static str,
    /// `POST`.
    pub method: &'static str,
    /// `/things/{thingName}`; a label with `+` takes the rest of the path.
    pub uri: &'static str,
    /// The HTTP status of a success.
    pub status: u16,
    /// The input structure.
    pub input: &'static Shape,
    /// The output members that are not in the JSON body.
    pub output: &'static [Bound],
    /// The exceptions that the model declares.
    pub errors: &'static [&'static str],
}

impl Operation {
    /// Whether a label of its path is everything that follows: a topic.
    pub(crate) fn takes_rest_of_path(&self) -> bool {
        self.uri.ends_with("+}")
    }
}

/// An output member outside the JSON body.
pub struct Bound {
    /// The member's name.
    pub name: &'static str,
    /// The name at its place.
    pub wire: &'static str,
    /// Its place.
    pub at: Location,
}

/// A member of an input structure.
pub struct Member {
    /// The member's name, which is how error texts and decoded inputs call it.
    pub name: &'static str,
    /// The name at its place.
    pub wire: &'static str,
    /// Its place.
    pub at: Location,
    /// It must be there.
    pub required: bool,
    /// A header that holds base64 of JSON.
    pub json_value: bool,
    /// What it is.
    pub shape: &'static Shape,
}

impl Member {
    const fn at(at: Location, name: &'static str, shape: &'static Shape) -> Self {
        Self { name, wire: name, at, required: false, json_value: false, shape }
    }

    /// A member of the JSON body.
    pub const fn body(name: &'static str, shape: &'static Shape) -> Self {
        Self::at(Location::Body, name, shape)
    }

    /// A label of the path.
    pub const fn uri(name: &'static str, shape: &'static Shape) -> Self {
        Self::at(Location::Uri, name, shape)
    }

    /// A parameter of the query string.
    pub const fn query(name: &'static str, shape: &'static Shape) -> Self {
        Self::at(Location::Query, name, shape)
    }

    /// A header.
    pub const fn header(name: &'static str, shape: &'static Shape) -> Self {
        Self::at(Location::Header, name, shape)
    }

    /// The whole body.
    pub const fn payload(name: &'static str, shape: &'static Shape) -> Self {
        Self::at(Location::Payload, name, shape)
    }

    /// With another name at its place.
    pub const fn wire(mut self, wire: &'static str) -> Self {
        self.wire = wire;
        self
    }

    /// That must be there.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// That is base64 of JSON in a header.
    pub const fn json_value(mut self) -> Self {
        self.json_value = true;
        self
    }
}

/// What kind of value a shape is.
pub enum Kind {
    /// Members by name.
    Structure(&'static [Member]),
    /// Elements of one shape.
    List(&'static Shape),
    /// Keys of one shape, values of another.
    Map(&'static Shape, &'static Shape),
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Seconds since the epoch.
    Time,
    /// Bytes: base64 in JSON, raw as a payload.
    Blob,
}

/// A kind of value and its constraints.
pub struct Shape {
    /// The kind.
    pub kind: Kind,
    /// The least length (characters, entries, bytes) or value.
    pub min: Option<f64>,
    /// The greatest length or value.
    pub max: Option<f64>,
    /// What the text must match as a whole.
    pub pattern: Option<&'static Pattern>,
    /// The values there are, when they are enumerated; else empty.
    pub values: &'static [&'static str],
    /// Its value must not be repeated in a message or a log.
    pub sensitive: bool,
}

impl Shape {
    const fn of(kind: Kind) -> Self {
        Self { kind, min: None, max: None, pattern: None, values: &[], sensitive: false }
    }

    /// A structure.
    pub const fn structure(members: &'static [Member]) -> Self {
        Self::of(Kind::Structure(members))
    }

    /// A list.
    pub const fn list(element: &'static Shape) -> Self {
        Self::of(Kind::List(element))
    }

    /// A map.
    pub const fn map(key: &'static Shape, value: &'static Shape) -> Self {
        Self::of(Kind::Map(key, value))
    }

    /// Text.
    pub const fn text() -> Self {
        Self::of(Kind::Text)
    }

    /// A whole number.
    pub const fn integer() -> Self {
        Self::of(Kind::Integer)
    }

    /// A number.
    pub const fn number() -> Self {
        Self::of(Kind::Number)
    }

    /// A boolean.
    pub const fn boolean() -> Self {
        Self::of(Kind::Boolean)
    }

    /// A moment.
    pub const fn time() -> Self {
        Self::of(Kind::Time)
    }

    /// Bytes.
    pub const fn blob() -> Self {
        Self::of(Kind::Blob)
    }

    /// With a least length or value.
    pub const fn at_least(mut self, min: f64) -> Self {
        self.min = Some(min);
        self
    }

    /// With a greatest length or value.
    pub const fn at_most(mut self, max: f64) -> Self {
        self.max = Some(max);
        self
    }

    /// With a pattern.
    pub const fn pattern(mut self, pattern: &'static Pattern) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// With its values listed.
    pub const fn one_of(mut self, values: &'static [&'static str]) -> Self {
        self.values = values;
        self
    }

    /// Not to be repeated.
    pub const fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// The members of a structure; none for another kind.
    pub fn members(&self) -> &'static [Member] {
        match self.kind {
            Kind::Structure(members) => members,
            _ => &[],
        }
    }
}

/// A pattern of the models. As AWS's services do, it is matched against the whole text.
pub struct Pattern {
    source: &'static str,
    rule: Rule,
    compiled: OnceLock<Option<Regex>>,
}

enum Rule {
    Expression(&'static str),
    Class { empty_fits: bool, ranges: &'static [(u32, u32)] },
}

impl Pattern {
    /// A pattern that `regex-lite` can compile; `ours` is `source` in its dialect.
    pub const fn expression(source: &'static str, ours: &'static str) -> Self {
        Self { source, rule: Rule::Expression(ours), compiled: OnceLock::new() }
    }

    /// A repeated class, as sorted ranges of code points.
    pub const fn class(source: &'static str, empty_fits: bool, ranges: &'static [(u32, u32)]) -> Self {
        Self { source, rule: Rule::Class { empty_fits, ranges }, compiled: OnceLock::new() }
    }

    /// The pattern as the model writes it.
    pub fn source(&self) -> &'static str {
        self.source
    }

    /// True when the rule had to be translated from Java's dialect.
    pub fn is_translated(&self) -> bool {
        match self.rule {
            Rule::Expression(ours) => ours != self.source,
            Rule::Class { .. } => true,
        }
    }

    /// True when `text` fits. A pattern that does not compile fits nothing; a test proves that there is none.
    pub fn fits(&self, text: &str) -> bool {
        match &self.rule {
            Rule::Expression(ours) => self.regex(ours).is_some_and(|regex| regex.is_match(text)),
            Rule::Class { empty_fits, ranges } if text.is_empty() => *empty_fits && !ranges.is_empty(),
            Rule::Class { ranges, .. } => text.chars().all(|c| in_ranges(u32::from(c), ranges)),
        }
    }

    fn regex(&self, ours: &str) -> Option<&Regex> {
        self.compiled.get_or_init(|| Regex::new(&format!("^(?:{ours})$")).ok()).as_ref()
    }
}

fn in_ranges(c: u32, ranges: &[(u32, u32)]) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= c);
    after.checked_sub(1).and_then(|i| ranges.get(i)).is_some_and(|(_, last)| c <= *last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::patterns;

    #[test]
    fn every_pattern_of_the_models_compiles() {
        for pattern in patterns::ALL {
            if let Rule::Expression(ours) = pattern.rule {
                assert!(pattern.regex(ours).is_some(), "{} as {ours}", pattern.source);
            }
        }
    }

    fn pattern(source: &str) -> &'static Pattern {
        patterns::ALL.into_iter().find(|p| p.source == source).unwrap()
    }

    #[test]
    fn patterns_match_the_whole_text() {
        let name = pattern("[a-zA-Z0-9:_-]+");
        assert!(name.fits("a:b_c-9"));
        assert!(!name.fits("a b") && !name.fits("") && !name.fits("a\n"));
    }

    #[test]
    fn java_classes_keep_their_meaning() {
        let description = pattern(r"[\p{Graph}\x20]*");
        assert!(description.fits("") && description.fits("A b ~!"));
        assert!(!description.fits("tab\t") && !description.fits("é"), "Graph is ASCII in Java");
        let tag = pattern(r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$");
        assert!(tag.fits("") && tag.fits("Größe 12/三") && !tag.fits("a#b"));
        let printable = pattern(r"[^\p{C}]+");
        assert!(printable.fits("né 三") && !printable.fits("") && !printable.fits("a\u{7}"));
    }
}
