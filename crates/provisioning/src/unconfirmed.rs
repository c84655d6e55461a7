//! Questions that AWS's pages leave open, and the reading that this crate takes.

use dialect::Unconfirmed;

const fn open(id: &'static str, question: &'static str, reading: &'static str) -> Unconfirmed {
    Unconfirmed { id, question, reading }
}

/// Every open question of the template grammar that the code had to answer.
pub const UNCONFIRMED: &[Unconfirmed] = &[
    open(
        "override-default",
        "What happens to a resource that exists when the template has no OverrideSettings for it?",
        "DO_NOTHING: what is there stays.",
    ),
    open(
        "exclusive-attachment",
        "Which property attaches the certificate to its thing alone?",
        "ThingPrincipalType of the certificate, with the values of AttachThingPrincipal.",
    ),
    open(
        "unknown-members",
        "Are members that the grammar does not name ignored?",
        "No, they are refused with their place. So is a Ref to a parameter that is not declared, the implicit ones \
         excepted.",
    ),
    open(
        "unreplaced",
        "What does a single registration put where a parameter has no value?",
        "The JSON text of the Ref, which no thing, type or group can be called, so that the registration fails with \
         a message that shows it; in Fn::Sub the variable as written.",
    ),
    open(
        "jitp-functions",
        "May templates other than FLEET_PROVISIONING use functions beside Ref?",
        "Yes, all of them but Fn::FindInMap, which has nothing to look in: Mappings and DeviceConfiguration are for \
         FLEET_PROVISIONING only.",
    ),
    open(
        "values-in-documents",
        "What becomes of a parameter's value with quotation marks that Fn::Join or Fn::Sub puts into a PolicyDocument?",
        "It fails the plan, as does one with a backslash or a control character: a device that chooses the value must \
         not write its own policy. Where a device may choose values (not in RegisterThing) *, ?, $, + and # fail too: \
         they would widen it. A Ref that is the whole document is taken as it is.",
    ),
    open(
        "repeated-subject-attribute",
        "Which value does an implicit parameter take when the subject has the attribute several times?",
        "The first.",
    ),
];
