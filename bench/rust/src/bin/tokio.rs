// SPDX-License-Identifier: MIT

//! tokio with its mpsc channels: one receiver, a buffer of at least one.

mod chan {
    use tokio::sync::mpsc;
    pub type Tx = mpsc::Sender<i64>;
    pub type Rx = mpsc::Receiver<i64>;

    pub fn make(cap: usize) -> (Tx, Rx) {
        mpsc::channel(cap.max(1))
    }

    pub async fn send(c: &Tx, v: i64) {
        c.send(v).await.expect("closed")
    }

    pub async fn recv(c: &mut Rx) -> Option<i64> {
        c.recv().await
    }

    pub fn empty(c: &mut Rx) -> bool {
        c.try_recv().is_err()
    }
}

include!("../async_rows.rs");

/// Many wait for one close: tokio's channel for that is watch.
fn park(row: &str, n: u64) {
    let name = row.to_string();
    on(&runtime(), async move {
        let (tx, rx) = tokio::sync::watch::channel(0i64);
        let wait = || {
            let mut rx = rx.clone();
            async move { assert!(rx.changed().await.is_err()) }
        };
        park_on(name, n, wait, || drop(tx)).await
    })
}

fn main() {
    run_rows(&[
        ("yield", |r| tasks(r, 100, yields)),
        ("spawn_one", |r| tasks(r, 1, spawn_one)),
        ("spawn_batch_1000", |r| tasks(r, 1000, spawn_batch)),
        ("select_2", |r| tasks(r, 2, select_2)),
        ("select_2_128", |r| tasks(r, 2, select_2_128)),
        ("park_100k", |r| park(r, size(100_000, 100))),
        ("park_1m", |r| park(r, size(1_000_000, 200))),
    ]);
}
