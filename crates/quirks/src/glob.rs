//! Patterns of client ids: `*` is any text, `?` any one character, everything else itself.

/// Whether the pattern fits the whole text. No allocation, at most pattern times text steps.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // Behind the last star, and where in the text it was tried.
    let mut retry = None;
    loop {
        let from = text.clone();
        match (pattern.next(), text.next()) {
            (Some('*'), _) => {
                text = from.clone();
                retry = Some((pattern.clone(), from));
            }
            (None, None) => return true,
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                // The star takes one character more, if there is one.
                let Some((behind, mut from)) = retry else { return false };
                if from.next().is_none() {
                    return false;
                }
                (pattern, text) = (behind.clone(), from.clone());
                retry = Some((behind, from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Obviously right, and slow.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len()).any(|taken| naive(rest, &text[taken..])),
            (['?', rest @ ..], [_, left @ ..]) => naive(rest, left),
            ([wanted, rest @ ..], [found, left @ ..]) => wanted == found && naive(rest, left),
            _ => false,
        }
    }

    #[test]
    fn stars_and_question_marks() {
        assert!(fits("*", "") && fits("sensor-*", "sensor-") && fits("*-7", "sensor-7"));
        assert!(fits("s?nsor", "sénsor") && !fits("s?nsor", "snsor") && !fits("sensor", "sensor-7"));
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_naive_one(pattern in "[ab*?]{0,7}", text in "[abc]{0,9}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(fits(&pattern, &text), naive(&p, &t));
        }
    }
}
