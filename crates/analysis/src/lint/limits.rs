//! Subscribe with a wildcard, and Receive that is not limited to match.
//!
//! `topicfilter/x*` grants filters by their spelling. What a filter brings is asked of `iot:Receive` for each message, so
//! that is where a limit holds; where Receive allows more than Subscribe spells, the limit is at SUBSCRIBE alone.

use policy::{Effect, Piece, StatementView};

use super::{Finding, Subject, rules};
use crate::ask::{Products, Question, combined};
use crate::cohort::Association;
use crate::machine::{Machine, Node, Tape};
use crate::pattern::Pattern;
use crate::reach::reading;
use crate::search::Found;
use crate::shape::Shape;
use crate::witness::{Actor, Answer};
use crate::world::{Lean, World};

/// At the first Subscribe statement with a wildcard, if there is a topic that none of them spells.
pub(super) fn check(subject: &Subject<'_>) -> Option<Finding> {
    let statements: Vec<StatementView<'_>> = subject
        .document
        .views()
        .filter(|view| view.effect() == Effect::Allow && view.covers("iot:Subscribe"))
        .collect();
    let wild = |view: &&StatementView<'_>| {
        view.resources().any(|r| r.pieces().iter().any(|piece| matches!(piece, Piece::Any | Piece::One)))
    };
    let first = statements.iter().find(wild)?;
    if statements.iter().any(|view| view.negates_resources()) {
        return None;
    }
    let (may_bring, may_exceed) = by_spelling(subject);
    for brought in [true, false] {
        if !(if brought { may_bring } else { may_exceed }) {
            continue;
        }
        let each = subject.cohort.distinct_associations();
        let answer = each
            .into_iter()
            .fold(Answer::No, |answer, association| answer.or(|| beyond(subject, association, brought)));
        let Answer::Yes(witness) = answer else { continue };
        let (reason, severe) = match brought {
            true => ("a filter that the wildcard grants brings topics that Subscribe does not spell", true),
            false => (
                "Receive allows topics that Subscribe does not spell: what limits them is asked at SUBSCRIBE only, \
                       and subscriptions from before a change go on",
                false,
            ),
        };
        let shown = match severe {
            true => super::whole::shown(&witness),
            false => super::whole::shown(&witness) + " may be received, and may not be subscribed to",
        };
        let finding = subject.at_statement(rules::OPEN_RECEIVE, first.number(), reason.into());
        let fix = "Limit iot:Receive to topic/... with the same patterns as iot:Subscribe.";
        return Some(finding.witness(shown).fix(fix));
    }
    None
}

/// Whether filters may bring more than Subscribe spells, and whether Receive may allow more, as far as the spelling shows:
/// most policies need no search.
fn by_spelling(subject: &Subject<'_>) -> (bool, bool) {
    let of = |action: &str, kind: &str| -> Vec<Pattern> {
        let views = subject.document.views().filter(|v| v.effect() == Effect::Allow && v.covers(action));
        let resources = views.flat_map(|view| view.resources().collect::<Vec<_>>());
        resources.filter_map(|resource| Pattern::spelled(&|_| None, &resource, kind)).collect()
    };
    let brought: Vec<Option<Pattern>> =
        of("iot:Subscribe", "topicfilter/").iter().map(Pattern::brings).collect();
    let spelled = |topics: &Pattern| brought.iter().flatten().any(|filters| filters.covers(topics));
    let negated = subject.document.views().any(|v| v.covers("iot:Receive") && v.negates_resources());
    let within = of("iot:Receive", "topic/").iter().all(|topics| spelled(&topics.without_share()));
    (brought.contains(&None), negated || !within)
}

/// Whether there is a topic that may be received and that no Subscribe statement spells; `brought`: by a granted filter.
fn beyond(subject: &Subject<'_>, association: Association, brought: bool) -> Answer {
    let build = |world: &World<'_>| -> Option<Products> {
        let unspelled = Machine::new(Tape::Topic, true, &spelled(world)?)?;
        let dollar = world.letters.place('$')?;
        let mut plain = world.spell("topic/")?;
        plain.extend([Node::Except(dollar), Node::Any]);
        let outside = vec![unspelled, Machine::new(Tape::Topic, false, &[plain])?];
        if brought {
            let products = reading(world, None, None)?;
            let pairs = products.into_iter().filter(|(shape, _)| *shape == Shape::Pair);
            let with = |(shape, mut machines): (Shape, Vec<Machine>)| {
                machines.extend(outside.iter().cloned());
                (shape, machines)
            };
            return Some(pairs.map(with).collect());
        }
        let receive = world.permission(0, "iot:Receive", Lean::Wide).granted(Tape::Topic)?;
        let parts = [receive, vec![outside]];
        Some(combined(&parts).into_iter().map(|machines| (Shape::Topic, machines)).collect())
    };
    let check = |actors: &[Actor], found: &Found| {
        let Some(actor) = actors.first() else { return false };
        let granted = if brought { actor.may_subscribe(&found.filter) } else { true };
        granted && actor.may_receive(&found.filter, &found.topic) && !actor.may_subscribe(&found.topic)
    };
    subject.analyst.answer(&Question {
        devices: vec![(&subject.cohort, association)],
        texts: Vec::new(),
        assumed: Default::default(),
        connects: subject.document.views().any(|view| view.covers("iot:Connect")),
        same: false,
        build: &build,
        check: &check,
    })
}

/// What the Subscribe statements spell, as patterns of `topic/...`: `+` and `#` there are meant as MQTT means them, and the
/// name of a shared group is left out.
fn spelled(world: &World<'_>) -> Option<Vec<Vec<Node>>> {
    let of = world.permission(0, "iot:Subscribe", Lean::Wide);
    let (allow, ..) = of.parts();
    let (from, to) = (world.spell("topicfilter/")?, world.spell("topic/")?);
    let (plus, hash) = (Node::Letter(world.letters.place('+')?), Node::Letter(world.letters.place('#')?));
    let (slash, share) = (Node::Letter(world.slash()), world.spell("$share/")?);
    let mut all = Vec::new();
    for pattern in allow {
        let Some(name) = pattern.strip_prefix(&from[..]) else {
            all.push(pattern.clone());
            continue;
        };
        let name = match name.strip_prefix(&share[..]) {
            Some(rest) => rest.iter().position(|node| *node == slash).and_then(|at| rest.get(at + 1..))?,
            None => name,
        };
        let mqtt = name.iter().map(|node| match *node {
            node if node == plus => Node::AnyExcept(world.slash()),
            node if node == hash => Node::Any,
            node => node,
        });
        all.push(to.iter().copied().chain(mqtt).collect());
    }
    Some(all)
}
