// SPDX-License-Identifier: GPL-3.0-or-later
//! Where messages are rewritten: on threads of their own, as many at a time as there are cores.
//!
//! A panic there ends one rewriting and nothing else.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

/// The benches of one process.
#[derive(Clone)]
pub(crate) struct Workshop {
    benches: Arc<Semaphore>,
}

/// A place to work; free for the next when dropped, or when the work that was begun there has ended.
pub(crate) struct Bench {
    _permit: OwnedSemaphorePermit,
}

/// Work panicked.
#[derive(Debug, thiserror::Error)]
#[error("rewriting failed")]
pub(crate) struct Panicked;

impl Workshop {
    /// Makes a workshop with so many benches.
    pub(crate) fn new(benches: usize) -> Self {
        Self {
            benches: Arc::new(Semaphore::new(benches.clamp(1, Semaphore::MAX_PERMITS))),
        }
    }

    /// Waits for a bench. A caller who stops waiting gives up its place.
    pub(crate) async fn bench(&self) -> Bench {
        let permit = Arc::clone(&self.benches).acquire_owned().await;
        Bench {
            _permit: permit.expect("the semaphore is never closed"),
        }
    }

    /// Tells whether every bench is in use.
    pub(crate) fn is_full(&self) -> bool {
        self.benches.available_permits() == 0
    }
}

impl Bench {
    /// Does work. Once begun it goes on, and keeps the bench, to the end, whether its caller waits or not.
    ///
    /// # Errors
    ///
    /// Fails if the work panics.
    pub(crate) async fn work<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        task::spawn_blocking(move || {
            let _bench = self;
            work()
        })
        .await
        .map_err(|_panic| Panicked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn panic_ends_one_work_and_frees_its_bench() {
        let workshop = Workshop::new(1);

        let panicked = workshop
            .bench()
            .await
            .work(|| -> u8 { panic!("on purpose: a test") })
            .await;
        let worked = workshop.bench().await.work(|| 7).await;

        assert!(panicked.is_err());
        assert_eq!(worked.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_waits_for_a_bench() {
        let workshop = Workshop::new(1);
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let first = workshop.clone();
        let busy = tokio::spawn(async move { first.bench().await.work(move || wait.recv()).await });
        while !workshop.is_full() {
            task::yield_now().await;
        }

        let second = workshop.bench();
        tokio::pin!(second);
        assert!(
            futures_util::FutureExt::now_or_never(second.as_mut()).is_none(),
            "the one bench is in use"
        );
        go.send(()).unwrap();

        second.await.work(|| ()).await.unwrap();
        busy.await.unwrap().unwrap().unwrap();
    }
}
