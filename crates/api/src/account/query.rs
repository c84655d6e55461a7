//! The input of the query protocol: a form.

use percent_encoding::percent_decode;
use serde_json::{Map, Value};

use crate::answer::Fault;

/// The parameters of a form or of a query string by name; all values are texts.
///
/// # Errors
/// Something is not UTF-8, or stands twice.
pub(crate) fn parameters(form: &[u8]) -> Result<Map<String, Value>, Fault> {
    let mut found = Map::new();
    for pair in form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let middle = pair.iter().position(|byte| *byte == b'=');
        let (name, value) = middle.and_then(|at| pair.split_at_checked(at)).unwrap_or((pair, b"="));
        let (name, value) = (text(name)?, text(value.get(1..).unwrap_or_default())?);
        if found.insert(name.clone(), value.into()).is_some() {
            return Err(Fault::new(
                400,
                "ValidationException",
                format!("The parameter {name:?} stands twice."),
            ));
        }
    }
    Ok(found)
}

/// `+` is a space, as in forms.
fn text(raw: &[u8]) -> Result<String, Fault> {
    let spaced: Vec<u8> = raw.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let decoded: Vec<u8> = percent_decode(&spaced).collect();
    String::from_utf8(decoded)
        .map_err(|_| Fault::new(400, "ValidationException", "A parameter holds bytes that are not UTF-8."))
}
