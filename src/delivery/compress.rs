//! Compression that is never slower than none.
//!
//! A device's docker unpacks gzip more slowly than a fast link brings bytes, and what is only stored in gzip costs it as well. So a
//! stream over a link that is known to be fast goes as it is. Any other is a row of gzip members, which every gunzip reads as one,
//! each compressed as fits the link. While the wire waits for bytes, a member only stores its bytes.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        mpsc::{self as threads, Receiver, SyncSender},
    },
};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use tokio::sync::mpsc;

use super::gate::Pieces;

/// Bytes of a member before compression: large enough that its 18 bytes of frame and its fresh dictionary do not matter.
const MEMBER: usize = 256 << 10;

/// A member that only stores its bytes is longer by less than this.
const FRAME: usize = 4 << 10;

/// Finished members that may wait for the wire.
const WAITING: usize = 8;

/// Numbers of waiting members from which on members are compressed: fast; fast where the link is not known yet; thoroughly.
const FAST: usize = 1;
const UNKNOWN: usize = 2;
const THOROUGH: usize = 6;

/// Bytes a second of a link of which nothing is known: Gigabit Ethernet's payload.
pub(super) const LINK: f64 = 117e6;
/// Bytes a second that one core compresses.
const COMPRESS: f64 = 80e6;
/// Bytes a second that come out of a device's gunzip. Docker's own is written in Go; measured on a desktop 150, a VPU has slower
/// cores.
const DECOMPRESS: f64 = 90e6;
/// A link of fewer bytes a second leaves time to compress thoroughly.
const SLOW: f64 = 12e6;

/// The way in which a stream is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// The stream is not compressed.
    Plain,
    /// Compressed fast.
    Fast,
    /// Compressed as far as there is time.
    Thorough,
}

impl Packing {
    /// Returns the packing that takes the least time, and its time in seconds for each byte. `link` is the speed of the
    /// link in bytes a second, `ratio` the compressed size of each byte.
    pub fn of(link: f64, ratio: f64) -> (Self, f64) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(8) as f64;
        let plain = 1.0 / link;
        let packed = (ratio / link).max(1.0 / (COMPRESS * cores)).max(1.0 / DECOMPRESS);
        match packed < plain {
            false => (Self::Plain, plain),
            true if link < SLOW => (Self::Thorough, packed),
            true => (Self::Fast, packed),
        }
    }
}

type Job = (Vec<u8>, Option<Packing>, SyncSender<std::io::Result<Vec<u8>>>);

/// Compresses pieces on all cores, in order, or not at all where that is faster and the receiver is no gunzip. The threads end
/// with the stream or when the receiver is dropped. Without a packing nothing is known of the link.
pub fn compress(pieces: Pieces, packing: Option<Packing>, gunzip: bool) -> Pieces {
    if packing == Some(Packing::Plain) && !gunzip {
        return pieces;
    }
    let (out, receiver) = mpsc::channel(WAITING);
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let (jobs, queue) = threads::sync_channel::<Job>(workers);
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..workers {
        let (queue, out) = (Arc::clone(&queue), out.downgrade());
        std::thread::spawn(move || work(&queue, &out));
    }
    let (order, ordered) = threads::sync_channel(workers * 2);
    std::thread::spawn(move || deal(pieces, packing, &jobs, &order));
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
fn deal(
    mut pieces: Pieces,
    packing: Option<Packing>,
    jobs: &SyncSender<Job>,
    order: &SyncSender<Receiver<std::io::Result<Vec<u8>>>>,
) {
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
            if jobs.send((member, packing, answer)).is_err() || order.send(receiver).is_err() {
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
    // Made once, and members of one size: what is given back can be taken again, and memory does not grow by pieces in between.
    let mut engines = HashMap::new();
    loop {
        let job = queue.lock().map(|queue| queue.recv());
        let Ok(Ok((member, packing, answer))) = job else { return };
        let waiting = out.upgrade().map_or(0, |out| WAITING - out.capacity());
        let _ = answer.send(pack(&member, level(packing, waiting), &mut engines));
    }
}

/// Returns the compression level for the next member while `waiting` finished members wait to be sent.
fn level(packing: Option<Packing>, waiting: usize) -> Compression {
    match (packing, waiting) {
        (Some(Packing::Thorough), THOROUGH..) => Compression::new(6),
        (Some(Packing::Fast | Packing::Thorough), FAST..) | (None, UNKNOWN..) => Compression::fast(),
        _ => Compression::none(),
    }
}

/// Compresses a member of a gzip stream (RFC 1952).
fn pack(member: &[u8], level: Compression, engines: &mut HashMap<u32, Compress>) -> std::io::Result<Vec<u8>> {
    let engine = engines.entry(level.level()).or_insert_with(|| Compress::new(level, false));
    engine.reset();
    let mut packed = Vec::with_capacity(MEMBER + FRAME);
    packed.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
    let mut crc = Crc::new();
    crc.update(member);
    loop {
        let read = usize::try_from(engine.total_in()).unwrap_or(usize::MAX);
        let rest = member.get(read..).unwrap_or_default();
        if engine.compress_vec(rest, &mut packed, FlushCompress::Finish)? == Status::StreamEnd {
            break;
        }
        packed.reserve(FRAME);
    }
    packed.extend_from_slice(&crc.sum().to_le_bytes());
    packed.extend_from_slice(&crc.amount().to_le_bytes());
    Ok(packed)
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
        let packed = all(compress(source(pieces), Some(Packing::Thorough), false)).concat();
        let mut back = Vec::new();
        flate2::read::MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut back).expect("gzip");
        assert_eq!(back, content);
    }

    #[test]
    fn a_slow_wire_gets_smaller_members_than_a_fast_one() {
        let zeros = || (0..64).map(|_| Ok(vec![0; MEMBER])).collect();
        let slow = compress(source(zeros()), Some(Packing::Thorough), false);
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
        for packing in [None, Some(Packing::Plain), Some(Packing::Thorough)] {
            let mut packed = compress(source(vec![Ok(vec![1; 10]), Err(std::io::Error::other("cut"))]), packing, false);
            assert!(packed.blocking_recv().expect("a member").is_ok());
            assert_eq!(packed.blocking_recv().expect("an end").expect_err("the error").to_string(), "cut");
            assert!(packed.blocking_recv().is_none());
        }
    }

    #[test]
    fn over_a_fast_link_a_stream_goes_as_it_is_unless_gunzip_waits_for_it() {
        let zeros = || vec![Ok(vec![0; MEMBER]), Ok(vec![0; 10])];
        assert_eq!(all(compress(source(zeros()), Some(Packing::Plain), false)).concat(), vec![0; MEMBER + 10]);
        let stored = all(compress(source(zeros()), Some(Packing::Plain), true)).concat();
        assert!(stored.starts_with(&[0x1f, 0x8b]) && stored.len() > MEMBER);
    }

    #[test]
    fn what_is_compressed_and_how_depends_on_the_link_and_on_what_it_saves() {
        assert_eq!(Packing::of(5e6, 0.5).0, Packing::Thorough);
        assert_eq!(Packing::of(50e6, 0.7).0, Packing::Fast);
        assert_eq!(Packing::of(50e6, 1.0).0, Packing::Plain);
        assert_eq!(Packing::of(500e6, 0.1).0, Packing::Plain);
    }
}
