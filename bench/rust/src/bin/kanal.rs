// SPDX-License-Identifier: MIT

//! kanal's async channels on tokio's runtime. No select: giving up a receive of kanal's can lose the value.

mod chan {
    pub type Tx = kanal::AsyncSender<i64>;
    pub type Rx = kanal::AsyncReceiver<i64>;

    pub fn make(cap: usize) -> (Tx, Rx) {
        kanal::bounded_async(cap)
    }

    pub async fn send(c: &Tx, v: i64) {
        c.send(v).await.expect("closed")
    }

    pub async fn recv(c: &mut Rx) -> Option<i64> {
        c.recv().await.ok()
    }

    pub fn empty(c: &mut Rx) -> bool {
        !matches!(c.try_recv(), Ok(Some(_)))
    }
}

include!("../async_rows.rs");
include!("../many_receivers.rs");

fn main() {
    let million: &[(&str, fn(&str))] = &[("park_1m", |r| park(r, size(1_000_000, 200)))];
    run_rows(&[MANY, million].concat())
}
