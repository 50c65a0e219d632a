// SPDX-License-Identifier: MIT

// The rows of channels on tokio's runtime, included by a program that has a module `chan`:
//   Tx, Rx; make(cap) (0: the nearest thing to unbuffered); send(&Tx, v); recv(&mut Rx) -> Option<i64>;
//   empty(&mut Rx) -> bool: a try-receive found nothing.
// Tasks are joined by their JoinHandles. The body is a task, so that it runs on a worker as all others do; with
// one processor it is tokio's current-thread runtime, which its documentation advises for that.

use chan::{empty, make, recv, send, Rx, Tx};
use runnel_bench::{procs, report, resident, scaled, size, whole, Bench};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

fn runtime() -> tokio::runtime::Runtime {
    match procs() {
        1 => tokio::runtime::Builder::new_current_thread().build(),
        n => tokio::runtime::Builder::new_multi_thread().worker_threads(n).build(),
    }
    .expect("no runtime")
}

/// Run a body on the runtime to its end.
fn on<F: Future<Output = ()> + Send + 'static>(rt: &tokio::runtime::Runtime, body: F) {
    rt.block_on(async { tokio::spawn(body).await.expect("a task failed") })
}

/// A scaled row whose body is an async function of n.
fn tasks<F: Future<Output = ()> + Send + 'static>(row: &str, per_op: u64, body: fn(u64) -> F) {
    let rt = runtime();
    scaled(row, |b: &mut Bench, n| {
        b.per_op = per_op;
        on(&rt, body(n))
    });
}

async fn send_n(c: Tx, n: u64) {
    for i in 0..n {
        send(&c, i as i64).await;
    }
}

async fn recv_n(mut c: Rx, n: u64) {
    for _ in 0..n {
        recv(&mut c).await.expect("closed");
    }
}

