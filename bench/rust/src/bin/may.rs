// SPDX-License-Identifier: MIT

//! may's coroutines with its channels, all of which are unbounded: a sender never waits. Each of
//! its stacks takes mappings of its own, which end at vm.max_map_count: no skynet, no parking of 100,000.

use may::sync::mpmc::{channel, Receiver, Sender};
use may::{coroutine, go};
use runnel_bench::{procs, run, scaled, size, whole, Bench};

fn send_n(c: &Sender<i64>, n: u64) {
    for i in 0..n {
        c.send(i as i64).unwrap();
    }
}

fn recv_n(c: &Receiver<i64>, n: u64) {
    for _ in 0..n {
        c.recv().unwrap();
    }
}

fn join<T>(all: Vec<coroutine::JoinHandle<T>>) {
    all.into_iter().for_each(|t| {
        t.join().unwrap();
    });
}

fn yields(n: u64) {
    join((0..100).map(|_| go!(move || (0..n).for_each(|_| coroutine::yield_now()))).collect());
}

fn spawn_one(n: u64) {
    for _ in 0..n {
        go!(|| {}).join().unwrap();
    }
}

fn spawn_batch(n: u64) {
    for _ in 0..n {
        join((0..1000).map(|_| go!(|| {})).collect());
    }
}

fn pingpong(n: u64) {
    let (ping, from_ping) = channel::<i64>();
    let (pong, from_pong) = channel::<i64>();
    let echo = go!(move || {
        while let Ok(v) = from_ping.recv() {
            pong.send(v).unwrap();
        }
    });
    for i in 0..n {
        ping.send(i as i64).unwrap();
        from_pong.recv().unwrap();
    }
    drop(ping);
    echo.join().unwrap();
}

fn fan(n: u64, senders: u64, receivers: u64) {
    let (tx, rx) = channel::<i64>();
    let total = n * senders.max(receivers);
    let mut all = Vec::new();
    for _ in 0..senders {
        let tx = tx.clone();
        all.push(go!(move || send_n(&tx, total / senders)));
    }
    for _ in 0..receivers {
        let rx = rx.clone();
        all.push(go!(move || recv_n(&rx, total / receivers)));
    }
    join(all);
}

fn uncontended(n: u64, batch: u64) {
    let (tx, rx) = channel::<i64>();
    for _ in 0..n {
        send_n(&tx, batch);
        recv_n(&rx, batch);
    }
}

fn try_fail(n: u64) {
    let (_tx, rx) = channel::<i64>();
    for _ in 0..n {
        assert!(std::hint::black_box(&rx).try_recv().is_err());
    }
}

fn sieve(end: u64) {
    let (tx, mut c) = channel::<i64>();
    go!(move || (2..=end).for_each(|i| tx.send(i as i64).unwrap()));
    let mut last = 0;
    while let Ok(prime) = c.recv() {
        let (tx, next) = channel::<i64>();
        let from = std::mem::replace(&mut c, next);
        go!(move || {
            while let Ok(v) = from.recv() {
                if v as u32 % prime as u32 != 0 {
                    tx.send(v).unwrap();
                }
            }
        });
        last = prime;
    }
    assert_eq!(last, end as i64);
}

fn ring(b: &mut Bench, n: u64) {
    let nodes = size(10000, 10);
    let (first, mut c) = channel::<i64>();
    b.per_op = nodes;
    for _ in 0..nodes - 1 {
        let (tx, next) = channel::<i64>();
        let from = std::mem::replace(&mut c, next);
        go!(move || (0..n).for_each(|_| tx.send(from.recv().unwrap()).unwrap()));
    }
    b.reset();
    for i in 0..n {
        first.send(i as i64).unwrap();
        assert_eq!(c.recv().unwrap(), i as i64);
    }
    b.stop();
}

fn row(name: &str, per_op: u64, body: fn(u64)) {
    scaled(name, |b: &mut Bench, n| {
        b.per_op = per_op;
        body(n)
    })
}

const ROWS: &[(&str, fn(&str))] = &[
    ("yield", |r| row(r, 100, yields)),
    ("spawn_one", |r| row(r, 1, spawn_one)),
    ("spawn_batch_1000", |r| row(r, 1000, spawn_batch)),
    ("pingpong", |r| row(r, 1, pingpong)),
    ("stream_128", |r| row(r, 1, |n| fan(n, 1, 1))),
    ("stream_128_4x4", |r| row(r, 4, |n| fan(n, 4, 4))),
    ("uncontended_1", |r| row(r, 1, |n| uncontended(n, 1))),
    ("uncontended_100", |r| row(r, 100, |n| uncontended(n, 100))),
    ("try_fail", |r| row(r, 1, try_fail)),
    ("sieve_2000", |r| whole(r, size(17389, 29), |_, n| sieve(n))),
    ("ring_10000", |r| scaled(r, ring)),
    ("fanin_100", |r| row(r, 100, |n| fan(n, 100, 1))),
    ("fanout_100", |r| row(r, 100, |n| fan(n, 1, 100))),
];

fn main() {
    may::config().set_workers(procs());
    go!(|| run(ROWS)).join().unwrap();
}
