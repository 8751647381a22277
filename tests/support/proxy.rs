//! A TCP proxy that breaks a connection on demand.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// What happens once so many bytes went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Both sides are closed.
    Cut,
    /// Nothing passes any more, in either direction, and nothing is closed.
    Stall,
}

/// Listens on a free port and passes everything on to `port` until `bytes` have gone through a
/// connection, in either direction; returns its own port.
pub fn start(port: u16, fault: Fault, bytes: u64) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", port)).unwrap());
            let faulty = Arc::new(AtomicU64::new(0));
            let up = (client.try_clone().unwrap(), server.try_clone().unwrap(), Arc::clone(&faulty));
            thread::spawn(move || pass(up.0, up.1, fault, bytes, &up.2));
            thread::spawn(move || pass(server, client, fault, bytes, &faulty));
        }
    });
    own
}

fn pass(mut from: TcpStream, mut to: TcpStream, fault: Fault, limit: u64, passed: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if passed.load(Ordering::Relaxed) >= limit {
            match fault {
                Fault::Cut => {
                    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                    return;
                }
                Fault::Stall => return for_ever(),
            }
        }
        passed.fetch_add(count as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

fn for_ever() {
    let never = (Mutex::new(()), Condvar::new());
    let guard = never.0.lock().unwrap();
    drop(never.1.wait_while(guard, |()| true));
}