async fn yields(n: u64) {
    let all: Vec<_> = (0..100)
        .map(|_| {
            tokio::spawn(async move {
                for _ in 0..n {
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for t in all {
        t.await.unwrap();
    }
}

async fn spawn_one(n: u64) {
    for _ in 0..n {
        tokio::spawn(async {}).await.unwrap();
    }
}

async fn spawn_batch(n: u64) {
    let mut all = Vec::with_capacity(1000);
    for _ in 0..n {
        all.extend((0..1000).map(|_| tokio::spawn(async {})));
        for t in all.drain(..) {
            t.await.unwrap();
        }
    }
}

async fn pingpong(n: u64) {
    let (ping, mut from_ping) = make(0);
    let (pong, mut from_pong) = make(0);
    let echo = tokio::spawn(async move {
        while let Some(v) = recv(&mut from_ping).await {
            send(&pong, v).await;
        }
    });
    for i in 0..n {
        send(&ping, i as i64).await;
        recv(&mut from_pong).await.expect("closed");
    }
    drop(ping);
    echo.await.unwrap();
}

async fn stream_over(n: u64, cap: usize) {
    let (tx, mut rx) = make(cap);
    let sender = tokio::spawn(send_n(tx, n));
    let mut got = 0;
    while recv(&mut rx).await.is_some() {
        got += 1;
    }
    assert_eq!(got, n);
    sender.await.unwrap();
}

async fn stream(n: u64) {
    stream_over(n, 0).await
}

async fn stream_128(n: u64) {
    stream_over(n, 128).await
}

async fn uncontended(n: u64, cap: usize) {
    let (tx, mut rx) = make(cap);
    for _ in 0..n {
        for i in 0..cap {
            send(&tx, i as i64).await;
        }
        for _ in 0..cap {
            recv(&mut rx).await.expect("closed");
        }
    }
}

async fn uncontended_1(n: u64) {
    uncontended(n, 1).await
}

async fn uncontended_100(n: u64) {
    uncontended(n, 100).await
}

async fn try_fail(n: u64) {
    let (_tx, mut rx) = make(0);
    for _ in 0..n {
        assert!(std::hint::black_box(empty(&mut rx)));
    }
}

#[allow(dead_code)] // not for channels whose receive may not be given up
async fn select_over(n: u64, cap: usize) {
    let (tx_a, mut a) = make(cap);
    let (tx_b, mut b) = make(cap);
    let senders = [tokio::spawn(send_n(tx_a, n)), tokio::spawn(send_n(tx_b, n))];
    let (mut from_a, mut from_b) = (0, 0);
    while from_a + from_b < 2 * n {
        tokio::select! {
            Some(_) = recv(&mut a), if from_a < n => from_a += 1,
            Some(_) = recv(&mut b), if from_b < n => from_b += 1,
        }
    }
    for t in senders {
        t.await.unwrap();
    }
}

#[allow(dead_code)]
async fn select_2(n: u64) {
    select_over(n, 0).await
}

#[allow(dead_code)]
async fn select_2_128(n: u64) {
    select_over(n, 128).await
}

async fn sieve_filter(mut c: Rx, out: Tx, prime: i64) {
    while let Some(v) = recv(&mut c).await {
        if v as u32 % prime as u32 != 0 {
            send(&out, v).await;
        }
    }
}

async fn sieve(end: u64) {
    let (tx, mut c) = make(0);
    tokio::spawn(async move {
        for i in 2..=end {
            send(&tx, i as i64).await;
        }
    });
    let mut last = 0;
    while let Some(prime) = recv(&mut c).await {
        let (tx, next) = make(0);
        tokio::spawn(sieve_filter(std::mem::replace(&mut c, next), tx, prime));
        last = prime;
    }
    assert_eq!(last, end as i64);
}

fn skynet_node(out: Tx, number: i64, size: i64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if size == 1 {
            return send(&out, number).await;
        }
        let (tx, mut rx) = make(0);
        for i in 0..10 {
            tokio::spawn(skynet_node(tx.clone(), number + i * (size / 10), size / 10));
        }
        let mut sum = 0;
        for _ in 0..10 {
            sum += recv(&mut rx).await.expect("closed");
        }
        send(&out, sum).await;
    })
}

async fn skynet(size: u64) {
    let (tx, mut rx) = make(0);
    tokio::spawn(skynet_node(tx, 0, size as i64));
    assert_eq!(recv(&mut rx).await, Some((size * (size - 1) / 2) as i64));
}

async fn ring_node(mut c: Rx, out: Tx, rounds: u64) {
    for _ in 0..rounds {
        send(&out, recv(&mut c).await.expect("closed")).await;
    }
}

/// One node is the caller: off the clock, the others are made.
fn ring(row: &str) {
    let (rt, nodes) = (runtime(), size(10000, 10));
    scaled(row, |b: &mut Bench, n| {
        b.per_op = nodes;
        let (first, mut c) = make(0);
        rt.block_on(async {
            for _ in 0..nodes - 1 {
                let (tx, next) = make(0);
                tokio::spawn(ring_node(std::mem::replace(&mut c, next), tx, n));
            }
        });
        b.reset();
        on(&rt, async move {
            for i in 0..n {
                send(&first, i as i64).await;
                assert_eq!(recv(&mut c).await, Some(i as i64));
            }
        });
        b.stop();
    });
}

async fn fanin(n: u64) {
    let (tx, rx) = make(0);
    let all: Vec<_> = (0..100).map(|_| tokio::spawn(send_n(tx.clone(), n))).collect();
    recv_n(rx, 100 * n).await;
    for t in all {
        t.await.unwrap();
    }
}

/// `wait(i)` parks a task until `wake` is called.
async fn park_on<W, F, C>(row: String, n: u64, wait: W, wake: C)
where
    W: Fn() -> F,
    F: Future<Output = ()> + Send + 'static,
    C: FnOnce(),
{
    let parked = Arc::new(AtomicU64::new(0));
    let mut all = Vec::with_capacity(n as usize);
    let before = resident();
    let mut b = std::time::Instant::now();
    for _ in 0..n {
        let (parked, receive) = (parked.clone(), wait());
        all.push(tokio::spawn(async move {
            parked.fetch_add(1, Ordering::AcqRel);
            receive.await;
        }));
    }
    while parked.load(Ordering::Acquire) < n {
        tokio::task::yield_now().await;
    }
    report(&format!("{row}/park"), "ns/op", b.elapsed().as_nanos() as f64 / n as f64);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    report(&format!("{row}/bytes"), "bytes/op", (resident() - before) / n as f64);
    b = std::time::Instant::now();
    wake();
    for t in all {
        t.await.unwrap();
    }
    report(&format!("{row}/wake"), "ns/op", b.elapsed().as_nanos() as f64 / n as f64);
}

/// The rows of every channel; each program adds its own.
const ROWS: &[(&str, fn(&str))] = &[
    ("pingpong", |r| tasks(r, 1, pingpong)),
    ("stream", |r| tasks(r, 1, stream)),
    ("stream_128", |r| tasks(r, 1, stream_128)),
    ("uncontended_1", |r| tasks(r, 1, uncontended_1)),
    ("uncontended_100", |r| tasks(r, 100, uncontended_100)),
    ("try_fail", |r| tasks(r, 1, try_fail)),
    ("sieve_2000", |r| {
        let rt = runtime();
        whole(r, size(17389, 29), |_, n| on(&rt, sieve(n)))
    }),
    ("skynet", |r| {
        let rt = runtime();
        whole(r, size(1_000_000, 100), |_, n| on(&rt, skynet(n)))
    }),
    ("ring_10000", ring),
    ("fanin_100", |r| tasks(r, 100, fanin)),
];

fn run_rows(more: &[(&'static str, fn(&str))]) {
    runnel_bench::run(&[ROWS, more].concat())
}
