//! Compression that is never slower than none: it adapts, piece by piece, to how fast the wire takes what is ready.
//!
//! The stream is a row of gzip members, which every gunzip reads as one. While the wire waits for bytes, a member only stores
//! its bytes; once finished members wait for the wire, there is time to compress the next ones. So a fast link costs no time
//! and a slow one gets what all cores can give, without a guess about either.

use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        mpsc::{self as threads, Receiver, SyncSender},
    },
};

use flate2::{Compression, write::GzEncoder};
use tokio::sync::mpsc;

use super::gate::Pieces;

/// Bytes of a member before compression: large enough that its 18 bytes of frame and its fresh dictionary do not matter.
const MEMBER: usize = 512 << 10;

/// Finished members that may wait for the wire.
const WAITING: usize = 8;

/// From so many waiting members on, members are compressed fast, and from so many on, thoroughly.
const FAST: usize = 2;
const THOROUGH: usize = 6;

type Job = (Vec<u8>, SyncSender<std::io::Result<Vec<u8>>>);

/// Compresses pieces on all cores, in order. The threads end with the stream or when the receiver is dropped.
pub fn compress(pieces: Pieces) -> Pieces {
    let (out, receiver) = mpsc::channel(WAITING);
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let (jobs, queue) = threads::sync_channel::<Job>(workers);
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..workers {
        let (queue, out) = (Arc::clone(&queue), out.downgrade());
        std::thread::spawn(move || work(&queue, &out));
    }
    let (order, ordered) = threads::sync_channel(workers * 2);
    std::thread::spawn(move || deal(pieces, &jobs, &order));
    std::thread::spawn(move || {
        while let Ok(result) = ordered.recv() {
            let result: Receiver<std::io::Result<Vec<u8>>> = result;
            let Ok(member) = result.recv() else { return };
            if out.blocking_send(member).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Cuts the stream into members and deals them to the workers; the answers are awaited in the same order.
fn deal(mut pieces: Pieces, jobs: &SyncSender<Job>, order: &SyncSender<Receiver<std::io::Result<Vec<u8>>>>) {
    let mut member = Vec::with_capacity(MEMBER);
    loop {
        let piece = pieces.blocking_recv();
        let ends = !matches!(piece, Some(Ok(_)));
        if let Some(Ok(piece)) = &piece {
            member.extend_from_slice(piece);
        }
        if member.len() >= MEMBER || (ends && !member.is_empty()) {
            let (answer, receiver) = threads::sync_channel(1);
            let member = std::mem::replace(&mut member, Vec::with_capacity(MEMBER));
            if jobs.send((member, answer)).is_err() || order.send(receiver).is_err() {
                return;
            }
        }
        if let Some(Err(error)) = piece {
            let (answer, receiver) = threads::sync_channel(1);
            let _ = answer.send(Err(error));
            let _ = order.send(receiver);
            return;
        }
        if ends {
            return;
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>, out: &mpsc::WeakSender<std::io::Result<Vec<u8>>>) {
    loop {
        let job = queue.lock().map(|queue| queue.recv());
        let Ok(Ok((member, answer))) = job else { return };
        let waiting = out.upgrade().map_or(0, |out| WAITING - out.capacity());
        let _ = answer.send(pack(&member, level(waiting)));
    }
}

/// How thoroughly to compress while so many finished members wait for the wire.
fn level(waiting: usize) -> Compression {
    match waiting {
        THOROUGH.. => Compression::new(6),
        FAST.. => Compression::fast(),
        _ => Compression::none(),
    }
}

fn pack(member: &[u8], level: Compression) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(member.len() / 2), level);
    encoder.write_all(member)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn source(pieces: Vec<std::io::Result<Vec<u8>>>) -> Pieces {
        let (sender, receiver) = mpsc::channel(pieces.len().max(1));
        for piece in pieces {
            sender.try_send(piece).expect("room");
        }
        receiver
    }

    fn all(mut pieces: Pieces) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| pieces.blocking_recv()).map(|piece| piece.expect("no error")).collect()
    }

    #[test]
    fn the_members_are_one_stream_for_gunzip() {
        let content: Vec<u8> = (0..3_000_000u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
        let pieces = content.chunks(256 << 10).map(|piece| Ok(piece.to_vec())).collect();
        let packed = all(compress(source(pieces))).concat();
        let mut back = Vec::new();
        flate2::read::MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut back).expect("gzip");
        assert_eq!(back, content);
    }

    #[test]
    fn a_slow_wire_gets_smaller_members_than_a_fast_one() {
        let zeros = || (0..64).map(|_| Ok(vec![0; MEMBER])).collect();
        let slow = compress(source(zeros()));
        // Nobody takes anything until the queue is full: from then on there is time to compress.
        while slow.len() < WAITING {
            std::thread::yield_now();
        }
        let members = all(slow);
        assert!(members.first().expect("a member").len() >= MEMBER, "the first is only stored");
        assert!(members.iter().any(|member| member.len() < MEMBER / 50), "those made while others waited are compressed");
    }

    #[test]
    fn an_error_comes_through_behind_what_was_before_it() {
        let mut packed = compress(source(vec![Ok(vec![1; 10]), Err(std::io::Error::other("cut"))]));
        assert!(packed.blocking_recv().expect("a member").is_ok());
        assert_eq!(packed.blocking_recv().expect("an end").expect_err("the error").to_string(), "cut");
        assert!(packed.blocking_recv().is_none());
    }
}
