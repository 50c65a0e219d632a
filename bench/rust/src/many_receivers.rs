// SPDX-License-Identifier: MIT

// The rows that need a channel with several receivers (Rx: Clone); beside async_rows.rs.

#[allow(dead_code)] // a fence against unused imports where a program leaves tokio's own rows to tokio.rs
fn unused() {
    let _ = (yields, spawn_one, spawn_batch);
}

async fn stream_4x4(n: u64) {
    let (tx, rx) = make(128);
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(tokio::spawn(send_n(tx.clone(), n)));
        all.push(tokio::spawn(recv_n(rx.clone(), n)));
    }
    for t in all {
        t.await.unwrap();
    }
}

async fn fanout(n: u64) {
    let (tx, rx) = make(0);
    let all: Vec<_> = (0..100).map(|_| tokio::spawn(recv_n(rx.clone(), n))).collect();
    send_n(tx, 100 * n).await;
    for t in all {
        t.await.unwrap();
    }
}

fn park(row: &str, n: u64) {
    let name = row.to_string();
    on(&runtime(), async move {
        let (tx, rx) = make(0);
        let wait = || {
            let mut rx = rx.clone();
            async move { assert!(recv(&mut rx).await.is_none()) }
        };
        park_on(name, n, wait, || drop(tx)).await
    })
}

const MANY: &[(&str, fn(&str))] = &[
    ("stream_128_4x4", |r| tasks(r, 4, stream_4x4)),
    ("fanout_100", |r| tasks(r, 100, fanout)),
    ("park_100k", |r| park(r, size(100_000, 100))),
];
