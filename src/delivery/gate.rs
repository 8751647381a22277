//! Lets the parcels follow each other closely, and no closer than the device can bear.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::sync::{Notify, mpsc};

use super::{Delivery, forecast::CALL};

/// Number of bytes of the next parcel that may arrive beyond the space that the largest parcel needs.
pub(super) const AHEAD: u64 = 8 << 20;

/// Minimum size of a parcel, in bytes, from which the unpacking speed of the device can be measured: the end of a smaller
/// one may still be on its way when the device begins.
const TELLING: u64 = 32 << 20;

/// Pieces of an archive.
pub type Pieces = mpsc::Receiver<std::io::Result<Vec<u8>>>;

/// The state that the parcels of one delivery share.
#[derive(Clone, Debug, Default)]
pub struct ParcelSequencer {
    shared: Rc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Parcels that the device has unpacked.
    done: Cell<usize>,
    changed: Notify,
    /// Bytes that have passed.
    passed: Cell<u64>,
    /// Time at which the last piece passed.
    last: Cell<Option<Instant>>,
    /// Time at which the last piece of a parcel passed when no parcel before it was left: from then on the device works on
    /// that parcel alone.
    begun: Cell<Option<Instant>>,
    /// The time that the device worked, and the number of bytes that it unpacked, as far as they are known.
    worked: Cell<(Duration, u64)>,
}

/// A parcel's place in the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParcelSlot {
    /// Index of the parcel in its delivery.
    pub parcel: usize,
    /// Number of its bytes that may be sent while the parcel before it is still being unpacked.
    pub early: u64,
}

impl ParcelSlot {
    /// Returns the slots of a delivery: two neighbours together need no more space than [`Delivery::peak`].
    pub fn of(delivery: &Delivery) -> Vec<Self> {
        let sizes: Vec<_> = delivery.parcels.iter().map(|parcel| delivery.bytes(parcel)).collect();
        let before = [0].into_iter().chain(sizes.iter().copied());
        // What is rebuilt grows on the device: it waits until there is room for all of it.
        let early = |parcel, before| if delivery.rebuild(parcel).is_some() { 0 } else { delivery.peak() - before };
        before.zip(&sizes).enumerate().map(|(parcel, (before, _))| Self { parcel, early: early(parcel, before) }).collect()
    }
}

impl ParcelSequencer {
    /// Passes the pieces of a parcel on, the last of them only when the device has unpacked the parcel before: until then
    /// docker cannot put its layers on anything.
    pub fn pass(&self, turn: ParcelSlot, mut pieces: Pieces) -> Pieces {
        let (sender, receiver) = mpsc::channel(1);
        let gate = self.clone();
        tokio::task::spawn_local(async move {
            let mut sent = 0;
            let mut held = pieces.recv().await;
            while let Some(piece) = held {
                held = pieces.recv().await;
                let is_last = held.is_none();
                let bytes = piece.as_ref().map_or(0, |piece| piece.len() as u64);
                if is_last || sent + bytes > turn.early {
                    gate.wait(turn.parcel).await;
                }
                if sender.send(piece).await.is_err() {
                    return;
                }
                sent += bytes;
                gate.shared.passed.set(gate.shared.passed.get() + bytes);
                gate.shared.last.set(Some(Instant::now()));
                if is_last {
                    gate.shared.begun.set(Some(Instant::now()));
                }
            }
        });
        receiver
    }

    /// Waits until all parcels before this one are unpacked.
    async fn wait(&self, parcel: usize) {
        loop {
            let changed = self.shared.changed.notified();
            if self.shared.done.get() >= parcel {
                return;
            }
            changed.await;
        }
    }

    /// Notes that the device has unpacked a parcel; `bytes` is the size of its layers, if they were sent as they are.
    pub fn unpacked(&self, bytes: Option<u64>) {
        let begun = self.shared.begun.take();
        if let (Some(bytes), Some(begun)) = (bytes.filter(|bytes| *bytes >= TELLING), begun) {
            let (time, before) = self.shared.worked.get();
            self.shared.worked.set((time + begun.elapsed().saturating_sub(CALL), before + bytes));
        }
        self.shared.done.set(self.shared.done.get() + 1);
        self.shared.changed.notify_waiters();
    }

