//! CONNECT: terms, identity, policy, and the seat.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::task::Waker;

use dialect::{Divergence, Fault};
use events::Client;
use identity::{ClientId, Principal, Timestamp};
use mqtt::{ConnAck, Connect, Packet, Text, Version};
use policy::{ConnectFacts, Permit};
use session::mutation::{self, Mutation};
use session::throttle::no_room;
use session::{Conversation, Notes, Session, Terms, Violation, connect_bytes};

use crate::cell::{Before, Cell, Delayed, Ended, Kept, Live};
use crate::connection::{Connection, Seated};
use crate::lifecycle::Named;
use crate::publish::Report;
use crate::report::{self, Arrived, Departure};
use standing::{Bearer, Credential, Granted, Link, Standing};

use crate::{Broker, Clock, broker::Inner};

/// The incarnation of the sessions that end with their connections.
static NO_JOURNAL: LazyLock<Arc<str>> = LazyLock::new(|| "".into());

/// A CONNECT that was refused. An MQTT 3.1.1 client mostly gets no packet: that is how AWS refuses.
#[derive(Debug)]
pub struct Refused {
    /// To be sent, if there is one, before the link is closed.
    pub packet: Option<Box<Packet>>,
    /// How to encode it.
    pub version: Version,
}

/// All that was agreed before the seat is taken.
struct Admitted {
    /// Its place in the order of arrival.
    arrival: u64,
    terms: Terms,
    client_id: ClientId,
    assigned: bool,
    standing: Arc<Standing>,
    /// `versionNumber`, if the client has no cell.
    version_number: u64,
    /// When the link ends it at the latest.
    ends: Option<(Timestamp, Fault)>,
    local: SocketAddr,
    /// Of the CONNECT, as they count for the bill.
    bytes: usize,
}

/// A CONNECT that the account's rate has room for, and was counted. To be taken before anything is asked about it that
/// costs, a custom authorizer above all. It keeps the CONNECT's place in the order of arrival: of two with one client id the
/// later one has the seat, however long it takes to decide about either.
#[derive(Debug)]
#[must_use]
pub struct Turn(u64);

impl Broker {
    /// Counts a CONNECT against the account's rate.
    ///
    /// # Errors
    /// The refusal, with what to send: there are too many. Observers were told.
    pub fn turn(
        &self,
        connect: &Connect,
        principal: &Principal,
        link: &Link,
        now: Timestamp,
    ) -> Result<Turn, Refused> {
        self.0.sees(now);
        let counted = self.0.throttles.connect(self.0.dialect.limits(), now);
        counted.map(|()| Turn(self.0.next_id())).map_err(|violation| {
            let client = report::arriving(&connect.client_id, principal, link, connect.version);
            self.0.refuse(client, &violation, connect.version, now)
        })
    }

    /// [`Self::turn`] and [`Self::connect_in_turn`], for clients about whom nothing is to be asked in between.
    ///
    /// # Errors
    /// The refusal, with what to send.
    pub async fn connect(
        &self,
        connect: Box<Connect>,
        credential: Credential,
        link: Link,
        clock: Clock<'_>,
    ) -> Result<Connection, Refused> {
        let turn = self.turn(&connect, &credential.principal, &link, clock())?;
        self.connect_in_turn(turn, connect, credential, link, clock).await
    }

