//! What was planned: who sends to whom, what, and for how long.

use std::time::Duration;

use clap::ValueEnum;
use mqtt::{QoS, Version};

use crate::cli::TrafficArgs;
use crate::fault::BenchError;
use crate::target::Target;

/// Bytes that the prepared messages of one publisher may take.
const PREPARED_MAX: usize = 16 << 20;

/// Who sends to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pattern {
    /// N to N, one to one.
    Pairs,
    /// 1 to N.
    FanOut,
    /// N to 1.
    FanIn,
    /// N to a shared subscription with N members.
    Shared,
    /// N ask N, who answer.
    Request,
}

impl Pattern {
    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pairs => "pairs",
            Self::FanOut => "fan-out",
            Self::FanIn => "fan-in",
            Self::Shared => "shared",
            Self::Request => "request",
        }
    }

    /// Clients that publish.
    pub const fn publishers(self, clients: u32) -> u32 {
        if matches!(self, Self::FanOut) { 1 } else { clients }
    }

    /// Clients that are there before: they subscribe, or answer.
    pub const fn subscribers(self, clients: u32) -> u32 {
        if matches!(self, Self::FanIn) { 1 } else { clients }
    }

    /// Whether each publisher has a topic of its own.
    pub const fn own_topics(self) -> bool {
        matches!(self, Self::Pairs | Self::Request)
    }
}

/// Everything that a run needs to know.
pub struct Plan {
    /// Who sends to whom.
    pub pattern: Pattern,
    /// The N of the pattern.
    pub clients: u32,
    /// Of publishes and subscriptions.
    pub qos: QoS,
    /// Bytes of a payload.
    pub size: usize,
    /// Messages of one publisher on their way.
    pub in_flight: u32,
    /// Messages a second, all together; `None` = as fast as they are delivered.
    pub rate: Option<u64>,
    /// Topics of each publisher.
    pub topics: u32,
    /// A filter for each topic.
    pub own_filters: bool,
    /// Filters that match nothing.
    pub ballast_filters: u32,
    /// Connections that hold them.
    pub ballast_clients: u32,
    /// Load before the measured interval.
    pub warm_up: Duration,
    /// The measured interval.
    pub measure: Duration,
    /// The broker.
    pub target: Target,
    /// Its process.
    pub broker_pid: Option<u32>,
}

impl Plan {
    /// From the command line.
    ///
    /// # Errors
    /// Options that do not go together.
    pub fn new(
        pattern: Pattern,
        traffic: &TrafficArgs,
        target: Target,
        broker_pid: Option<u32>,
    ) -> Result<Self, BenchError> {
        if pattern == Pattern::Request && traffic.topics > 1 {
            return Err(BenchError::Option(
                "`request` takes no --topics: answers have one topic each".into(),
            ));
        }
        if pattern != Pattern::Pairs && traffic.own_filters {
            return Err(BenchError::Option("--own-filters goes with `pairs` only".into()));
        }
        if traffic.size.saturating_mul(traffic.topics as usize) > PREPARED_MAX {
            return Err(BenchError::Option(format!(
                "--topics {} with --size {} takes more than {} MiB for each publisher",
                traffic.topics,
                traffic.size,
                PREPARED_MAX >> 20
            )));
        }
        Ok(Self {
            pattern,
            clients: traffic.clients,
            qos: if traffic.qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce },
            size: traffic.size,
            in_flight: traffic.in_flight,
            rate: traffic.rate,
            topics: traffic.topics,
            own_filters: traffic.own_filters,
            ballast_filters: traffic.ballast_filters,
            ballast_clients: traffic.ballast_clients,
            warm_up: Duration::from_secs(traffic.warm_up),
            measure: Duration::from_secs(traffic.seconds),
            target,
            broker_pid,
        })
    }

    /// Clients of the pattern, without ballast.
    pub const fn load_clients(&self) -> u32 {
        self.pattern.subscribers(self.clients) + self.pattern.publishers(self.clients)
    }

    /// One line for people.
    pub fn title(&self) -> String {
        let version = if self.target.version == Version::V5 { "5" } else { "3.1.1" };
        let mut title = format!(
            "{} of {}: MQTT {version} over {}, QoS {}, {} B, {} in flight per publisher",
            self.pattern.name(),
            self.clients,
            self.target.carried(),
            self.qos,
            self.size,
            self.in_flight,
        );
        if let Some(rate) = self.rate {
            title += &format!(", {rate} messages/s");
        }
        if self.topics > 1 {
            let filters = if self.own_filters { " with a filter of its own" } else { "" };
            title += &format!(", {} topics each{filters}", self.topics);
        }
        if self.ballast_filters > 0 || self.ballast_clients > 0 {
            title += &format!(
                ", beside {} other filters and {} other connections",
                self.ballast_filters,
                crate::ballast::clients(self)
            );
        }
        title
    }
}
