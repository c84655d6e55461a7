//! What nobody outside AWS knows for sure and no switch can settle: each question with the reading taken here.

/// A question without a usable source, and the reading that this broker takes.
#[derive(Clone, Copy, Debug)]
pub struct OpenQuestion {
    /// What is not known.
    pub question: &'static str,
    /// What this broker does.
    pub reading: &'static str,
    /// Whether it does so already.
    pub built: bool,
}

/// An open question about a language of AWS's, policies or templates. The crate that reads the language lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unconfirmed {
    /// A stable name.
    pub id: &'static str,
    /// What is not documented.
    pub question: &'static str,
    /// What that crate does.
    pub reading: &'static str,
}

/// Questions that are not rows of the table of divergences.
pub static OPEN_QUESTIONS: &[OpenQuestion] = &[
    OpenQuestion {
        question: "Order of the properties in a CONNACK",
        reading: "ascending property identifier; clients must not care",
        built: true,
    },
    OpenQuestion {
        question: "Texts of Reason Strings other than that of a denial, which was measured",
        reading: "PACKET:a sentence:trace id, in the form of the measured one",
        built: true,
    },
    OpenQuestion {
        question: "State of an MQTT 3.1.1 session when its client comes back with MQTT 5, and the reverse",
        reading: "the old session is discarded, Session Present is 0",
        built: true,
    },
    OpenQuestion {
        question: "RETAIN without permission for iot:RetainPublish",
        reading: "answered like a publish without permission",
        built: true,
    },
    OpenQuestion {
        question: "A Deny on a resource that an IoT action names and is not bound to",
        reading: "it denies; an Allow on what the path names still allows where AWS binds the action to no resource",
        built: true,
    },
    OpenQuestion { question: "Denied will topic", reading: "answered like a denied connect", built: true },
    OpenQuestion {
        question: "A client certificate past its end date",
        reading: "refused like one that is not ACTIVE: closed after the TLS handshake, without CONNACK",
        built: true,
    },
    OpenQuestion {
        question: "A connection whose certificate leaves ACTIVE: MQTT 5 code and delay",
        reading: "DISCONNECT 0x87 at once (AWS: within minutes)",
        built: true,
    },
    OpenQuestion {
        question: "Units of timestamp and certificateRegistrationTimestamp in $aws/events/certificates/registered/CA",
        reading: "milliseconds since 1970, the second one as text",
        built: true,
    },
    OpenQuestion {
        question: "Just-in-time registration by a CA certificate past its end date",
        reading: "refused, with a reason in the log",
        built: true,
    },
    OpenQuestion {
        question: "Certificates of whatever kind and order that a device sends behind its registered one",
        reading: "not looked at; all together have to fit in a handshake message of 64 KB",
        built: true,
    },
    OpenQuestion {
        question: "When a connection ends with the disconnectReason FORBIDDEN_ACCESS (AWS: for example a denied address)",
        reading: "never: a client that may not connect is refused at its CONNECT, and no event of a connection follows",
        built: true,
    },
    OpenQuestion {
        question: "Just-in-time registration when several registered CA certificates with one key fit",
        reading: "the one that the device sends behind its own; refused if it sends none",
        built: true,
    },
    OpenQuestion {
        question: "DeleteProvisioningTemplate while CA certificates name the template",
        reading: "the template goes; devices of the CA wait, and the log says why",
        built: true,
    },
    OpenQuestion {
        question: "DISCONNECT code of DeleteConnection for MQTT 5",
        reading: "0x98 administrative action",
        built: true,
    },
    OpenQuestion {
        question: "DeleteConnection for a client that is away and has a session",
        reading: "200: the session goes if cleanSession says so, and stays as it is otherwise",
        built: true,
    },
    OpenQuestion {
        question: "A direct message with confirmation whose client disconnects before its PUBACK",
        reading: "504 at once; the message is not sent again, not even to a persistent session",
        built: true,
    },
    OpenQuestion {
        question: "A direct message that the client answers with a PUBACK of MQTT 5 that carries an error code",
        reading: "confirmed: any PUBACK ends the delivery",
        built: true,
    },
    OpenQuestion {
        question: "A direct message for a client whose in-flight window is full or that takes no packet so large",
        reading: "429 for the window, 500 for the size",
        built: true,
    },
    OpenQuestion {
        question: "Domain configurations: one of authenticationType and applicationProtocol given, the other DEFAULT",
        reading: "400 InvalidRequestException: only both explicit, or both DEFAULT",
        built: true,
    },
    OpenQuestion {
        question: "Domain configurations of the default endpoints: whether their TLS settings can be updated",
        reading: "400 InvalidRequestException, as the API reference says",
        built: true,
    },
    OpenQuestion {
        question: "Proof that a customer owns a domain, for a certificate that no public CA signed",
        reading: "validationCertificateArn must exist, and is not needed",
        built: true,
    },
    OpenQuestion {
        question: "An imported certificate with another algorithm or other names where a domain is served by the old one",
        reading: "the old one stays in service, and the domain configuration shows INVALID with the reason",
        built: true,
    },
    OpenQuestion {
        question: "Whether the limit of 100 publishes a second is one pool or one for each direction",
        reading: "one for each direction, which refuses less",
        built: true,
    },
    OpenQuestion {
        question: "How a rate is measured: a fixed second, a sliding one, or a bucket",
        reading: "a bucket that holds a second's worth and fills at the rate",
        built: true,
    },
    OpenQuestion {
        question: "Messages beyond a connection's 100 a second with QoS 1: discarded, or sent later",
        reading: "sent later, as long as the session lasts; QoS 0 is discarded",
        built: true,
    },
    OpenQuestion {
        question: "Whether a CONNECT that the policies refuse counts for the rate of its client id",
        reading: "it does not, so that nobody can keep another client away; it counts for the account",
        built: true,
    },
    OpenQuestion {
        question: "Whether the upgrade to a WebSocket without any credential is refused at once",
        reading: "it waits for CONNECT, whose user name may name a custom authorizer: AWS's SDKs say it nowhere else",
        built: true,
    },
    OpenQuestion {
        question: "Whether a WebSocket URL that signs its session token is accepted",
        reading: "it is; so is one that appends the token after signing, as the AWS SDKs do",
        built: true,
    },
    OpenQuestion {
        question: "5 KB in billing: 5120 or 5000 bytes; prices of the upper tiers and of rules",
        reading: "5120 bytes, a switch of [metering]; the usual prices, marked in the price list",
        built: true,
    },
    OpenQuestion {
        question: "Charges for shadow topics, lifecycle events, repeated deliveries, refused connects, early pings",
        reading: "switches of [metering], with the defaults of the reference of metering",
        built: true,
    },
    OpenQuestion {
        question: "Rounding of connection minutes: each connection, or the total of a device",
        reading: "each connection is rounded up by itself, which is never less",
        built: true,
    },
    OpenQuestion {
        question: "Size of the record of a registry operation that is billed by 1 KB",
        reading: "the longer body of request and answer",
        built: true,
    },
    OpenQuestion {
        question: "Thing, and so billing group, to which a client's usage is attributed if no thing is associated with it",
        reading: "a thing of the client id's name, else the only one to which its principal is attached, else none",
        built: true,
    },
    OpenQuestion {
        question: "AddThingToBillingGroup for a thing that is in another billing group",
        reading: "refused with InvalidRequestException, so that nothing is taken from a group unseen",
        built: true,
    },
    OpenQuestion {
        question: "DeleteBillingGroup for a group that has things",
        reading: "its things leave it, as with thing groups",
        built: true,
    },
    OpenQuestion {
        question: "Which carrier wins when several give a custom authorizer's name, token or signature",
        reading: "each is taken from the HTTP headers, else the URL's query, else the MQTT user name's",
        built: true,
    },
    OpenQuestion {
        question: "A carrier that gives a custom authorizer's name, token or signature twice, or longer than TestInvokeAuthorizer takes",
        reading: "two different values, or a longer one, refuse the client",
        built: true,
    },
    OpenQuestion {
        question: "What + means in the query of a URL or user name that carries a token",
        reading: "a space, as in HTML forms; AWS's page asks for percent-encoding",
        built: true,
    },
    OpenQuestion {
        question: "Status of an authorizer that is created without one",
        reading: "INACTIVE",
        built: true,
    },
    OpenQuestion {
        question: "SetDefaultAuthorizer while another authorizer is the default",
        reading: "ResourceAlreadyExistsException; naming the same one again succeeds",
        built: true,
    },
    OpenQuestion {
        question: "DeleteAuthorizer of an INACTIVE authorizer that is the default",
        reading: "DeleteConflictException",
        built: true,
    },
    OpenQuestion {
        question: "Whether the keys given to UpdateAuthorizer are added to those that are there",
        reading: "they take their place",
        built: true,
    },
    OpenQuestion {
        question: "Types that an authorizer's function may answer",
        reading: "as documented, numbers whole and without quotes; unknown members are ignored, doubled ones refused",
        built: true,
    },
    OpenQuestion {
        question: "TestInvokeAuthorizer with a context, for an authorizer that wants a signed token",
        reading: "the token is looked for in the context as in a connection",
        built: true,
    },
    OpenQuestion {
        question: "Log levels: which wins of several targets that fit one entry",
        reading: "CLIENT_ID, PRINCIPAL_ID, SOURCE_IP, THING_GROUP (the loudest of several), type of event, DEFAULT",
        built: true,
    },
    OpenQuestion {
        question: "Log levels of a THING_GROUP: whose entries they rule",
        reading: "those of clients whose client id is the name of a thing in the group itself",
        built: true,
    },
    OpenQuestion {
        question: "SetV2LoggingOptions without roleArn or defaultLogLevel",
        reading: "they stay as they were; the first call needs both, unless it disables all logs",
        built: true,
    },
    OpenQuestion {
        question: "DeleteV2LoggingLevel of a level that is not there",
        reading: "200",
        built: true,
    },
    OpenQuestion {
        question: "SetLoggingOptions beside SetV2LoggingOptions",
        reading: "one set of options: the old pair sees its role and its default level",
        built: true,
    },
];
