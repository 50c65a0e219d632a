// SPDX-License-Identifier: MIT

//! flume's async channels on tokio's runtime.

mod chan {
    pub type Tx = flume::Sender<i64>;
    pub type Rx = flume::Receiver<i64>;

    pub fn make(cap: usize) -> (Tx, Rx) {
        flume::bounded(cap)
    }

    pub async fn send(c: &Tx, v: i64) {
        c.send_async(v).await.expect("closed")
    }

    pub async fn recv(c: &mut Rx) -> Option<i64> {
        c.recv_async().await.ok()
    }

    pub fn empty(c: &mut Rx) -> bool {
        c.try_recv().is_err()
    }
}

include!("../async_rows.rs");
include!("../many_receivers.rs");

fn main() {
    let select: &[(&str, fn(&str))] = &[
        ("select_2", |r| tasks(r, 2, select_2)),
        ("select_2_128", |r| tasks(r, 2, select_2_128)),
    ];
    run_rows(&[MANY, select].concat())
}
