//! Time and CPUs of a simulation: events that are due, and threads that have work to do on cores they share.
//! It knows nothing of what is simulated.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Number of a thread.
pub(super) type Thread = usize;

/// A simulated machine, or several with cores of their own.
pub(super) struct Engine<E> {
    now_ns: f64,
    /// Due events, the earliest on top.
    timers: BinaryHeap<Timer<E>>,
    timers_set: u64,
    threads: Vec<Worker<E>>,
    /// Cores of each machine.
    cores: Vec<f64>,
    /// Threads of each machine that have work, kept up to date.
    busy: Vec<usize>,
}

struct Timer<E> {
    due_ns: f64,
    /// Keeps the order of equals.
    number: u64,
    event: E,
}

struct Worker<E> {
    machine: usize,
    /// What is left to do on a CPU, and what happens then.
    work: Option<(f64, E)>,
    used_ns: f64,
}

/// What happens next.
enum Next {
    Timer,
    Thread(Thread),
}

impl<E> Engine<E> {
    /// Machines with so many cores each, at time zero.
    pub(super) fn new(cores: Vec<f64>) -> Engine<E> {
        let busy = vec![0; cores.len()];
        let timers = BinaryHeap::new();
        Engine { now_ns: 0.0, timers, timers_set: 0, threads: Vec::new(), cores, busy }
    }

    /// A new thread on a machine, without work.
    pub(super) fn thread(&mut self, machine: usize) -> Thread {
        self.threads.push(Worker { machine, work: None, used_ns: 0.0 });
        self.threads.len() - 1
    }

    /// Now.
    pub(super) fn now_ns(&self) -> f64 {
        self.now_ns
    }

    /// CPU time that a thread has used.
    pub(super) fn used_ns(&self, thread: Thread) -> f64 {
        self.threads[thread].used_ns
    }

    /// `event` happens after `span_ns`.
    pub(super) fn after(&mut self, span_ns: f64, event: E) {
        self.timers_set += 1;
        let timer = Timer { due_ns: self.now_ns + span_ns, number: self.timers_set, event };
        self.timers.push(timer);
    }

    /// `event` happens once `thread` was on a CPU for `work_ns` from now on.
    ///
    /// # Panics
    /// If the thread has work already.
    pub(super) fn work(&mut self, thread: Thread, work_ns: f64, event: E) {
        let worker = &mut self.threads[thread];
        assert!(worker.work.is_none(), "a thread does one thing at a time");
        worker.work = Some((work_ns, event));
        self.busy[worker.machine] += 1;
    }

    /// Goes on to whatever happens next; none if nothing will.
    pub(super) fn next(&mut self) -> Option<E> {
        let mut span_ns = f64::INFINITY;
        let mut next = None;
        for (thread, worker) in self.threads.iter().enumerate() {
            let Some((left_ns, _)) = &worker.work else { continue };
            let needs_ns = left_ns / self.speed(worker.machine);
            if needs_ns < span_ns {
                (span_ns, next) = (needs_ns, Some(Next::Thread(thread)));
            }
        }
        if let Some(timer) = self.timers.peek() {
            let needs_ns = (timer.due_ns - self.now_ns).max(0.0);
            if needs_ns < span_ns {
                (span_ns, next) = (needs_ns, Some(Next::Timer));
            }
        }
        let next = next?;
        self.pass(span_ns);
        match next {
            Next::Timer => self.timers.pop().map(|timer| timer.event),
            Next::Thread(thread) => {
                let worker = &mut self.threads[thread];
                self.busy[worker.machine] -= 1;
                worker.work.take().map(|(_, event)| event)
            }
        }
    }

    /// Threads that want more cores than there are share them evenly (processor sharing).
    fn speed(&self, machine: usize) -> f64 {
        (self.cores[machine] / self.busy[machine].max(1) as f64).min(1.0)
    }

    fn pass(&mut self, span_ns: f64) {
        self.now_ns += span_ns;
        for at in 0..self.threads.len() {
            let done_ns = span_ns * self.speed(self.threads[at].machine);
            let worker = &mut self.threads[at];
            if let Some((left_ns, _)) = &mut worker.work {
                *left_ns = (*left_ns - done_ns).max(0.0);
                worker.used_ns += done_ns;
            }
        }
    }
}

impl<E> Ord for Timer<E> {
    fn cmp(&self, other: &Timer<E>) -> Ordering {
        other.due_ns.total_cmp(&self.due_ns).then(other.number.cmp(&self.number))
    }
}