    /// Takes in a CONNECT: checks it, asks the policies, takes the client's seat (from an older connection, if there
    /// is one) and puts the CONNACK into the outbox. The clock is asked again when it is known who it is, which may
    /// take a while: what has ended meanwhile has ended.
    ///
    /// # Errors
    /// The refusal, with what to send.
    pub async fn connect_in_turn(
        &self,
        turn: Turn,
        connect: Box<Connect>,
        credential: Credential,
        link: Link,
        clock: Clock<'_>,
    ) -> Result<Connection, Refused> {
        let inner = &self.0;
        let principal = &credential.principal;
        let client = report::arriving(&connect.client_id, principal, &link, connect.version);
        let refuse =
            |client, violation: Violation| inner.refuse(client, &violation, connect.version, clock());
        let limits = inner.dialect.limits();
        let mut notes = Notes::new();
        let terms = Terms::agree(&connect, &inner.dialect, &mut notes)
            .map_err(|violation| refuse(client, violation))?;
        let assigned = terms.client_id.is_none();
        let client_id = inner.name(&terms).map_err(|violation| refuse(client, violation))?;
        let client = Client { client_id: client_id.as_str(), ..client };
        inner.report_notes(client, &notes, clock());
        let standing = inner.identify(&client_id, &credential, &link, clock).await;
        let standing = standing.map_err(|violation| refuse(client, violation))?;
        if inner.committer.is_closed() {
            // It would end an older session of the client, and could not keep its own.
            return Err(refuse(client, Violation::new(Fault::ServerError, "the server is going down")));
        }
        let now = clock();
        inner.sees(now);
        let permit = inner.authorise_connect(client, &terms, &standing, now)?;
        let counted = inner.throttles.client_id(client_id.as_str(), limits, now);
        counted.map_err(|violation| refuse(client, violation))?;
        let (ends, local, bytes) = (link.ends, link.local, connect_bytes(&connect));
        let admitted = Admitted {
            arrival: turn.0,
            terms,
            client_id: client_id.clone(),
            assigned,
            standing,
            ends,
            local,
            version_number: 0,
            bytes,
        };
        let lasts = admitted.terms.is_persistent() || admitted.terms.will.is_some();
        let seated = self.seat(permit, admitted, now).map_err(|violation| refuse(client, violation))?;
        let unstored = |error| {
            // A CONNECT that is refused has no will, and leaves the session as it was.
            seated.cell().enter(|seat| {
                seat.accepted &= seat.of(seated.generation()).is_none();
            });
            let detail = format!("its session could not be stored: {error}");
            refuse(client, Violation::new(Fault::ServerError, detail))
        };
        inner.remember(&seated, lasts).await.map_err(unstored)?;
        let Some(given_up) = inner.accept(&seated, clock()) else {
            let condemned = seated.standing.is_condemned();
            let fault = if condemned { Fault::CertificateNotActive } else { Fault::TakenOver };
            return Err(refuse(client, Violation::new(fault, "its seat was taken before it was accepted")));
        };
        if given_up {
            // [MQTT-4.3.3-6] what is given up is released, which must be on the disk before the client hears of it.
            inner.remember(&seated, true).await.map_err(unstored)?;
            seated.cell().enter(|seat| {
                let is_ours = seat.of(seated.generation()).is_some();
                seat.before.take_if(|_| is_ours);
            });
        }
        Ok(seated)
    }

    /// What goes over the wire to a client whose CONNECT is refused by the transport. Whoever refuses tells of it.
    pub fn refusal(&self, fault: Fault, version: Version) -> Refused {
        self.0.refusal(fault, version, &self.0.uuid())
    }

    /// Takes the seat. The permit is the proof that iot:Connect was granted. Not if there are too many clients, or if a
    /// CONNECT that came later has had the seat.
    fn seat(
        &self,
        _permit: Permit<policy::Connect>,
        mut admitted: Admitted,
        now: Timestamp,
    ) -> Result<Connection, Violation> {
        let trace = self.0.uuid();
        let versions = &self.0.versions;
        loop {
            let found = self.0.directory.claim(&admitted.client_id);
            let cell = found.ok_or_else(|| no_room(self.0.dialect.limits()))?;
            // After the claim: the number of a cell is remembered before it leaves the directory.
            let remembered = versions.find(admitted.client_id.as_str(), now);
            admitted.version_number = remembered.map_or(0, |(_, number)| number);
            // None: the cell left the directory between our finding it and our entering it. Look again.
            if let Some(taken) = self.0.sit_down(&cell, &admitted, &trace, now) {
                if taken.is_ok() {
                    // The seat has it from now on.
                    versions.forget(admitted.client_id.as_str(), &admitted.version_number);
                }
                return taken.map(|taken| self.seated(cell, admitted, taken, &trace, now));
            }
        }
    }

