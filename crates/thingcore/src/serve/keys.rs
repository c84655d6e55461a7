//! Who may call the API: the generated pair, those of the configuration, and `test`/`test` in development.

use std::collections::HashMap;

use api::AccessKeys;

use crate::config::{AccessKey, Settings};

/// All key pairs, fixed at the start.
pub struct Keys(HashMap<String, String>);

impl Keys {
    pub fn new(generated: &AccessKey, settings: &Settings) -> Self {
        let development =
            settings.dev.then(|| AccessKey { id: "test".to_owned(), secret: "test".to_owned() });
        let all = settings.access_keys.iter().chain([generated]).chain(&development);
        Self(all.map(|key| (key.id.clone(), key.secret.clone())).collect())
    }
}

impl AccessKeys for Keys {
    fn secret(&self, access_key_id: &str) -> Option<String> {
        self.0.get(access_key_id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ServeArgs;
    use crate::config::ConfigFile;

    fn keys(dev: bool) -> Keys {
        let args = ServeArgs { dev, ..ServeArgs::default() };
        let mut settings = Settings::merge(args, ConfigFile::default()).unwrap();
        settings.access_keys.push(AccessKey { id: "more".into(), secret: "s2".into() });
        Keys::new(&AccessKey { id: "AKIA".into(), secret: "s1".into() }, &settings)
    }

    #[test]
    fn test_is_a_key_in_development_only() {
        assert_eq!(keys(false).secret("test"), None);
        assert_eq!(keys(true).secret("test").as_deref(), Some("test"));
    }

    #[test]
    fn generated_and_configured_keys_are_accepted() {
        assert_eq!(keys(false).secret("AKIA").as_deref(), Some("s1"));
        assert_eq!(keys(false).secret("more").as_deref(), Some("s2"));
    }
}
