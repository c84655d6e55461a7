//! Whether a pattern contains a set, told by members of the set whose wildcards are characters that nobody spells.

use policy::{Effect, Piece, StatementView};

/// Stands for any one name.
pub(crate) const NAME: &str = "\u{E000}\u{E001}";

/// Whether a pattern without variables matches a text. Time is the product of the lengths.
pub(crate) fn matches(pieces: &[Piece<'_>], text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let mut at = vec![false; chars.len() + 1];
    if let Some(first) = at.first_mut() {
        *first = true;
    }
    for piece in pieces {
        at = match piece {
            Piece::Any => at
                .iter()
                .scan(false, |seen, here| {
                    *seen |= here;
                    Some(*seen)
                })
                .collect(),
            Piece::One => std::iter::once(false).chain(at.iter().take(chars.len()).copied()).collect(),
            Piece::Text(text) => text.chars().fold(at, |at, c| {
                let read = at.iter().zip(&chars).map(|(here, read)| *here && *read == c);
                std::iter::once(false).chain(read).collect()
            }),
            Piece::Variable(_) => return false,
        };
    }
    at.last().copied().unwrap_or(false)
}

/// Whether an Allow statement on an action reaches a whole last field such as `topic/a`.
pub(crate) fn grants(statement: StatementView<'_>, action: &str, name: &str) -> bool {
    statement.effect() == Effect::Allow && speaks(statement, action, name)
}

/// Whether a statement on an action reaches a whole last field.
pub(crate) fn speaks(statement: StatementView<'_>, action: &str, name: &str) -> bool {
    statement.covers(action)
        && statement.resources().any(|resource| matches(&resource.pieces(), name))
            != statement.negates_resources()
}

/// A name that a pattern matches: wildcards are a name, variables too.
pub(crate) fn sample(pieces: &[Piece<'_>]) -> String {
    let text = |piece: &Piece<'_>| match piece {
        Piece::Text(text) => (*text).to_owned(),
        Piece::Any => NAME.to_owned(),
        Piece::One => "\u{E000}".to_owned(),
        Piece::Variable(_) => NAME.to_owned(),
    };
    pieces.iter().map(text).collect()
}