    /// Deals with what sitting down brought about.
    fn seated(
        &self,
        cell: Arc<Cell>,
        admitted: Admitted,
        taken: Taken,
        trace: &str,
        now: Timestamp,
    ) -> Connection {
        let inner = &self.0;
        taken.waker.into_iter().for_each(Waker::wake);
        if let Some(ended) = taken.ousted {
            let fault = Fault::TakenOver;
            let peer = admitted.standing.bearer.peer;
            let detail = &format!("the client id connected again from {peer}");
            let remedy = &format!(
                "client id `{}` is also used by {}: give every device its own client id, or let the device close its old \
                 connection before it opens a new one",
                admitted.client_id,
                peer.ip()
            );
            // [MQTT-3.1.3-9] a session that is thrown away does not let its will wait.
            let (over, remedy) = (taken.over.is_some(), Some(remedy as &dyn std::fmt::Display));
            let departure = Departure { over, remedy, ..Departure::by(fault, detail, trace) };
            let will = departure.will && !mutation::is(Mutation::NoWillOnTakeover);
            inner.conclude(&cell, ended, &Departure { will, ..departure }, now);
        }
        if let Some(over) = &taken.over {
            inner.replaced(&cell, over, now);
        }
        if let Some(waited) = taken.will {
            inner.publish_will(&cell, &waited.standing, &waited.will, now);
        }
        let Admitted { terms, standing, .. } = admitted;
        inner.await_renewal(&standing);
        let connection = Connection::new(self.clone(), cell, taken.seated, standing);
        inner.report_connected(&connection, &terms, &taken.arrived, now);
        let Arrived { session_identifier, version_number, .. } = &taken.arrived;
        let standing = &connection.standing;
        let named = Named { standing, session_identifier, version_number: Some(*version_number) };
        inner.tell_connected(&named, now);
        if taken.arrived.queued > 1 && inner.dialect.has(Divergence::ReplayRate) {
            let detail =
                &format_args!("came back to {} waiting messages, ten a second", taken.arrived.queued);
            inner.diverges(Divergence::ReplayRate, connection.client(), "PUBLISH", detail, now);
        }
        let other = taken.over.as_ref().map(|over| over.session.version());
        if !terms.clean_start && other.is_some_and(|other| other != terms.version) {
            let (row, detail) =
                (Divergence::CrossVersionNoResume, &"came back with the other version of MQTT");
            inner.diverges(row, connection.client(), "CONNECT", detail, now);
        }
        inner.provoke_end(&connection, now);
        // A change that came between the check of the standing and the seat found nobody to turn away.
        if connection.standing.is_condemned() {
            let same = |live: &Live| Arc::ptr_eq(&live.standing, &connection.standing);
            let detail = &"its certificate or its policies changed while it connected";
            inner.oust(connection.cell(), same, Fault::CertificateNotActive, detail, now);
        }
        connection
    }
}

/// What sitting down brought about, to be dealt with outside the cell.
struct Taken {
    seated: Seated,
    arrived: Arrived,
    ousted: Option<Ended>,
    waker: Option<Waker>,
    /// A session that was thrown away.
    over: Option<Kept>,
    /// A will that was waiting for its delay, and does not wait any more.
    will: Option<Box<Delayed>>,
}

impl Inner {
    /// Nothing can refuse the connection any more: what waits for it may go out. Before, nothing is sent, so that nothing is
    /// told of and billed that a refused client does not get.
    ///
    /// True if messages of QoS 2 that the client may have were given up; nothing if it has lost its seat already.
    fn accept(&self, connection: &Connection, now: Timestamp) -> Option<bool> {
        let cell = connection.cell();
        let reports = cell.enter(|seat| {
            let (live, kept) = seat.of(connection.generation())?;
            let standing = live.standing.clone();
            let reports = self.resume(&mut kept.session, &mut live.talk, &standing, now);
            seat.accepted = true;
            // What is given up has to be written: until then the CONNECT may still be refused.
            let given_up = reports.iter().any(is_given_up);
            seat.before.take_if(|_| !given_up);
            Some(reports)
        })?;
        self.provoke_renumbering(cell, &reports, now);
        self.report_all(connection.client_id(), &reports, now);
        self.look_after(cell);
        self.kick_groups_of(cell);
        Some(reports.iter().any(is_given_up))
    }

    /// The client's own id, or a generated one.
    fn name(&self, terms: &Terms) -> Result<ClientId, Violation> {
        if let Some(client_id) = &terms.client_id {
            return Ok(client_id.clone());
        }
        self.generated_client_id().map_err(|error| Violation::new(Fault::ServerError, error.to_string()))
    }

