//! Pages of lists, and the tokens that lead from one to the next.
//!
//! A token is the place at which the page ended, in base64: opaque, bound to its list, and good for as long as the
//! list exists. The store scans from it, so pages neither repeat nor miss what was there all the time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use registry::limits;
use store::Key;

use crate::ApiError;

/// Longer than any token of ours, and what the service model allows for a marker.
const TOKEN_MAX: usize = 1024;

/// What the caller asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Where the page before ended.
    pub after: Option<Key>,
    /// How many at most; at least one.
    pub size: usize,
}

impl Page {
    /// Of a list whose rows are `prefix` and `more` parts; `size` as the caller gave it, else `default`.
    fn new(
        (prefix, more): (&Key, usize),
        token: Option<&str>,
        size: Option<i32>,
        default: usize,
    ) -> Result<Self, ApiError> {
        let after = token.map(read).transpose()?.map(|bytes| Key::from(Bytes::from(bytes)));
        if after.as_ref().is_some_and(|key| !is_row(key, prefix, more)) {
            return Err(bad_token());
        }
        Ok(Self { after, size: self::size(size, default)? })
    }

    /// For `marker` and `pageSize`: a list in the order of creation, whose rows end with time and name.
    ///
    /// # Errors
    /// InvalidRequest for a marker that this list did not give, and for a size that is none.
    pub fn marker(prefix: &Key, marker: Option<&str>, size: Option<i32>) -> Result<Self, ApiError> {
        Self::new((prefix, 2), marker, size, limits::PAGE_MARKER)
    }

    /// For `nextToken` and `maxResults`: a list whose rows end with a name.
    ///
    /// # Errors
    /// InvalidRequest for a token that this list did not give, and for a size that is none.
    pub fn token(prefix: &Key, token: Option<&str>, size: Option<i32>) -> Result<Self, ApiError> {
        Self::new((prefix, 1), token, size, limits::PAGE_TOKEN)
    }

    /// One row more than fits, to know whether there is another page.
    pub fn scan_limit(&self) -> usize {
        self.size.saturating_add(1)
    }

    /// Cuts what a scan of [`Self::scan_limit`] rows found, and answers the token of the next page.
    pub fn cut<R>(&self, rows: &mut Vec<R>, key: impl Fn(&R) -> Key) -> Option<String> {
        if rows.len() <= self.size {
            return None;
        }
        rows.truncate(self.size);
        rows.last().map(|last| write(key(last).as_bytes()))
    }
}

/// True if `key` is `prefix` and so many parts more, none of them empty, in the one way in which they are written.
fn is_row(key: &Key, prefix: &Key, more: usize) -> bool {
    let (parts, shared) = (key.parts(), prefix.parts().len());
    let names: Vec<&str> = parts.iter().map(String::as_str).collect();
    key.as_bytes().starts_with(prefix.as_bytes())
        && names.len() == shared + more
        && names.iter().skip(shared).all(|name| !name.is_empty())
        && Key::of(&names) == *key
}

/// The size of a page: 1 to 250, or the default.
///
/// # Errors
/// InvalidRequest.
pub fn size(asked: Option<i32>, default: usize) -> Result<usize, ApiError> {
    let Some(asked) = asked else { return Ok(default) };
    let size = usize::try_from(asked).ok().filter(|size| (1..=limits::PAGE_MAX).contains(size));
    size.ok_or_else(|| ApiError::invalid(format!("{asked} is not a page size: 1 to {}", limits::PAGE_MAX)))
}

/// A token from its content.
pub fn write(content: &[u8]) -> String {
    STANDARD.encode(content)
}

/// A token's content.
///
/// # Errors
/// InvalidRequest for what is no base64, or longer than 1024 bytes.
pub fn read(token: &str) -> Result<Vec<u8>, ApiError> {
    if token.len() > TOKEN_MAX {
        return Err(bad_token());
    }
    STANDARD.decode(token).map_err(|_| bad_token())
}

pub(crate) fn bad_token() -> ApiError {
    ApiError::invalid("The marker or token is not one that this list gave")
}

/// A page of a short list that was read whole: the token is how many came before.
///
/// # Errors
/// InvalidRequest for a token that is none.
pub fn of_whole<T>(
    items: Vec<T>,
    token: Option<&str>,
    size: usize,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let skip = match token {
        None => 0,
        Some(token) => String::from_utf8(read(token)?)
            .ok()
            .and_then(|text| text.strip_prefix('+')?.parse::<usize>().ok())
            .ok_or_else(bad_token)?,
    };
    let end = skip.saturating_add(size);
    let next = (end < items.len()).then(|| write(format!("+{end}").as_bytes()));
    Ok((items.into_iter().skip(skip).take(size).collect(), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_its_list() {
        let list = Key::of(&["things"]);
        let token = write(Key::of(&["things", "b"]).as_bytes());
        let page = Page::token(&list, Some(&token), Some(2)).unwrap();
        assert_eq!(page, Page { after: Some(Key::of(&["things", "b"])), size: 2 });
        for bad in ["made up", "!", &write(b"other"), &"A".repeat(1028)] {
            assert!(Page::token(&list, Some(bad), None).is_err(), "{bad}");
        }
        for bad in [&["things"] as &[&str], &["things", ""], &["things", "b", "c"], &["other", "b"]] {
            assert!(Page::token(&list, Some(&write(Key::of(bad).as_bytes())), None).is_err(), "{bad:?}");
        }
        assert_eq!(Page::token(&list, None, None).unwrap().size, limits::PAGE_TOKEN);
        assert_eq!(Page::marker(&list, None, None).unwrap().size, limits::PAGE_MARKER);
        for bad in [0, -1, 251] {
            assert!(Page::token(&list, None, Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_of_everything_takes_no_other_lists_tokens() {
        let token = |content: &[u8]| Page::token(&Key::EMPTY, Some(&write(content)), None);
        assert!(token(Key::of(&["b"]).as_bytes()).is_ok());
        for bad in [b"".as_slice(), b"b", b"\0", b"+50", b"b\0c\0", b"b\0c", b"\xFE\0", b"b\0\xFF"] {
            assert!(token(bad).is_err(), "{bad:?}");
        }
        let order = Key::of(&["policies", "", "up"]);
        let marker = |key: Key| Page::marker(&order, Some(&write(key.as_bytes())), None);
        assert!(marker(order.then("00000000000000000001").then("p")).is_ok());
        assert!(marker(order.then("00000000000000000001")).is_err());
    }

    #[test]
    fn the_last_page_has_no_token() {
        let page = Page { after: None, size: 2 };
        let key = |name: &&str| Key::of(&[name]);
        let mut rows = vec!["a", "b", "c"];
        let token = page.cut(&mut rows, key).unwrap();
        assert_eq!(rows, ["a", "b"]);
        assert_eq!(read(&token).unwrap(), Key::of(&["b"]).as_bytes());
        let mut rows = vec!["a", "b"];
        assert_eq!(page.cut(&mut rows, key), None);
    }

    #[test]
    fn short_lists_are_cut_by_number() {
        let (items, token) = of_whole(vec![1, 2, 3], None, 2).unwrap();
        assert_eq!(items, [1, 2]);
        assert_eq!(of_whole(vec![1, 2, 3], token.as_deref(), 2).unwrap(), (vec![3], None));
        assert!(of_whole(vec![1], Some("AAAA"), 2).is_err());
    }
}
