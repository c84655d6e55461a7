//! A responder: sends each request's payload back, to where the request says (MQTT 5) or to where its requester listens.

use std::collections::VecDeque;
use std::sync::Arc;

use mqtt::{Packet, PacketId, Publish, QoS, Text};

use crate::client::{Client, text};
use crate::course::{Follower, Phase};
use crate::fault::{BenchError, Fault};
use crate::load::receipt::acknowledge;
use crate::load::{Plan, Shared};

/// A responder that has subscribed.
pub struct Responder {
    client: Client,
    /// For requests that do not say where the answer goes: MQTT 3.1.1 has no words for it.
    answers: Text,
    qos: QoS,
    next_id: PacketId,
    unacknowledged: u64,
    /// Answers that wait for acknowledgements. The requester's window bounds them.
    waiting: VecDeque<Publish>,
    shared: Arc<Shared>,
}

impl Responder {
    /// Connects and subscribes.
    pub async fn open(plan: Arc<Plan>, shared: Arc<Shared>, number: u32) -> Result<Self, BenchError> {
        let at = number as usize;
        let name = shared.client_id(&plan, "r", number, at);
        let open = async {
            let mut client = Client::open(&plan.target, at, &name).await?;
            client.subscribe_all(&shared.subscriptions(&plan, number), plan.qos).await?;
            Ok((client, text(&shared.answers(&plan, number))?))
        };
        let (client, answers) = open.await.map_err(|fault| BenchError::NotReady(name.clone(), fault))?;
        Ok(Self {
            client,
            answers,
            qos: plan.qos,
            next_id: PacketId::FIRST,
            unacknowledged: 0,
            waiting: VecDeque::new(),
            shared,
        })
    }

    /// Answers until the run ends.
    pub async fn run(mut self, mut follower: Follower) -> Result<(), Fault> {
        loop {
            tokio::select! {
                filled = self.client.fill() => filled?,
                () = follower.reached(Phase::End) => break,
            }
            while let Some(packet) = self.client.take()? {
                self.on(packet)?;
            }
            self.answer()?;
            self.client.flush().await?;
        }
        self.client.close().await
    }

    fn on(&mut self, packet: Packet) -> Result<(), Fault> {
        match packet {
            Packet::Publish(request) => {
                acknowledge(&mut self.client, &request)?;
                let mut answer = Publish { qos: self.qos, payload: request.payload, ..Publish::default() };
                answer.topic =
                    request.properties.response_topic.clone().unwrap_or_else(|| self.answers.clone());
                answer.properties.correlation_data = request.properties.correlation_data.clone();
                self.waiting.push_back(answer);
                Ok(())
            }
            Packet::PubAck(ack) => {
                self.unacknowledged = self.unacknowledged.saturating_sub(1);
                if ack.code.is_failure() {
                    self.shared.tally.acknowledge(true);
                }
                Ok(())
            }
            other => Err(Fault::Unexpected(other.name())),
        }
    }

    fn answer(&mut self) -> Result<(), Fault> {
        while self.qos == QoS::AtMostOnce || self.unacknowledged < u64::from(self.client.receive_maximum) {
            let Some(mut answer) = self.waiting.pop_front() else { break };
            if self.qos != QoS::AtMostOnce {
                answer.packet_id = Some(self.next_id);
                self.next_id = self.next_id.following();
                self.unacknowledged += 1;
            }
            self.client.push(&Packet::Publish(Box::new(answer)))?;
        }
        Ok(())
    }
}
