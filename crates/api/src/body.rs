//! Reading a body within bounds.

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body;

/// How much of a body that is too large is still read and thrown away, so that a peer which writes it all before it
/// reads gets its answer. What is larger gets the end of the connection.
const DISCARDED: usize = 2 * 1024 * 1024;

/// The bounds of a body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Bytes of a JSON body.
    pub json_bytes: usize,
    /// Bytes of a raw payload.
    pub payload_bytes: usize,
    /// How long a body may take to arrive.
    pub patience: Duration,
}

/// Why there is no body.
#[derive(Debug)]
pub enum Unread {
    /// It is larger than the limit.
    TooLarge,
    /// It took too long.
    TooSlow,
    /// The transport failed, or the framing is wrong.
    Broken(String),
}

/// Reads a whole body of at most `limit` bytes within `patience`.
pub async fn read<B>(body: B, limit: usize, patience: Duration) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes>,
    B::Error: fmt::Display,
{
    match tokio::time::timeout(patience, collect(body, limit)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Unread::TooSlow),
    }
}

async fn collect<B>(body: B, limit: usize) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes>,
    B::Error: fmt::Display,
{
    let mut body = pin!(body);
    let mut kept = BytesMut::new();
    let mut size = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Unread::Broken(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        size = size.saturating_add(data.len());
        if size <= limit {
            kept.extend_from_slice(&data);
        } else if size > limit.saturating_add(DISCARDED) {
            break;
        }
    }
    if size > limit { Err(Unread::TooLarge) } else { Ok(kept.freeze()) }
}