    /// What the store says of the client; a certificate must be ACTIVE, an access key Active.
    async fn identify(
        &self,
        client_id: &ClientId,
        credential: &Credential,
        link: &Link,
        clock: Clock<'_>,
    ) -> Result<Arc<Standing>, Violation> {
        let bearer = Bearer {
            principal: credential.principal.clone(),
            certificate: credential.certificate.clone(),
            client_id: Some(client_id.clone()),
            peer: link.peer,
            server_name: link.server_name.clone(),
            grant: credential.grant.clone().map(Granted::new),
        };
        let standing = self.principals.lasting(bearer).await.map_err(|unread| {
            let now = clock();
            let error = self.unread(unread, now);
            self.store_failed(&format!("the identity of client {client_id}"), &error, now);
            Violation::new(Fault::ServerError, error.to_string())
        })?;
        // Whether it is within its validity the transport has checked, by the clock on the wall: ours never runs back.
        if standing.is_active() {
            return Ok(standing);
        }
        Err(Violation::new(Fault::CertificateNotActive, standing.inactivity()))
    }

    /// iot:Connect, and iot:Publish and iot:RetainPublish for the will.
    fn authorise_connect(
        &self,
        client: Client<'_>,
        terms: &Terms,
        standing: &Standing,
        now: Timestamp,
    ) -> Result<Permit<policy::Connect>, Refused> {
        let view = standing.view();
        let facts = ConnectFacts {
            persistent: terms.is_persistent(),
            last_will: terms.will.is_some(),
            last_will_topic: terms.will.as_ref().map(|will| will.topic.as_str()),
        };
        let refused = |fault, denial: policy::Denial<'_>| {
            self.tell_connect_failed(standing, fault, now);
            let remedy = denial.remedy();
            self.refuse_for(client, (fault, &denial), Some(&remedy), terms.version, now)
        };
        let client_id = if mutation::is(Mutation::ConnectsAsAnother) { "c" } else { client.client_id };
        let permit = view.authorizer.connect(client_id, facts, now);
        let permit = permit.map_err(|denial| refused(Fault::ConnectDenied, denial))?;
        if let Some(will) = &terms.will {
            let topic = if mutation::is(Mutation::AcceptsAnyWill) { "free/x" } else { will.topic.as_str() };
            view.authorizer.publish(topic, now).map_err(|denial| refused(Fault::WillDenied, denial))?;
            if will.retain || mutation::is(Mutation::WillAsksToRetain) {
                let retained = view.authorizer.retain_publish(topic, now);
                retained.map_err(|denial| refused(Fault::WillDenied, denial))?;
            }
        }
        Ok(permit)
    }

    fn refuse(&self, client: Client<'_>, violation: &Violation, version: Version, now: Timestamp) -> Refused {
        // client-id-dollar and its like: the fault does not tell which rule it was.
        if let Some(row) = violation.row.filter(|row| self.dialect.has(*row)) {
            self.diverges(row, client, "CONNECT", &violation.detail, now);
        }
        self.refuse_for(client, (violation.fault, &violation.detail), None, version, now)
    }

    /// Tells of the refusal and makes what goes over the wire.
    fn refuse_for(
        &self,
        client: Client<'_>,
        (fault, detail): (Fault, &dyn std::fmt::Display),
        remedy: Option<&dyn std::fmt::Display>,
        version: Version,
        now: Timestamp,
    ) -> Refused {
        let trace = self.uuid();
        self.report_connect_refused(client, (fault, detail), remedy, &trace, now);
        for divergence in self.dialect.shown_connect(fault, version) {
            self.diverges(divergence, client, "CONNECT", detail, now);
        }
        self.refusal(fault, version, &trace)
    }

    fn refusal(&self, fault: Fault, version: Version, trace: &str) -> Refused {
        let dialect::Answer::ConnAck(code) = self.dialect.answer_connect(fault, version) else {
            return Refused { packet: None, version };
        };
        let mut connack = ConnAck::new(code);
        if version == Version::V5 {
            connack.properties.reason_string =
                Text::try_from(fault.reason_text("CONNACK", trace).to_string()).ok();
        }
        Refused { packet: Some(Box::new(Packet::ConnAck(Box::new(connack)))), version }
    }

    /// Inside the cell: ousts who is there, resumes or replaces the session, begins the conversation. `None` if the
    /// cell has left the directory; refused if a CONNECT that came later has had the seat.
    fn sit_down(
        &self,
        cell: &Cell,
        admitted: &Admitted,
        trace: &str,
        now: Timestamp,
    ) -> Option<Result<Taken, Violation>> {
        let (fresh_id, generation, name) = (self.next_id(), self.next_id(), Arc::<str>::from(self.uuid()));
        let Admitted { terms, client_id, assigned, standing, local, .. } = admitted;
        cell.enter(|seat| {
            if seat.retired {
                return None;
            }
            if seat.arrival > admitted.arrival && !mutation::is(Mutation::SeatsTheOlder) {
                let detail = "a newer CONNECT of this client id had the seat before this one was decided";
                return Some(Err(Violation::new(Fault::TakenOver, detail)));
            }
            let oust = !mutation::is(Mutation::KeepsOldConnection);
            let ousted = oust.then(|| seat.oust(Fault::TakenOver, trace, &self.dialect, now));
            (seat.accepted, seat.arrival) = (false, admitted.arrival);
            let (ousted, waker) = ousted.flatten().unzip();
            let lives = |kept: &&Kept| kept.ends_at > now;
            let resumed =
                seat.kept.as_ref().filter(lives).is_some_and(|kept| self.resumes(&kept.session, terms));
            let mut over = if resumed { None } else { seat.kept.replace(self.fresh(fresh_id, terms)) };
            let kept = seat.kept.as_mut()?;
            // A will that is due goes out; what a session that is thrown away left to wait does not wait any more.
            let will = over.as_mut().unwrap_or(kept).will.take_if(|will| !resumed || will.due <= now);
            seat.before = resumed.then(|| Before::of(kept));
            seat.wills = seat.wills.saturating_add(u8::from(will.is_some()));
            let kept = seat.kept.as_mut()?;
            kept.session.resume_as(terms.version, terms.session_expiry, &self.dialect);
            kept.ends_at = Timestamp::NEVER;
            if terms.is_persistent() && self.journal.is_some() {
                kept.session.journal();
            }
            kept.session.attach();
            let connack = terms.connack(resumed, assigned.then_some(client_id), &self.dialect);
            let mut talk = Conversation::begin(terms.clone(), connack, &self.dialect, now);
            talk.share(&self.throttles.publishes_in, &self.throttles.publishes_out);
            let version_number = seat.next_version.unwrap_or(admitted.version_number);
            seat.next_version = Some(version_number + 1);
            let (subscriptions, queued) = (kept.session.subscription_count(), kept.session.queued());
            let (session_identifier, bytes) = (name.clone(), admitted.bytes);
            let arrived =
                Arrived { version_number, resumed, subscriptions, queued, session_identifier, bytes };
            let (session, version) = (kept.id, terms.version);
            let seated = Seated { generation, session, version, session_identifier: name.clone() };
            let standing = standing.clone();
            seat.live = Some(Live {
                generation,
                talk,
                waker: None,
                unsettled: 0,
                owed: 0,
                glance: standing.glance(),
                standing,
                since: now,
                until: admitted.ends.unwrap_or((Timestamp::NEVER, Fault::ServerShutdown)),
                session_identifier: name,
                version_number,
                local: *local,
                awaited: Vec::new(),
            });
            Some(Ok(Taken { seated, arrived, ousted, waker: waker.flatten(), over, will }))
        })
    }

    /// A new session. A persistent one is journaled, if there is a journal.
    fn fresh(&self, id: u64, terms: &Terms) -> Kept {
        let journaled = terms.is_persistent() && self.journal.is_some();
        let make = if journaled { Session::journaled } else { Session::new };
        let session = make(terms.version, terms.session_expiry, &self.dialect);
        let incarnation = if journaled { self.uuid().into() } else { NO_JOURNAL.clone() };
        Kept { id, session, incarnation, ended: None, ends_at: Timestamp::NEVER, will: None }
    }

    /// [MQTT-3.1.2-4] to [MQTT-3.1.2-6]; AWS does not resume across versions (cross-version-no-resume).
    fn resumes(&self, session: &Session, terms: &Terms) -> bool {
        let same = session.version() == terms.version || !self.dialect.has(Divergence::CrossVersionNoResume);
        !terms.clean_start && same
    }
}

/// A message of QoS 2 that the client may have, and that does not come again.
fn is_given_up(report: &Report) -> bool {
    report.qos == mqtt::QoS::ExactlyOnce && report.is_given_up()
}
