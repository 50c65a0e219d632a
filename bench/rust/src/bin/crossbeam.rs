// SPDX-License-Identifier: MIT

//! crossbeam-channel between threads: it has no tasks, so that the rows of those are left out.

use crossbeam_channel::{bounded, select, Receiver, Sender};
use runnel_bench::{run, scaled, Bench};
use std::hint::black_box;
use std::thread;

fn send_n(c: &Sender<i64>, n: u64) {
    for i in 0..n {
        c.send(i as i64).unwrap();
    }
}

fn recv_n(c: &Receiver<i64>, n: u64) {
    for _ in 0..n {
        black_box(c.recv().unwrap());
    }
}

fn pingpong(n: u64) {
    let (ping, from_ping) = bounded::<i64>(0);
    let (pong, from_pong) = bounded::<i64>(0);
    thread::scope(|s| {
        s.spawn(move || from_ping.iter().for_each(|v| pong.send(v).unwrap()));
        for i in 0..n {
            ping.send(i as i64).unwrap();
            from_pong.recv().unwrap();
        }
        drop(ping);
    });
}

fn stream(n: u64, cap: usize) {
    let (tx, rx) = bounded(cap);
    thread::scope(|s| {
        s.spawn(move || send_n(&tx, n));
        assert_eq!(rx.iter().count() as u64, n);
    });
}

fn fan(n: u64, cap: usize, senders: u64, receivers: u64) {
    let (tx, rx) = bounded(cap);
    let total = n * senders.max(receivers);
    thread::scope(|s| {
        for _ in 0..senders {
            s.spawn(|| send_n(&tx, total / senders));
        }
        for _ in 0..receivers {
            s.spawn(|| recv_n(&rx, total / receivers));
        }
    });
}

fn uncontended(n: u64, cap: usize) {
    let (tx, rx) = bounded(cap);
    for _ in 0..n {
        send_n(&tx, cap as u64);
        recv_n(&rx, cap as u64);
    }
}

fn select_two(n: u64, cap: usize) {
    let (tx_a, a) = bounded(cap);
    let (tx_b, b) = bounded(cap);
    thread::scope(|s| {
        s.spawn(|| send_n(&tx_a, n));
        s.spawn(|| send_n(&tx_b, n));
        for _ in 0..2 * n {
            select! {
                recv(a) -> v => black_box(v.unwrap()),
                recv(b) -> v => black_box(v.unwrap()),
            };
        }
    });
}

fn try_fail(n: u64) {
    let (_tx, rx) = bounded::<i64>(0);
    for _ in 0..n {
        assert!(black_box(&rx).try_recv().is_err());
    }
}

fn select_fail_2(n: u64) {
    let ((_ta, a), (_tb, b)) = (bounded::<i64>(0), bounded::<i64>(0));
    for _ in 0..n {
        select! {
            recv(a) -> _ => panic!("received"),
            recv(b) -> _ => panic!("received"),
            default => {}
        }
    }
}

fn select_fail_4(n: u64) {
    let ((_ta, a), (_tb, b)) = (bounded::<i64>(0), bounded::<i64>(0));
    let ((_tc, c), (_td, d)) = (bounded::<i64>(0), bounded::<i64>(0));
    for _ in 0..n {
        select! {
            recv(a) -> _ => panic!("received"),
            recv(b) -> _ => panic!("received"),
            recv(c) -> _ => panic!("received"),
            recv(d) -> _ => panic!("received"),
            default => {}
        }
    }
}

fn row(name: &str, per_op: u64, body: fn(u64)) {
    scaled(name, |b: &mut Bench, n| {
        b.per_op = per_op;
        body(n)
    })
}

fn main() {
    run(&[
        ("pingpong", |r| row(r, 1, pingpong)),
        ("stream", |r| row(r, 1, |n| stream(n, 0))),
        ("stream_128", |r| row(r, 1, |n| stream(n, 128))),
        ("stream_128_4x4", |r| row(r, 4, |n| fan(n, 128, 4, 4))),
        ("uncontended_1", |r| row(r, 1, |n| uncontended(n, 1))),
        ("uncontended_100", |r| row(r, 100, |n| uncontended(n, 100))),
        ("select_2", |r| row(r, 2, |n| select_two(n, 0))),
        ("select_2_128", |r| row(r, 2, |n| select_two(n, 128))),
        ("try_fail", |r| row(r, 1, try_fail)),
        ("select_fail_2", |r| row(r, 1, select_fail_2)),
        ("select_fail_4", |r| row(r, 1, select_fail_4)),
        ("fanin_100", |r| row(r, 100, |n| fan(n, 0, 100, 1))),
        ("fanout_100", |r| row(r, 100, |n| fan(n, 0, 1, 100))),
    ])
}
