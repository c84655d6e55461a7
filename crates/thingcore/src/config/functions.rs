//! `[functions]` and `[[function]]`: where Lambda functions run.

use functions::{ConfiguredFunctions, Endpoint, Place};
use identity::Arn;
use serde::Deserialize;

use super::file::ConfigProblem;

/// `[functions]`: for every function that has no section of its own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FunctionsSection {
    /// An `http://` URL under which Lambda's Invoke API is spoken.
    pub endpoint: Option<String>,
}

/// `[[function]]`: where one function runs. One of `url` and `command`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionSection {
    /// The function's Lambda ARN, as authorizers name it.
    pub arn: String,
    /// An `http://` URL that is posted to as it stands.
    pub url: Option<String>,
    /// A program and its arguments: the event on standard input, the answer on standard output.
    pub command: Option<Vec<String>>,
}

/// Where functions run, checked.
#[derive(Clone, Debug, Default)]
pub struct FunctionPlaces {
    endpoint: Option<Endpoint>,
    places: Vec<(String, Place)>,
}

impl FunctionPlaces {
    /// From the sections of the file.
    pub fn new(default: FunctionsSection, sections: Vec<FunctionSection>) -> Result<Self, ConfigProblem> {
        let endpoint = default.endpoint.map(|text| Endpoint::parse(&text)).transpose();
        let endpoint = endpoint.map_err(|error| ConfigProblem(format!("[functions] endpoint: {error}")))?;
        let mut places: Vec<(String, Place)> = Vec::with_capacity(sections.len());
        for section in sections {
            let problem = |what: &str| ConfigProblem(format!("[[function]] {:?} {what}", section.arn));
            if !Arn::parse(&section.arn).is_ok_and(|arn| arn.service == "lambda") {
                return Err(problem("is not the ARN of a Lambda function"));
            }
            if places.iter().any(|(arn, _)| *arn == section.arn) {
                return Err(problem("is there twice: remove one of them"));
            }
            places.push((section.arn.clone(), place(&section, problem)?));
        }
        Ok(Self { endpoint, places })
    }

    /// What invokes them.
    pub fn functions(&self) -> ConfiguredFunctions {
        ConfiguredFunctions::new(self.endpoint.clone(), self.places.clone())
    }
}

fn place(section: &FunctionSection, problem: impl Fn(&str) -> ConfigProblem) -> Result<Place, ConfigProblem> {
    match (&section.url, &section.command) {
        (Some(url), None) => {
            Endpoint::parse(url).map(Place::Url).map_err(|error| problem(&format!("url: {error}")))
        }
        (None, Some(words)) => Place::command(words).ok_or_else(|| problem("has an empty command")),
        _ => Err(problem("needs either a url or a command")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::ConfigFile;

    fn places(text: &str) -> Result<FunctionPlaces, ConfigProblem> {
        let file = ConfigFile::parse(text, Path::new("t.toml")).unwrap();
        FunctionPlaces::new(file.functions, file.function)
    }

    #[test]
    fn each_function_has_one_place() {
        let arn = "[[function]]\narn = \"arn:aws:lambda:r:a:function:f\"\n";
        let good = format!(
            "{arn}command = [\"python3\", \"auth.py\"]\n[functions]\nendpoint = \"http://127.0.0.1:1\""
        );
        let good = places(&good).unwrap();
        assert_eq!((good.places.len(), good.endpoint.is_some()), (1, true));
        let with_url = format!("{arn}url = \"http://localhost/x\"\n");
        assert!(places(&with_url).is_ok());
        for (text, says) in [
            (arn.to_owned(), "needs either a url or a command"),
            (format!("{with_url}command = [\"x\"]"), "needs either a url or a command"),
            (format!("{arn}command = []"), "has an empty command"),
            (format!("{arn}url = \"https://x\""), "https:// is not built"),
            (format!("{with_url}{with_url}"), "is there twice"),
            (with_url.replace("lambda", "sqs"), "is not the ARN of a Lambda function"),
            ("[functions]\nendpoint = \"x\"".to_owned(), "[functions] endpoint: "),
        ] {
            let problem = places(&text).unwrap_err().to_string();
            assert!(problem.contains(says), "{problem}");
        }
    }
}
