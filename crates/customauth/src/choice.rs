//! Which authorizer is asked.

/// The longest name, in characters.
const NAME_MAX: usize = 128;

/// What the endpoint that a client connected to says about authorizers: `authorizerConfig` of its domain
/// configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizerChoice {
    /// `defaultAuthorizerName`
    pub default: Option<String>,
    /// `allowAuthorizerOverride`: whether a client may name another one.
    pub allow_override: bool,
}

/// The endpoints that AWS provides: clients may name any authorizer, and there is no default but the account's.
impl Default for AuthorizerChoice {
    fn default() -> Self {
        Self { default: None, allow_override: true }
    }
}

/// The authorizer to ask: the one that the client named if the endpoint lets it, else the endpoint's default, else the
/// account's (developer guide, *Custom authentication*). A client that names one where it may not is asked to pass the
/// default.
pub fn choose<'a>(
    asked: Option<&'a str>,
    endpoint: &'a AuthorizerChoice,
    account_default: Option<&'a str>,
) -> Option<&'a str> {
    asked.filter(|_| endpoint.allow_override).or(endpoint.default.as_deref()).or(account_default)
}

/// True for what can be the name of an authorizer: 1 to 128 of `[A-Za-z0-9_=,@-]`.
pub fn is_authorizer_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_=,@-".contains(&byte);
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_then_the_endpoint_then_the_account() {
        let open = AuthorizerChoice::default();
        assert_eq!(choose(Some("a"), &open, Some("z")), Some("a"));
        assert_eq!(choose(None, &open, Some("z")), Some("z"));
        assert_eq!(choose(None, &open, None), None);
        let fixed = AuthorizerChoice { default: Some("d".into()), allow_override: false };
        assert_eq!(choose(Some("a"), &fixed, Some("z")), Some("d"));
        let free = AuthorizerChoice { allow_override: true, ..fixed };
        assert_eq!(choose(Some("a"), &free, None), Some("a"));
        assert_eq!(choose(None, &free, Some("z")), Some("d"));
    }

    #[test]
    fn names_have_their_letters() {
        assert!(is_authorizer_name("My_Auth=1,@-") && is_authorizer_name(&"a".repeat(128)));
        for bad in ["", "a b", "ä", "a?b", "a/b", &"a".repeat(129)] {
            assert!(!is_authorizer_name(bad), "{bad}");
        }
    }
}
