//! Functions that answer what a test wrote down.

use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{FunctionFailed, Functions, Invoking, Line};

/// The only function that there is.
pub(crate) const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:auth";

/// Answers the same to everybody, and remembers what it was asked.
#[derive(Default)]
pub(crate) struct Scripted {
    answer: Mutex<Option<Result<Bytes, FunctionFailed>>>,
    asked: Mutex<Vec<(String, serde_json::Value)>>,
    lines: Mutex<Vec<Line>>,
}

impl Scripted {
    /// From now on the answer is this.
    pub fn answer(&self, answer: Result<&str, FunctionFailed>) {
        *self.answer.lock() = Some(answer.map(|text| Bytes::copy_from_slice(text.as_bytes())));
    }

    /// The ARNs and events since this was asked last.
    pub fn asked(&self) -> Vec<(String, serde_json::Value)> {
        std::mem::take(&mut *self.asked.lock())
    }

    /// Where the questions since this was asked last waited.
    pub fn lines(&self) -> Vec<Line> {
        std::mem::take(&mut *self.lines.lock())
    }
}

impl Functions for Scripted {
    fn invoke<'a>(&'a self, arn: &'a str, payload: Bytes, limit: Duration, line: Line) -> Invoking<'a> {
        assert_eq!(limit, Duration::from_secs(5));
        self.lines.lock().push(line);
        self.asked.lock().push((arn.to_owned(), serde_json::from_slice(&payload).unwrap()));
        let answer = self.answer.lock().clone().unwrap_or(Err(FunctionFailed::NotConfigured));
        Box::pin(std::future::ready(answer))
    }
}
