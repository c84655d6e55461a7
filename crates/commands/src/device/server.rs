//! Finding the server: by URL and AWS's environment variables, or by the data folder on this machine.

use std::path::{Path, PathBuf};

use ureq::tls::RootCerts;

use super::{DeviceProblem, trust};
use crate::cli::ServerArgs;
use ready::{RUNTIME_FILE, Ready};

/// A server and the right to talk to it.
#[derive(Clone)]
pub struct Server {
    /// `http://host:port` or `https://host:port`
    pub api_url: String,
    /// For the signature.
    pub region: String,
    /// AWS_ACCESS_KEY_ID
    pub access_key_id: String,
    /// AWS_SECRET_ACCESS_KEY
    pub secret_access_key: String,
    /// AWS_SESSION_TOKEN
    pub session_token: Option<String>,
    /// The MQTT port, if known.
    pub mqtt_port: Option<u16>,
    /// The CA that devices must trust, if it is on this machine.
    pub ca_file: Option<PathBuf>,
    /// By which certificates an `https://` API is trusted.
    pub trusted: Option<RootCerts>,
}

impl Server {
    /// `environment` looks up a variable.
    pub fn find(
        args: &ServerArgs,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, DeviceProblem> {
        match &args.api_url {
            Some(url) => Self::by_url(url, environment),
            None => Self::by_data_dir(&args.data_dir),
        }
    }

    fn by_url(url: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, DeviceProblem> {
        check(url)?;
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let needed = |name: &str| {
            set(name).ok_or_else(|| {
                DeviceProblem::new(format!(
                    "--api-url needs AWS credentials in the environment, and {name} is not set"
                ))
            })
        };
        Ok(Self {
            api_url: url.trim_end_matches('/').to_owned(),
            region: set("AWS_REGION")
                .or_else(|| set("AWS_DEFAULT_REGION"))
                .unwrap_or_else(|| "us-east-1".to_owned()),
            access_key_id: needed("AWS_ACCESS_KEY_ID")?,
            secret_access_key: needed("AWS_SECRET_ACCESS_KEY")?,
            session_token: set("AWS_SESSION_TOKEN"),
            mqtt_port: None,
            ca_file: None,
            trusted: trust::of(url, environment).map_err(DeviceProblem::new)?,
        })
    }

    fn by_data_dir(folder: &Path) -> Result<Self, DeviceProblem> {
        if !ready::is_held(folder) {
            return Err(DeviceProblem::new(format!(
                "no server is running on the data folder {}: start one (thingcore serve), or name its folder with \
                 --data-dir, or its API with --api-url",
                folder.display()
            )));
        }
        let path = folder.join(RUNTIME_FILE);
        let ready = Ready::read(&path).map_err(|error| {
            DeviceProblem::new(format!(
                "{}: cannot be read: {error}; is the server still starting?",
                path.display()
            ))
        })?;
        Ok(Self {
            api_url: ready.api_url,
            region: ready.region,
            access_key_id: ready.access_key_id,
            secret_access_key: ready.secret_access_key,
            session_token: None,
            mqtt_port: Some(ready.ports.mqtt),
            ca_file: Some(ready.ca_file),
            trusted: None,
        })
    }

    /// Host and port of the API, as the Host header has them.
    pub fn authority(&self) -> &str {
        self.api_url.split_once("://").map_or(&self.api_url, |(_, authority)| authority)
    }
}

/// Requests are signed with the path that the server sees, so the URL has none.
fn check(url: &str) -> Result<(), DeviceProblem> {
    let parts = url.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme));
    let authority = parts.map(|(_, authority)| authority.trim_end_matches('/'));
    match authority {
        Some(authority) if !authority.is_empty() && !authority.contains(['/', '?', '@', '#']) => Ok(()),
        _ => Err(DeviceProblem::new(format!("--api-url {url}: write http://HOST:PORT or https://HOST:PORT"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(api_url: Option<&str>) -> ServerArgs {
        ServerArgs { api_url: api_url.map(str::to_owned), data_dir: "no-such-folder".into() }
    }

    fn problem(args: &ServerArgs, environment: &dyn Fn(&str) -> Option<String>) -> String {
        match Server::find(args, environment) {
            Ok(_) => panic!("found"),
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn without_a_server_it_says_how_to_get_one() {
        let text = problem(&args(None), &|_| None);
        assert!(text.contains("thingcore serve") && text.contains("--api-url"), "{text}");
    }

    #[test]
    fn a_url_is_scheme_and_authority() {
        for url in ["h:1", "ftp://h", "http://", "http://h/base", "https://me:hush@h"] {
            assert!(problem(&args(Some(url)), &|_| None).contains("http://HOST:PORT"), "{url}");
        }
    }

    #[test]
    fn a_url_comes_with_credentials_from_the_environment() {
        let text = problem(&args(Some("http://h:1")), &|_| None);
        assert!(text.contains("AWS_ACCESS_KEY_ID"), "{text}");
        let server = Server::find(&args(Some("http://h:1/")), &|name| Some(name.to_lowercase())).unwrap();
        assert_eq!((server.api_url.as_str(), server.authority()), ("http://h:1", "h:1"));
        assert_eq!(server.region, "aws_region");
        assert_eq!(server.session_token.as_deref(), Some("aws_session_token"));
    }
}
