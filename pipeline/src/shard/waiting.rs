//! Waiting: how a thread waits for an object store's answer.
//!
//! Stores in memory answer at once. Clients of stores in the network want timers and sockets to be watched, which a
//! runtime of two threads does for as long as the process lives, wherever the one that waits stands: in a thread of a
//! pool, or inside another runtime.

use std::future::Future;
use std::io;
use std::sync::OnceLock;

use futures_executor::block_on;
use tokio::runtime::{Builder, Handle, Runtime};

static NETWORK: OnceLock<Runtime> = OnceLock::new();

/// What is needed to wait.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    /// For a store in the network.
    runtime: Option<Handle>,
}

impl Waiting {
    /// For stores in the network.
    pub(super) fn in_network() -> io::Result<Waiting> {
        if NETWORK.get().is_none() {
            let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("objects").enable_all().build()?;
            // Another thread may have been first; its own is as good.
            let _ = NETWORK.set(runtime);
        }
        Ok(Waiting { runtime: NETWORK.get().map(|runtime| runtime.handle().clone()) })
    }

    /// Blocks this thread until there is an answer.
    pub(super) fn until<F: Future>(&self, answer: F) -> F::Output {
        let _entered = self.runtime.as_ref().map(Handle::enter);
        block_on(answer)
    }
}