    /// Returns the time at which the last piece passed.
    pub fn all_passed(&self) -> Instant {
        self.shared.last.get().unwrap_or_else(Instant::now)
    }

    /// Returns the time that the device took to unpack, and the number of bytes that it unpacked.
    pub fn worked(&self) -> (Duration, u64) {
        self.shared.worked.get()
    }

    /// Bytes that have passed, of all parcels.
    pub fn passed(&self) -> u64 {
        self.shared.passed.get()
    }
}

/// Returns the pieces without the first `bytes`.
pub fn behind(bytes: u64, mut pieces: Pieces) -> Pieces {
    let (sender, receiver) = mpsc::channel(1);
    tokio::task::spawn_local(async move {
        let mut left = bytes;
        while let Some(piece) = pieces.recv().await {
            let piece = piece.map(|mut piece| {
                let cut = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                left -= cut as u64;
                piece.drain(..cut);
                piece
            });
            if !matches!(&piece, Ok(piece) if piece.is_empty()) && sender.send(piece).await.is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, test);
    }

    fn pieces(count: u8) -> Pieces {
        let (sender, receiver) = mpsc::channel(usize::from(count));
        for number in 0..count {
            sender.try_send(Ok(vec![number; 10])).expect("room");
        }
        receiver
    }

    #[test]
    fn the_last_piece_waits_for_the_parcel_before() {
        run(async {
            let gate = ParcelSequencer::default();
            let mut out = gate.pass(ParcelSlot { parcel: 1, early: 1000 }, pieces(3));
            assert_eq!(out.recv().await.map(|piece| piece.expect("a piece")[0]), Some(0));
            assert_eq!(out.recv().await.map(|piece| piece.expect("a piece")[0]), Some(1));
            tokio::task::yield_now().await;
            assert!(out.try_recv().is_err());
            gate.unpacked(None);
            assert_eq!(out.recv().await.map(|piece| piece.expect("a piece")[0]), Some(2));
            assert!(out.recv().await.is_none());
            assert_eq!(gate.passed(), 30);
        });
    }

    #[test]
    fn how_fast_the_device_unpacks_is_told_by_large_parcels_that_come_as_they_are() {
        run(async {
            for (bytes, told) in [(Some(TELLING), TELLING), (Some(TELLING - 1), 0), (None, 0)] {
                let gate = ParcelSequencer::default();
                let mut out = gate.pass(ParcelSlot { parcel: 0, early: 1000 }, pieces(2));
                while out.recv().await.is_some() {}
                std::thread::sleep(CALL + Duration::from_millis(50));
                gate.unpacked(bytes);
                let (time, worked) = gate.worked();
                assert_eq!(worked, told, "{bytes:?}");
                assert_eq!(time >= Duration::from_millis(50), told > 0, "{time:?}");
            }
        });
    }

    #[test]
    fn no_more_arrives_early_than_the_device_has_room_for() {
        run(async {
            let gate = ParcelSequencer::default();
            let mut out = gate.pass(ParcelSlot { parcel: 1, early: 10 }, pieces(3));
            assert!(out.recv().await.is_some());
            tokio::task::yield_now().await;
            assert!(out.try_recv().is_err());
            gate.unpacked(None);
            assert!(out.recv().await.is_some());
        });
    }

    #[test]
    fn neighbours_share_the_room_of_the_largest() {
        let delivery = Delivery::new(vec![100 << 20, 40 << 20, 100 << 20], 0);
        let early: Vec<_> = ParcelSlot::of(&delivery).iter().map(|turn| turn.early >> 20).collect();
        assert_eq!(early, [108, 8, 68]);
    }

    #[test]
    fn what_is_there_already_is_passed_over() {
        run(async {
            let mut out = behind(25, pieces(4));
            let mut left = Vec::new();
            while let Some(piece) = out.recv().await {
                left.extend(piece.expect("a piece"));
            }
            assert_eq!(left, [vec![2; 5], vec![3; 10]].concat());
        });
    }
}