impl<E> PartialOrd for Timer<E> {
    fn partial_cmp(&self, other: &Timer<E>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Timer<E> {
    fn eq(&self, other: &Timer<E>) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Timer<E> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use rand::Rng;
    use std::collections::VecDeque;

    #[test]
    fn events_come_in_order_and_equals_in_theirs() {
        let mut engine = Engine::new(vec![1.0]);
        for (span_ns, event) in [(30.0, 'c'), (10.0, 'a'), (30.0, 'd'), (20.0, 'b')] {
            engine.after(span_ns, event);
        }
        let order: String = std::iter::from_fn(|| engine.next()).collect();
        assert_eq!((order.as_str(), engine.now_ns()), ("abcd", 30.0));
    }

    #[test]
    fn threads_share_the_cores_of_their_machine() {
        let run = |cores: Vec<f64>, machines: [usize; 3]| {
            let mut engine = Engine::new(cores);
            for (event, machine) in machines.into_iter().enumerate() {
                let thread = engine.thread(machine);
                engine.work(thread, 100.0 * (event + 1) as f64, event);
            }
            let mut ends = Vec::new();
            while let Some(event) = engine.next() {
                ends.push((event, engine.now_ns().round() as u64));
            }
            ends
        };
        assert_eq!(run(vec![3.0], [0; 3]), [(0, 100), (1, 200), (2, 300)]);
        // Of 100, 200, 300 on one core: three share until 300, two until 500.
        assert_eq!(run(vec![1.0], [0; 3]), [(0, 300), (1, 500), (2, 600)]);
        assert_eq!(run(vec![1.0, 1.0], [0, 0, 1]), [(0, 200), (1, 300), (2, 300)]);
    }

    /// One server, its queue, and what its visitors saw.
    struct Queue {
        engine: Engine<Happens>,
        server: Thread,
        waiting: VecDeque<f64>,
        service_ns: Box<dyn FnMut() -> f64>,
        stays_ns: Vec<f64>,
    }

    #[derive(Clone, Copy)]
    enum Happens {
        Comes,
        IsServed,
    }

    impl Queue {
        fn new(service_ns: Box<dyn FnMut() -> f64>) -> Queue {
            let mut engine = Engine::new(vec![1.0]);
            let server = engine.thread(0);
            Queue { engine, server, waiting: VecDeque::new(), service_ns, stays_ns: Vec::new() }
        }

        /// `then` is called after each event, to send the next visitor.
        fn run(&mut self, visits: usize, mut then: impl FnMut(&mut Engine<Happens>, Happens)) {
            while self.stays_ns.len() < visits {
                let event = self.engine.next().expect("somebody is under way");
                let now_ns = self.engine.now_ns();
                match event {
                    Happens::Comes => self.waiting.push_back(now_ns),
                    Happens::IsServed => {
                        let came_ns = self.waiting.pop_front().expect("it was served");
                        self.stays_ns.push(now_ns - came_ns);
                    }
                }
                let is_first = matches!(event, Happens::Comes) && self.waiting.len() == 1;
                if is_first || matches!(event, Happens::IsServed) && !self.waiting.is_empty() {
                    let service_ns = (self.service_ns)();
                    self.engine.work(self.server, service_ns, Happens::IsServed);
                }
                then(&mut self.engine, event);
            }
        }
    }

    #[test]
    fn a_closed_loop_on_a_fixed_service_keeps_to_its_bounds() {
        // The asymptotic bounds, attained where service and thinking are fixed: Denning & Buzen 1978.
        let (service_ns, think_ns) = (100.0, 400.0);
        for clients in [1, 2, 4, 5, 6, 20] {
            let mut queue = Queue::new(Box::new(move || service_ns));
            (0..clients).for_each(|_| queue.engine.after(0.0, Happens::Comes));
            queue.run(10_000, |engine, event| {
                if matches!(event, Happens::IsServed) {
                    engine.after(think_ns, Happens::Comes);
                }
            });
            let rate = 10_000.0 / queue.engine.now_ns();
            let law = (f64::from(clients) / (service_ns + think_ns)).min(1.0 / service_ns);
            assert!((rate / law - 1.0).abs() < 0.002, "{clients}: {rate} for {law}");
        }
    }

    #[test]
    fn an_open_queue_waits_as_long_as_the_law_says() {
        // M/M/1: mean time in the system is 1 / (mu - lambda).
        let draw = |name: &str, mean_ns: f64| {
            let mut random = Seed(7).stream(name, 0);
            move || -mean_ns * (1.0 - random.random::<f64>()).ln()
        };
        for load in [0.3, 0.5, 0.8] {
            let mut between = draw("arrivals", 100.0 / load);
            let mut queue = Queue::new(Box::new(draw("services", 100.0)));
            queue.engine.after(0.0, Happens::Comes);
            queue.run(400_000, |engine, event| {
                if matches!(event, Happens::Comes) {
                    engine.after(between(), Happens::Comes);
                }
            });
            let mean_ns = queue.stays_ns.iter().sum::<f64>() / queue.stays_ns.len() as f64;
            let law_ns = 100.0 / (1.0 - load);
            assert!((mean_ns / law_ns - 1.0).abs() < 0.03, "{load}: {mean_ns} for {law_ns}");
        }
    }
}
