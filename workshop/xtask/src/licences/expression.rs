//! SPDX licence expressions: `MIT OR Apache-2.0`, `(A AND B) OR C`, `Apache-2.0 WITH LLVM-exception`, and the old
//! `MIT/Apache-2.0`.

use std::collections::BTreeSet;

/// Whether the expression can be satisfied by allowed licences alone. An expression nobody understands is refused.
pub(super) fn allows(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    matches!(reader.any(), Some(true)) && reader.words.is_empty()
}

struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a BTreeSet<String>,
}

impl Reader<'_> {
    /// Alternatives: one that is allowed is enough.
    fn any(&mut self) -> Option<bool> {
        let mut answer = self.all()?;
        while self.take("OR") {
            let next = self.all()?;
            answer = answer || next;
        }
        Some(answer)
    }

    /// Conjunction: each must be allowed. Binds tighter than `OR`.
    fn all(&mut self) -> Option<bool> {
        let mut answer = self.one()?;
        while self.take("AND") {
            let next = self.one()?;
            answer = answer && next;
        }
        Some(answer)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let answer = self.any()?;
            return self.take(")").then_some(answer);
        }
        let mut licence = self.next()?.to_owned();
        if self.take("WITH") {
            licence = format!("{licence} WITH {}", self.next()?);
        }
        Some(self.allowed.contains(&licence))
    }

    fn next(&mut self) -> Option<&str> {
        let (word, rest) = self.words.split_first()?;
        self.words = rest;
        Some(word)
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.words.first() == Some(&wanted);
        if found {
            self.words = self.words.get(1..).unwrap_or_default();
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(expression: &str) -> bool {
        let list = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"];
        allows(expression, &list.iter().map(|licence| (*licence).to_owned()).collect())
    }

    #[test]
    fn alternatives_need_one_and_conjunctions_all() {
        assert!(allowed("MIT") && allowed("GPL-3.0 OR MIT") && allowed("MIT/GPL-3.0"));
        assert!(!allowed("GPL-3.0") && !allowed("MIT AND GPL-3.0"));
        assert!(allowed("ISC AND (GPL-3.0 OR MIT)") && !allowed("ISC AND (GPL-3.0 OR LGPL-3.0)"));
        assert!(allowed("Apache-2.0 WITH LLVM-exception") && !allowed("Apache-2.0"));
    }

    #[test]
    fn what_nobody_understands_is_refused() {
        assert!(!allowed("") && !allowed("(MIT") && !allowed("MIT MIT") && !allowed("OR"));
    }
}
