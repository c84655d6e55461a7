//! Questions that AWS's pages leave open, and the reading that this crate takes: the safe side.

use dialect::Unconfirmed;

const fn open(id: &'static str, question: &'static str, reading: &'static str) -> Unconfirmed {
    Unconfirmed { id, question, reading }
}

/// Every open question of the policy language that the code had to answer.
pub const UNCONFIRMED: &[Unconfirmed] = &[
    open(
        "policy-version",
        "Are documents accepted whose Version is 2008-10-17 or absent?",
        "Yes, and as in IAM they have no variables: ${...} is literal text. Other values are malformed.",
    ),
    open(
        "policy-grammar",
        "Which of IAM's elements are accepted besides those in AWS IoT samples?",
        "Id, Sid, NotAction and a single Statement object are, as in IAM. Two statements may not share a Sid. \
         Principal, NotPrincipal, unknown and duplicate elements, and empty lists of statements, actions or \
         resources are malformed.",
    ),
    open(
        "policy-malformed-texts",
        "Which texts does MalformedPolicyException carry beyond the two that were seen?",
        "Faults of structure say Invalid policy syntax; a document that is too long says so in the words that \
         TestInvokeAuthorizer uses.",
    ),
    open(
        "policy-size",
        "Does white space inside strings count towards the 2048 characters?",
        "No: space, tab, carriage return and line feed never count.",
    ),
    open(
        "action-case",
        "Do action and key names have case?",
        "No, as in IAM. Elements, operators, resources and names of thing attributes do.",
    ),
    open(
        "action-names",
        "Are unknown action names refused?",
        "No, they never match; but an action must be * or have a vendor prefix without wildcards, as in IAM.",
    ),
    open(
        "resource-fields",
        "Do wildcards cross the fields of an ARN?",
        "No, as in IAM; the last field keeps its colons. A colon inside a variable's value divides nothing.",
    ),
    open(
        "variable-wildcards",
        "Is a * or ? in a client id a wildcard when the client id is substituted?",
        "No, every value is literal text.",
    ),
    open(
        "variable-missing",
        "What becomes of a list of resources if one names a variable without value?",
        "That resource matches nothing, the others count. Where not matching would permit something (an Allow with \
         NotResource or with a negated condition) the statement does not apply at all; a Deny does.",
    ),
    open(
        "variable-default",
        "Does ${name, 'default'} work?",
        "No: such a variable has no value. Without a closing brace ${ is literal text.",
    ),
    open(
        "variable-momentary",
        "May aws:CurrentTime, aws:EpochTime, iot:ConnectAttributes, iot:LastWillTopic, iot:Topic, \
         iot:IncludeSocketInformation and iot:ThingArn stand in texts?",
        "No, they have values only as condition keys.",
    ),
    open(
        "call-keys",
        "Have iot:Topic and iot:IncludeSocketInformation values in requests that do not give these parameters?",
        "iot:IncludeSocketInformation is false in a GetConnection without the parameter, which is its documented \
         default; iot:Topic is the plain topic of SendDirectMessage. Other actions have neither.",
    ),
    open(
        "variable-thing-alias",
        "Is iot:Thing.ThingName, seen in samples, the same as iot:Connection.Thing.ThingName?",
        "No: it has no value.",
    ),
    open(
        "exclusive-attached",
        "Is iot:Connection.Thing.IsAttached true for a certificate that a thing holds alone, if the client id is another \
         than the thing's name? Do the policies of the thing's groups count?",
        "Yes to both: the connection is associated with that thing.",
    ),
    open(
        "certificate-index",
        "Does the index of certificate variables start at 0 or at 1?",
        "At 0, as in the worked example: .1 is the second value. No index is the first value.",
    ),
    open(
        "certificate-available-keys",
        "Which spelling do the values of iot:Certificate.AvailableKeys have?",
        "Whole names such as iot:Certificate.Subject.CommonName, without index or List; all of them, not just five.",
    ),
    open(
        "certificate-unsubstitutable",
        "Are certificate values that cannot be substituted hidden from conditions too?",
        "No: as the value of a condition key they are compared like any other.",
    ),
    open(
        "condition-operators",
        "Which of IAM's condition operators work in AWS IoT policies?",
        "All but BinaryEquals, for which no key exists, with ForAllValues, ForAnyValue and IfExists; Null takes none \
         of these. Equals and Like are the same for ARNs. Negated operators hold for absent keys.",
    ),
    open(
        "condition-values",
        "Is a condition value of the wrong type refused when the policy is created?",
        "Yes, unless it contains a variable; then it matches nothing.",
    ),
    open(
        "condition-multivalued",
        "How does an operator without ForAllValues or ForAnyValue compare a key of several values?",
        "One of them must match; for negated operators none may.",
    ),
    open(
        "condition-dates",
        "Which spellings may dates have?",
        "YYYY-MM-DD, the same with THH:MM[:SS[.fff]] and Z or an offset, and whole seconds since 1970.",
    ),
    open(
        "cognito-retain",
        "Does iot:RetainPublish of an authenticated Cognito identity need AWS IoT policies too, as iot:Publish does?",
        "Yes: both the role and an attached policy must allow it.",
    ),
    open(
        "receive-shared",
        "Which topic is iot:Receive checked on for a delivery to a shared subscription?",
        "Allowed on topic/TOPIC or on topic/$share/NAME/TOPIC suffices; an explicit deny of either denies.",
    ),
    open(
        "test-authorization-resources",
        "What does TestAuthorization answer to several resources in one authInfo?",
        "One result: all must be allowed, and an explicit deny of one denies.",
    ),
    open(
        "test-authorization-added-and-skipped",
        "What if TestAuthorization is given a policy both to add and to skip?",
        "It is skipped.",
    ),
    open(
        "effective-policies-unattached",
        "Does GetEffectivePolicies count groups of a thing that the principal is not attached to?",
        "No: the answer is what a connection with the thing's name as client id has.",
    ),
];
