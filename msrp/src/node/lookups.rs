//! Shell: addresses of host names. The operating system looks a name up on one of the runtime's few blocking threads and
//! cannot be stopped, so that only some lookups run at a time.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use tokio::sync::Semaphore;

/// The right to look a name up; waited for in the order asked.
pub(super) struct Lookups(Arc<Semaphore>);

impl Lookups {
    /// `most`: lookups at a time, at least 1.
    pub(super) fn new(most: usize) -> Lookups {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Lookups(Arc::new(Semaphore::new(most)))
    }

    /// The host's addresses. May take as long as its name servers like.
    pub(super) async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let host = host.to_owned();
        self.run(async move {
            let addresses = tokio::net::lookup_host((host.as_str(), port)).await?;
            Ok(addresses.collect())
        })
        .await
    }

    /// Runs the lookup when it is its turn. Nobody's wish is needed after that: it goes on and keeps its place until it
    /// ends, as its thread does.
    async fn run<T: Send + 'static>(
        &self,
        lookup: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        let place = self.0.clone().acquire_owned().await;
        let place = place.map_err(io::Error::other)?;
        let task = tokio::spawn(async move {
            let outcome = lookup.await;
            drop(place);
            outcome
        });
        task.await?
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{sync::oneshot, time::timeout};

    use super::*;

    // SEC-14
    #[tokio::test(start_paused = true)]
    async fn slow_lookups_keep_their_places_after_nobody_waits_for_them() {
        let lookups = Lookups::new(2);
        let mut slow = Vec::new();
        for _ in 0..2 {
            let (end, ended) = oneshot::channel::<()>();
            let lookup = async move { Ok(ended.await.is_ok()) };
            assert!(timeout(PATIENCE, lookups.run(lookup)).await.is_err());
            slow.push(end);
        }
        let next = timeout(PATIENCE, lookups.run(async { Ok(()) }));
        assert!(next.await.is_err());
        let addresses = lookups.addresses("127.0.0.1", 2855);
        let addresses = timeout(PATIENCE, addresses).await.unwrap().unwrap();
        assert_eq!(addresses, [SocketAddr::from(([127, 0, 0, 1], 2855))]);

        slow.pop().unwrap().send(()).unwrap();
        for _ in 0..3 {
            let next = timeout(PATIENCE, lookups.run(async { Ok(()) }));
            next.await.unwrap().unwrap();
        }
    }

    const PATIENCE: Duration = Duration::from_secs(10);
}
