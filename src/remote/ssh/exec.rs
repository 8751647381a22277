//! Running one command: its input goes out while its output comes in, until its end is seen.

use std::{
    io,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use russh::{ChannelMsg, ChannelWriteHalf, Sig, client::Msg};
use tokio::sync::mpsc;

use super::{
    LOG, Ssh,
    frame::Frame,
    pieces::PIECE,
    sessions,
    silence::{self, Activity},
};
use crate::{
    command::Command,
    remote::{Exit, Input, OnOutput, RemoteError, Stream, last_lines, printable},
    secret::masked_beginning,
};

/// The receiver of a command's output.
pub(super) enum Sink<'a, 'b> {
    /// A function that is called with each piece of output.
    Call(&'a mut OnOutput<'b>),
    /// Standard output to another thread, which may hold it back; standard error into a buffer of bounded size.
    Pieces(mpsc::Sender<Vec<u8>>, &'a mut Vec<u8>),
}

/// The most that is kept of standard error, and the most of a command's output that is logged, in bytes.
const KEPT: usize = 64 << 10;

/// Maximum time that the device's login shell may take to start the command.
const SHELL_START_MAX: Duration = Duration::from_secs(20);

/// Runs `command`. `sent` is told the length of each piece of input that went out.
pub(super) async fn exchange(
    ssh: &Ssh,
    command: &Command,
    input: Input,
    sent: &mut dyn FnMut(usize),
    mut sink: Sink<'_, '_>,
) -> Result<Exit, RemoteError> {
    tracing::debug!(target: LOG, "$ {}", command.shown());
    let (started, mut transcript) = (Instant::now(), Vec::new());
    let result = converse(ssh, command, input, sent, &mut sink, &mut transcript).await;
    log_end(&transcript, &result, started.elapsed());
    result
}

async fn converse(
    ssh: &Ssh,
    command: &Command,
    input: Input,
    sent: &mut dyn FnMut(usize),
    sink: &mut Sink<'_, '_>,
    transcript: &mut Vec<u8>,
) -> Result<Exit, RemoteError> {
    let (channel, _permit) = sessions::open(ssh, command).await?;
    let (mut read, write) = channel.split();
    let mut write = Hold(Some(write));
    let Hold(Some(writer)) = &write else { return Err(ssh.lost().await) };
    let mut frame = Frame::new();
    if writer.exec(true, frame.line(command)).await.is_err() {
        return Err(ssh.lost().await);
    }
    let (mut exit, mut ended) = (None, false);
    let mut gathered = Vec::new();
    {
        let activity = Activity::default();
        let sending = send(writer, input, sent, &activity);
        let shell_limit = tokio::time::sleep(SHELL_START_MAX);
        let silent = silence::exceeded(ssh, command, &activity);
        tokio::pin!(sending, shell_limit, silent);
        let mut is_sending = true;
        loop {
            // On a new connection nothing is sent before it is seen that the login shell does not read it in the command's place.
            let may_send = is_sending && (frame.has_begun() || ssh.shell_starts.load(Ordering::Relaxed));
            let message = tokio::select! {
                message = read.wait() => message,
                result = &mut sending, if may_send => {
                    is_sending = false;
                    // A connection that is gone shows itself on the reading side, with its reason.
                    match result {
                        Err(SendEnd::Input(error)) => return Err(RemoteError::Input(error)),
                        Err(SendEnd::Closed) | Ok(()) => continue,
                    }
                }
                () = &mut shell_limit, if !frame.has_begun() && exit.is_none() => {
                    let reason = format!("does not come to the command within {} s", SHELL_START_MAX.as_secs());
                    return Err(shell(ssh, &frame, reason));
                }
                error = &mut silent, if frame.has_begun() => return Err(error),
            };
            let (stream, data) = match message {
                Some(ChannelMsg::Data { data }) => (Stream::Stdout, data),
                Some(ChannelMsg::ExtendedData { data, .. }) => (Stream::Stderr, data),
                Some(ChannelMsg::ExitStatus { exit_status }) => {
                    exit = Some(Exit::Code(exit_status));
                    is_sending = false;
                    continue;
                }
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    exit = Some(Exit::Signal(signal_text(signal_name)));
                    is_sending = false;
                    continue;
                }
                Some(ChannelMsg::Eof) => {
                    ended = true;
                    continue;
                }
                Some(ChannelMsg::Failure) => {
                    return Err(sessions::refused(command, "it refuses to run a command".into()));
                }
                Some(ChannelMsg::Close) => {
                    ended = true;
                    break;
                }
                Some(_) => continue,
                None => break,
            };
            let had_begun = frame.has_begun();
            let own = frame.own(stream, &data);
            if frame.has_begun() && !had_begun {
                ssh.shell_starts.store(true, Ordering::Relaxed);
                log_before(&frame);
            }
            if !command.is_private() {
                note(transcript, own);
            }
            match (&mut *sink, stream) {
                (_, _) if own.is_empty() => {}
                (Sink::Call(output), _) => output(stream, own),
                // Packets are small: each by itself would wake the other thread.
                (Sink::Pieces(pieces, _), Stream::Stdout) => {
                    gathered.extend_from_slice(own);
                    if gathered.len() >= PIECE {
                        hand_over(pieces, &mut gathered).await?;
                    }
                }
                (Sink::Pieces(_, stderr), Stream::Stderr) => note(stderr, own),
            }
            activity.now();
        }
    }
    // Of a connection that was lost, too.
    if let Sink::Pieces(pieces, _) = sink {
        let _ = hand_over(pieces, &mut gathered).await;
    }
    if ended && let Some(exit) = exit {
        if let Some(write) = write.0.take() {
            // The device closed its side; a connection that broke since changes nothing about what was seen.
            let _ = write.close().await;
        }
        if !frame.has_begun() {
            return Err(shell(ssh, &frame, format!("ended before the command began ({exit})")));
        }
        return Ok(exit);
    }
    if ended && ssh.lost.borrow().is_none() && !ssh.handle.is_closed() {
        return Err(RemoteError::Lost { reason: format!("the end of `{}` was not seen", command.shown()) });
    }
    Err(ssh.lost().await)
}

/// Returns the error for a login shell that has not started the command.
fn shell(ssh: &Ssh, frame: &Frame, reason: String) -> RemoteError {
    RemoteError::LoginShell { user: ssh.user.clone(), reason, last_lines: last_lines(&frame.before(), 20) }
}

fn log_before(frame: &Frame) {
    for line in last_lines(&frame.before(), 20) {
        tracing::debug!(target: LOG, "  (before the command) {line}");
    }
}

/// Hands over what was gathered. Whoever took it and gave up knows why.
async fn hand_over(pieces: &mpsc::Sender<Vec<u8>>, gathered: &mut Vec<u8>) -> Result<(), RemoteError> {
    if gathered.is_empty() {
        return Ok(());
    }
    let piece = std::mem::replace(gathered, Vec::with_capacity(PIECE + (32 << 10)));
    pieces.send(piece).await.map_err(|_| RemoteError::Input(io::ErrorKind::BrokenPipe.into()))
}

enum SendEnd {
    Input(io::Error),
    Closed,
}

async fn send(
    writer: &ChannelWriteHalf<Msg>,
    input: Input,
    sent: &mut dyn FnMut(usize),
    activity: &Activity,
) -> Result<(), SendEnd> {
    let mut pieces = match input {
        Input::Empty => return writer.eof().await.map_err(|_| SendEnd::Closed),
        Input::Bytes(bytes) => {
            let (sender, pieces) = mpsc::channel(bytes.len() / PIECE + 1);
            for piece in bytes.chunks(PIECE) {
                // There is room for all.
                let _ = sender.try_send(Ok(piece.to_vec()));
            }
            pieces
        }
        Input::Pieces(pieces) => pieces,
    };
    while let Some(piece) = activity.of_this_side(pieces.recv()).await {
        let piece = piece.map_err(SendEnd::Input)?;
        let length = piece.len();
        writer.data_bytes(piece).await.map_err(|_| SendEnd::Closed)?;
        activity.now();
        sent(length);
    }
    writer.eof().await.map_err(|_| SendEnd::Closed)
}

/// Ends the command when it is given up, so that nothing goes on running on the device: sshd passes the signal on, and closes
/// the command's input and output.
struct Hold(Option<ChannelWriteHalf<Msg>>);

impl Drop for Hold {
    fn drop(&mut self) {
        let (Some(write), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) else { return };
        runtime.spawn(async move {
            // On a connection that is gone there is nothing to end.
            let _ = write.signal(Sig::TERM).await;
            let _ = write.close().await;
        });
    }
}

fn signal_text(signal: Sig) -> String {
    match signal {
        Sig::Custom(name) => printable(&name),
        named => format!("{named:?}"),
    }
}

fn note(kept: &mut Vec<u8>, data: &[u8]) {
    let room = KEPT.saturating_sub(kept.len());
    kept.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
}

fn log_end(transcript: &[u8], result: &Result<Exit, RemoteError>, took: Duration) {
    if transcript.contains(&0) {
        tracing::debug!(target: LOG, "  (binary output)");
    } else {
        // Where it was cut a secret may begin.
        let text = String::from_utf8_lossy(transcript);
        for line in last_lines(masked_beginning(&text).as_bytes(), usize::MAX) {
            tracing::debug!(target: LOG, "  {line}");
        }
        if transcript.len() == KEPT {
            tracing::debug!(target: LOG, "  (more output is left out)");
        }
    }
    match result {
        Ok(exit) => tracing::debug!(target: LOG, "  {exit} after {:.3} s", took.as_secs_f64()),
        Err(error) => tracing::debug!(target: LOG, "  {error} after {:.3} s", took.as_secs_f64()),
    }
}
