//! A TCP proxy that breaks connections on demand: at a byte, at a time, or when the test says so.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Both sides are closed.
    Cut,
    /// Nothing passes any more, in either direction, and nothing is closed.
    Stall,
    /// Both sides are closed, and nobody answers until [`Proxy::mend`].
    Gone,
    /// Each piece waits this long.
    Delay(Duration),
    /// So many bytes a second.
    Slow(u64),
}

/// When it happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// Once so many bytes went through, in either direction.
    Bytes(u64),
    /// After this time.
    After(Duration),
}

/// A running proxy.
pub struct Proxy {
    /// Where it listens, on the address given.
    pub port: u16,
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    armed: Option<(Fault, u64)>,
    fault: Option<Fault>,
    /// Counted from the start, in both directions.
    up: u64,
    down: u64,
    /// Faults that happened.
    happened: usize,
    open: Vec<TcpStream>,
    mends: u64,
    /// Goes up with each arming, so that an old timer does nothing.
    round: u64,
}

impl Proxy {
    /// Listens on a free port of `address` and passes everything on to `port` there.
    pub fn new(address: &str, port: u16) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("a port");
        let own = listener.local_addr().expect("an address").port();
        let inner = Arc::<Inner>::default();
        let (to, shared) = ((address.to_owned(), port), Arc::clone(&inner));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), false) = (client, shared.lock().fault == Some(Fault::Gone)) else { continue };
                let Ok(server) = TcpStream::connect((to.0.as_str(), to.1)) else { continue };
                shared.carry(client, server);
            }
        });
        Self { port: own, inner }
    }

    /// Has a fault happen later. Bytes and time count from now.
    pub fn arm(&self, fault: Fault, when: When) {
        let mut state = self.inner.lock();
        state.round += 1;
        match when {
            When::Bytes(bytes) => state.armed = Some((fault, state.up + state.down + bytes)),
            When::After(time) => {
                state.armed = None;
                let (round, inner) = (state.round, Arc::clone(&self.inner));
                thread::spawn(move || inner.trip_after(time, fault, round));
            }
        }
    }

    /// Has a fault happen now.
    pub fn trip(&self, fault: Fault) {
        self.inner.lock().trip(fault);
        self.inner.changed.notify_all();
    }

    /// From now on all is well; what is open still is closed.
    pub fn mend(&self) {
        let mut state = self.inner.lock();
        state.close();
        (state.fault, state.armed) = (None, None);
        state.round += 1;
        state.mends += 1;
        self.inner.changed.notify_all();
    }

    /// New connections pass again; what a stall holds stays as it is.
    pub fn let_new_ones_pass(&self) {
        let mut state = self.inner.lock();
        (state.fault, state.armed) = (None, None);
        state.round += 1;
    }

    /// Bytes that went to the device and from it.
    pub fn passed(&self) -> (u64, u64) {
        let state = self.inner.lock();
        (state.up, state.down)
    }

    /// How many faults happened.
    pub fn happened(&self) -> usize {
        self.inner.lock().happened
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        state.mends += 1;
        state.close();
        self.inner.changed.notify_all();
    }
}

impl State {
    fn trip(&mut self, fault: Fault) {
        self.armed = None;
        self.happened += 1;
        match fault {
            Fault::Cut => self.close(),
            Fault::Gone => {
                self.fault = Some(fault);
                self.close();
            }
            Fault::Stall | Fault::Delay(_) | Fault::Slow(_) => self.fault = Some(fault),
        }
    }

    fn close(&mut self) {
        for stream in self.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with it")
    }

    fn trip_after(&self, time: Duration, fault: Fault, round: u64) {
        let end = Instant::now() + time;
        let mut state = self.lock();
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if state.round != round {
                return;
            }
            state = self.changed.wait_timeout(state, left).expect("no thread panics with it").0;
        }
        if state.round == round {
            state.trip(fault);
        }
    }

    fn carry(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let copy = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
        self.lock().open.extend([copy(&client), copy(&server)]);
        let (up, down) = ((copy(&client), copy(&server)), (server, client));
        for ((from, to), upwards) in [(up, true), (down, false)] {
            let inner = Arc::clone(self);
            thread::spawn(move || inner.pass(from, to, upwards));
        }
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream, upwards: bool) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            match self.judge(count as u64, upwards) {
                Passage::Free(pause) => {
                    thread::sleep(pause);
                    if to.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
                Passage::Last(length) => {
                    let _ = to.write_all(&buffer[..length]);
                    self.lock().trip_armed();
                }
                Passage::None => self.wait_until_mended(),
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }

    /// What becomes of a piece; counts what passes of it.
    fn judge(&self, count: u64, upwards: bool) -> Passage {
        let mut state = self.lock();
        if state.fault == Some(Fault::Stall) {
            return Passage::None;
        }
        let left = state.armed.map_or(u64::MAX, |(_, at)| at.saturating_sub(state.up + state.down));
        let passes = left.min(count);
        if upwards {
            state.up += passes
        } else {
            state.down += passes
        }
        if left <= count {
            return Passage::Last(usize::try_from(passes).expect("less than the buffer"));
        }
        Passage::Free(match state.fault {
            Some(Fault::Delay(time)) => time,
            Some(Fault::Slow(bytes)) => Duration::from_secs_f64(count as f64 / bytes as f64),
            _ => Duration::ZERO,
        })
    }

    fn wait_until_mended(&self) {
        let state = self.lock();
        let mends = state.mends;
        drop(self.changed.wait_while(state, |state| state.mends == mends));
    }
}

/// What becomes of a piece.
enum Passage {
    /// It passes after this time.
    Free(Duration),
    /// So much of it passes, then comes what is armed.
    Last(usize),
    /// It is lost.
    None,
}

impl State {
    fn trip_armed(&mut self) {
        if let Some((fault, _)) = self.armed {
            self.trip(fault);
        }
    }
}

/// Listens on a free port and passes everything on to `port` until `bytes` have gone through, in either direction, and then does
/// that to each connection; gives its own port. It runs until the test ends.
pub fn start(port: u16, fault: Fault, bytes: u64) -> u16 {
    let proxy = Proxy::new("127.0.0.1", port);
    proxy.arm(fault, When::Bytes(bytes));
    let own = proxy.port;
    std::mem::forget(proxy);
    own
}
