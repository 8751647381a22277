//! A lost connection is made again: how often, after which pauses, and in which words.

use std::time::Duration;

use crate::{
    failure::{Failure, FailureKind},
    report::{Event, Report},
    run::{Interrupt, RunError},
};

/// Default number of reconnects: with the pauses and the time to connect, longer than a device needs to start.
pub const RECONNECTS: u32 = 8;

/// The first pause and the longest; each is twice the one before.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// Counts the connections of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reconnect {
    limit: u32,
    made: u32,
}

impl Reconnect {
    /// Allows at most `limit` reconnects in total.
    pub(super) const fn new(limit: u32) -> Self {
        Self { limit, made: 0 }
    }

    /// Returns whether this is not the first connection.
    pub(super) const fn is_under_way(self) -> bool {
        self.made > 0
    }

    /// Says that the connection is made again, and waits before it is. A failure that is none of the connection's, or one too
    /// many, is given back.
    pub(super) async fn wait(
        &mut self,
        failure: Failure,
        interrupt: &Interrupt,
        report: &mut dyn Report,
    ) -> Result<(), Failure> {
        // A device that does not answer is a reason only where it did before.
        let lost = match failure.kind() {
            FailureKind::ConnectionLost => true,
            FailureKind::Unreachable => self.is_under_way(),
            _ => false,
        };
        if !lost || self.made >= self.limit {
            return Err(failure);
        }
        let pause = pause(self.made);
        self.made += 1;
        let (made, limit, seconds) = (self.made, self.limit, pause.as_secs());
        let text =
            format!("{failure}; connecting again in {seconds} s ({made} of at most {limit} times), to go on where it was");
        report.event(&Event::Warning { text });
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = interrupt.wait() => match failure.stage {
                Some(stage) => Err(Failure::from(RunError::Interrupted).in_stage(stage)),
                None => Err(RunError::Interrupted.into()),
            },
        }
    }
}

fn pause(made: u32) -> Duration {
    FIRST.saturating_mul(2_u32.saturating_pow(made)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{remote::RemoteError, report::Question, stage::Stage};

    #[derive(Default)]
    struct Told(Vec<String>);

    impl Report for Told {
        fn event(&mut self, event: &Event) {
            if let Event::Warning { text } = event {
                self.0.push(text.clone());
            }
        }

        fn ask(&mut self, _: &Question) -> Option<String> {
            None
        }
    }

    fn lost() -> Failure {
        Failure::from(RemoteError::Lost { reason: "the device closed it".into() }).in_stage(Stage::Image)
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_connection_is_made_again_after_growing_pauses_and_not_for_ever() {
        let (mut reconnect, mut told, begin) = (Reconnect::new(RECONNECTS), Told::default(), tokio::time::Instant::now());
        for _ in 0..RECONNECTS {
            reconnect.wait(lost(), &Interrupt::default(), &mut told).await.expect("again");
        }
        assert_eq!(begin.elapsed(), Duration::from_secs(1 + 2 + 4 + 8 + 16 + 30 + 30 + 30));
        let failure = reconnect.wait(lost(), &Interrupt::default(), &mut told).await.expect_err("enough");
        assert_eq!(failure.kind(), FailureKind::ConnectionLost);
        assert_eq!(
            told.0.first().map(String::as_str),
            Some(
                "image: the connection to the device was lost: the device closed it; connecting again in 1 s (1 of at most 8 times), to go on where it was"
            )
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_loss_and_what_the_user_ends_is_not_tried_again() {
        let (mut reconnect, mut told) = (Reconnect::new(RECONNECTS), Told::default());
        let other = reconnect.wait(RunError::NoContainer("app".into()).into(), &Interrupt::default(), &mut told).await;
        assert_eq!(other.expect_err("another failure").kind(), FailureKind::RemoteCommand);
        let interrupt = Interrupt::default();
        interrupt.press();
        let ended = reconnect.wait(lost(), &interrupt, &mut told).await.expect_err("interrupted");
        assert_eq!(ended.to_string(), "image: interrupted");
        assert!(Reconnect::new(0).wait(lost(), &Interrupt::default(), &mut told).await.is_err());
    }
}
