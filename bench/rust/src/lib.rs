// SPDX-License-Identifier: MIT

//! What the Rust peers share: rows, a clock, and the count of operations. The same as ../../bench.h.

use std::time::Instant;

/// What a body tells the harness: the clock, and how many operations one n stands for.
pub struct Bench {
    started: Instant,
    spent: f64,
    running: bool,
    pub per_op: u64,
}

impl Bench {
    fn new() -> Bench {
        Bench { started: Instant::now(), spent: 0.0, running: true, per_op: 1 }
    }

    pub fn reset(&mut self) {
        *self = Bench { per_op: self.per_op, ..Bench::new() };
    }

    /// Nanoseconds since the reset.
    pub fn stop(&mut self) -> f64 {
        if self.running {
            self.spent = (self.started.elapsed().as_nanos() as f64).max(1.0);
        }
        self.running = false;
        self.spent
    }
}

fn is_quick() -> bool {
    std::env::var("RUNNEL_BENCH_QUICK").is_ok_and(|s| !s.is_empty() && s != "0")
}

/// The count of a row of fixed size: full, or tiny in the quick mode.
pub fn size(full: u64, tiny: u64) -> u64 {
    if is_quick() {
        tiny
    } else {
        full
    }
}

pub fn procs() -> usize {
    std::env::var("RUNNEL_PROCS").ok().and_then(|s| s.parse().ok()).unwrap_or(1)
}

pub fn report(row: &str, unit: &str, value: f64) {
    println!("{{\"row\": \"{row}\", \"unit\": \"{unit}\", \"value\": {value:.6}}}");
}

/// Run again with a larger n until one run takes RUNNEL_BENCH_MS.
pub fn scaled(row: &str, mut body: impl FnMut(&mut Bench, u64)) {
    let ms = std::env::var("RUNNEL_BENCH_MS").ok().and_then(|s| s.parse::<f64>().ok());
    let goal = ms.unwrap_or(100.0) * 1e6;
    let mut n = size(1, 2);
    loop {
        let mut b = Bench::new();
        body(&mut b, n);
        let ns = b.stop();
        if ns >= goal || n >= 1_000_000_000 || is_quick() {
            return report(row, "ns/op", ns / n as f64 / b.per_op as f64);
        }
        let want = (goal * n as f64 / ns * 1.2).min(100.0 * n as f64).max((n + 1) as f64);
        n = want.min(1e9) as u64;
    }
}

/// Run a fixed piece of work twice and report the second time, in milliseconds.
pub fn whole(row: &str, size: u64, mut body: impl FnMut(&mut Bench, u64)) {
    if !is_quick() {
        body(&mut Bench::new(), size);
    }
    let mut b = Bench::new();
    body(&mut b, size);
    report(row, "ms", b.stop() / 1e6);
}

/// Resident memory and page tables, in bytes.
pub fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("no /proc/self/status");
    let kib = |line: &str| line.split_whitespace().nth(1).and_then(|s| s.parse::<f64>().ok());
    status
        .lines()
        .filter(|l| l.starts_with("VmRSS:") || l.starts_with("VmPTE:"))
        .filter_map(kib)
        .sum::<f64>()
        * 1024.0
}

/// `PROGRAM list` or `PROGRAM ROW...`
pub fn run(rows: &[(&str, fn(&str))]) {
    for name in std::env::args().skip(1) {
        if name == "list" {
            rows.iter().for_each(|r| println!("{}", r.0));
        } else if let Some(r) = rows.iter().find(|r| r.0 == name) {
            r.1(r.0);
        } else {
            eprintln!("bench: no row named {name}");
            std::process::exit(2);
        }
    }
}
