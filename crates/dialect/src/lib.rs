//! AWS IoT Core as data: what departs from OASIS MQTT, what is limited, which topics are reserved, how a refusal looks.
//!
//! Invariant: the tables hold every number and every reason code once, and nothing here acts. The empty set of
//! divergences is OASIS MQTT.

mod direct;
mod divergence;
mod fault;
mod limits;
mod metric;
mod open;
mod profile;
mod quota;
mod rate;
mod reason;
mod refusal;
mod reserved;
mod shown;

mod dialects;

pub use dialects::{Dialect, InvalidSetting};
pub use direct::DirectFailure;
pub use divergence::{DIVERGENCES, Divergence, DivergenceRow, Evidence, Stance, State};
pub use fault::{Answer, Fault, ReasonText};
pub use limits::Limits;
pub use metric::Metric;
pub use open::{OPEN_QUESTIONS, OpenQuestion, Unconfirmed};
pub use profile::QuotaProfile;
pub use quota::{API_RATES, ApiRate, Keeping, QUOTAS, Quota, QuotaId, Scope, UNLIMITED, Unit};
pub use rate::Rate;
pub use reason::DisconnectReason;
pub use refusal::{REFUSALS, RefusalRow, Reply};
pub use reserved::{
    Family, RESERVED_TOPICS, ReservedFault, ReservedTopic, basic_ingest, classify, effective_topic,
    is_reserved, publish_allowed, subscribe_allowed,
};
