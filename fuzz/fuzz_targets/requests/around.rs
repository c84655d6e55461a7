//! What stands around the gateway's reading of HTTP here, in the place of its clock, its doors and whoever they ask: everybody's
//! access key is known, with a secret that no peer knows, and whoever comes in all the same is told.

pub(crate) mod clock {
    use identity::Timestamp;

    /// 2026-01-01T00:00:00Z, as the seeds say, for ever.
    pub(crate) struct Clock;

    impl Clock {
        pub(crate) fn now(&self) -> Timestamp {
            Self::wall()
        }

        pub(crate) fn wall() -> Timestamp {
            Timestamp(1_767_225_600_000)
        }
    }
}

pub(crate) mod endpoint {
    use std::sync::Arc;

    #[derive(PartialEq)]
    pub(crate) struct Terms;

    pub(crate) struct Endpoint {
        pub(crate) name: Option<Arc<str>>,
        pub(crate) terms: Terms,
    }
}

pub(crate) mod report {
    use broker::Link;

    use super::door::Shared;
    use crate::refusal::Refusal;

    pub(crate) fn refused(_: &Shared, _: &Link, refusal: &Refusal) {
        assert!(!refusal.reason.is_empty() && !refusal.detail.is_empty() && !refusal.remedy.is_empty());
    }
}

pub(crate) mod custom {
    use broker::Credential;
    use customauth::{AuthorizerChoice, HttpPart, Presented, TlsPart, choose, event};

    /// What a client said before CONNECT.
    pub(crate) struct Presenting {
        presented: Presented,
        choice: AuthorizerChoice,
    }

    impl Presenting {
        pub(crate) fn new(
            server_name: Option<&str>,
            http: Option<HttpPart>,
            choice: AuthorizerChoice,
            _: Option<(Credential, String)>,
        ) -> Self {
            let tls = TlsPart { server_name: server_name.map(str::to_owned), ..TlsPart::default() };
            let presented = Presented { tls: Some(tls), http, mqtt: None, connection_id: String::new() };
            Self { presented, choice }
        }

        /// As far as an authorizer's function: which one, with which token, and what it would be told.
        pub(crate) fn look(&self) {
            let Ok(asked) = self.presented.asks() else { return };
            let named = choose(asked.as_deref(), &self.choice, None);
            assert!(named.is_none_or(|name| name.chars().count() <= 128), "a name longer than AWS takes");
            let Ok(signed) = self.presented.token("token") else { return };
            let event = event(&self.presented, signed.token.as_deref()).expect("an event can be written");
            serde_json::from_slice::<serde_json::Value>(&event).expect("an event is JSON");
        }
    }
}

pub(crate) mod converse {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use broker::{Credential, Link};
    use bytes::BytesMut;
    use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

    use super::custom::Presenting;
    use super::door::Shared;
    use crate::budget::Place;

    pub(crate) enum Introduction {
        Known(Credential),
        Custom(Box<Presenting>),
    }

    pub(crate) struct Guest {
        pub(crate) link: Link,
        pub(crate) introduction: Introduction,
        pub(crate) place: Place,
    }

    /// Reads what is said to the broker, to the end.
    pub(crate) fn spawn<S>(shared: &Arc<Shared>, mut stream: S, input: BytesMut, guest: Guest)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Guest { link, introduction, place } = guest;
        match &introduction {
            Introduction::Known(credential) => panic!("{} came in without its key", credential.principal),
            Introduction::Custom(presenting) => presenting.look(),
        }
        assert!(input.is_empty() && link.transport == "mqtt/wss");
        assert_eq!(shared.guests.fetch_add(1, Ordering::Relaxed), 0, "two came in by one connection");
        tokio::spawn(async move {
            let mut some = [0; 700];
            while stream.read(&mut some).await.is_ok_and(|count| count > 0) {}
            drop(place);
        });
    }
}

pub(crate) mod door {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use access::{HttpsGuest, NoSigner, http_part};
    use bytes::Bytes;
    use dialect::Dialect;
    use http::{Request, Response};
    use http_body_util::{BodyExt as _, Full};
    use hyper::body::Incoming;
    use identity::{Principal, Timestamp};

    use super::clock::Clock;
    use super::custom::Presenting;
    use super::endpoint::{Endpoint, Terms};
    use crate::limits::Limits;
    use crate::refusal::Refusal;

    pub(crate) struct Shared {
        pub(crate) broker: Broker,
        pub(crate) clock: Clock,
        pub(crate) limits: Arc<Limits>,
        pub(crate) services: Services,
        pub(crate) access: Access,
        pub(crate) requests: Requests,
        pub(crate) guard_against_browsers: bool,
        /// How many came in.
        pub(crate) guests: AtomicUsize,
    }

    impl Shared {
        pub(crate) fn new(dialect: &'static Dialect, guard_against_browsers: bool) -> Self {
            Self {
                broker: Broker(dialect),
                clock: Clock,
                limits: Arc::new(Limits::default()),
                services: Services(Site { region: Region }),
                access: Access,
                requests: Requests,
                guard_against_browsers,
                guests: AtomicUsize::new(0),
            }
        }

        pub(crate) async fn closing(&self) {
            std::future::pending().await
        }

        pub(crate) async fn endpoint(&self, _: Option<&str>) -> Result<Endpoint, Refusal> {
            Ok(Endpoint { name: None, terms: Terms })
        }
    }

    pub(crate) struct Broker(&'static Dialect);

    impl Broker {
        pub(crate) fn dialect(&self) -> &Dialect {
            self.0
        }
    }

    pub(crate) struct Services(Site);

    impl Services {
        pub(crate) fn site(&self) -> &Site {
            &self.0
        }
    }

    pub(crate) struct Site {
        pub(crate) region: Region,
    }

    pub(crate) struct Region;

    impl Region {
        pub(crate) fn as_str(&self) -> &str {
            "us-east-1"
        }
    }

    pub(crate) struct Secret(pub(crate) String);

    pub(crate) struct Signer {
        pub(crate) secret: Secret,
        pub(crate) principal: Principal,
    }

    pub(crate) struct Access;

    impl Access {
        pub(crate) async fn signer(
            &self,
            access_key_id: &str,
            session_token: Option<&str>,
            _: Timestamp,
        ) -> Result<Signer, NoSigner> {
            if session_token.is_some_and(|token| token.len() > 100) {
                return Err(NoSigner::InvalidToken);
            }
            let secret = Secret("a secret that no input knows".to_owned());
            Ok(Signer { secret, principal: Principal::AccessKey(access_key_id.into()) })
        }
    }

    pub(crate) struct Requests;

    impl Requests {
        /// Reads as much of a request as an authorizer gets, and its body.
        pub(crate) async fn answer(
            &self,
            request: Request<Incoming>,
            guest: &HttpsGuest,
        ) -> Response<Full<Bytes>> {
            if let Some(authorizer) = &guest.authorizer {
                let http = http_part(request.headers(), request.uri().query().unwrap_or_default());
                Presenting::new(None, Some(http), authorizer.choice.clone(), None).look();
            }
            let _ = request.into_body().collect().await;
            Response::new(Full::default())
        }
    }
}
