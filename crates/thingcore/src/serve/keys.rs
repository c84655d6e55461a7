//! The owner's access keys: the generated pair, those of the configuration, and `test`/`test` in development.

use access::OwnerKeys;

use crate::config::{AccessKey, Settings};

/// All key pairs, fixed at the start.
pub fn owner_keys(generated: &AccessKey, settings: &Settings) -> OwnerKeys {
    let development = settings.dev.then(|| AccessKey { id: "test".to_owned(), secret: "test".to_owned() });
    let all = settings.access_keys.iter().chain([generated]).chain(&development);
    OwnerKeys::new(all.map(|key| (key.id.clone(), key.secret.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ServeArgs;
    use crate::config::ConfigFile;

    fn keys(dev: bool) -> OwnerKeys {
        let args = ServeArgs { dev, ..ServeArgs::default() };
        let mut settings = Settings::merge(args, ConfigFile::default()).unwrap();
        settings.access_keys.push(AccessKey { id: "more".into(), secret: "s2".into() });
        owner_keys(&AccessKey { id: "AKIA".into(), secret: "s1".into() }, &settings)
    }

    #[test]
    fn test_is_a_key_in_development_only() {
        assert_eq!(keys(false).secret("test"), None);
        assert_eq!(keys(true).secret("test"), Some("test"));
    }

    #[test]
    fn generated_and_configured_keys_are_accepted() {
        assert_eq!(keys(false).secret("AKIA"), Some("s1"));
        assert_eq!(keys(false).secret("more"), Some("s2"));
    }
}
