//! Many clients at once: getting them ready a few at a time, and whether this process may have so many.

use std::future::Future;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::fault::BenchError;

/// Clients that get ready at the same time.
const LANES: usize = 32;
/// Descriptors that the process needs besides its connections.
const SPARE_DESCRIPTORS: u64 = 32;

/// Runs `make` for each number and gives what it made, in order.
///
/// # Errors
/// The first of any.
pub async fn gather<T, F, W>(count: u32, make: F) -> Result<Vec<T>, BenchError>
where
    F: Fn(u32) -> W,
    W: Future<Output = Result<T, BenchError>> + Send + 'static,
    T: Send + 'static,
{
    stream::iter(0..count)
        .map(|number| tokio::spawn(make(number)))
        .buffered(LANES)
        .map(|joined| joined.unwrap_or_else(|error| Err(BenchError::NotTheLoad(error.to_string()))))
        .try_collect()
        .await
}

/// Takes as many descriptors as the process may have.
///
/// # Errors
/// [`BenchError::Descriptors`] when that is too few for so many connections: before any is made.
pub fn descriptors(connections: u64) -> Result<(), BenchError> {
    let allowed = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(u64::MAX);
    let needed = connections.saturating_add(SPARE_DESCRIPTORS);
    if needed <= allowed { Ok(()) } else { Err(BenchError::Descriptors(needed, allowed)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn results_come_in_order_and_the_first_error_ends_it() {
        let numbers = gather(100, |number| async move { Ok(number) }).await.unwrap();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
        let failed = gather(100, |number| async move {
            if number < 40 { Ok(()) } else { Err(BenchError::Option(number.to_string())) }
        });
        assert_eq!(failed.await.unwrap_err().to_string(), "40");
    }

    #[test]
    fn too_many_connections_are_told_before_they_are_made() {
        assert!(descriptors(1).is_ok());
        let text = BenchError::Descriptors(100_032, 20_000).to_string();
        assert!(text.contains("ulimit -n 100032"), "{text}");
    }
}
