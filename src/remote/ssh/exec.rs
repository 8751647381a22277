//! Running one command: its input goes out while its output comes in, until its end is seen.

use std::{
    io,
    time::{Duration, Instant},
};

use russh::{Channel, ChannelMsg, ChannelOpenFailure, ChannelWriteHalf, Sig, client::Msg};
use tokio::sync::{SemaphorePermit, mpsc};

use super::{LOG, Ssh, pieces::PIECE};
use crate::{
    command::Command,
    remote::{Exit, Input, OnOutput, RemoteError, Stream, last_lines, printable},
    secret::masked_beginning,
};

/// Where a command's output goes.
pub(super) enum Sink<'a, 'b> {
    /// To a function, as it comes.
    Call(&'a mut OnOutput<'b>),
    /// Standard output to another thread, which may hold it back; standard error into a buffer of bounded size.
    Pieces(mpsc::Sender<Vec<u8>>, &'a mut Vec<u8>),
}

/// The most that is kept of standard error, and the most of a command's output that is logged, in bytes.
const KEPT: usize = 64 << 10;

/// How long a session is waited for when the device has no more of them, and how often it is asked.
const SESSION_DEADLINE: Duration = Duration::from_secs(10);
const SESSION_PAUSE: Duration = Duration::from_millis(50);

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
    let (channel, _permit) = open(ssh, command).await?;
    let (mut read, write) = channel.split();
    let mut write = Hold(Some(write));
    let Hold(Some(writer)) = &write else { return Err(ssh.lost().await) };
    if writer.exec(true, command.line()).await.is_err() {
        return Err(ssh.lost().await);
    }
    let (mut exit, mut ended) = (None, false);
    let mut gathered = Vec::new();
    {
        let sending = send(writer, input, sent);
        tokio::pin!(sending);
        let mut is_sending = true;
        loop {
            let message = tokio::select! {
                message = read.wait() => message,
                result = &mut sending, if is_sending => {
                    is_sending = false;
                    // A connection that is gone shows itself on the reading side, with its reason.
                    match result {
                        Err(SendEnd::Input(error)) => return Err(RemoteError::Input(error)),
                        Err(SendEnd::Closed) | Ok(()) => continue,
                    }
                }
            };
            match message {
                Some(ChannelMsg::Data { data }) => {
                    if !command.is_private() {
                        note(transcript, &data);
                    }
                    match sink {
                        Sink::Call(output) => output(Stream::Stdout, &data),
                        // Packets are small: each by itself would wake the other thread.
                        Sink::Pieces(pieces, _) => {
                            gathered.extend_from_slice(&data);
                            if gathered.len() >= PIECE {
                                hand_over(pieces, &mut gathered).await?;
                            }
                        }
                    }
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    if !command.is_private() {
                        note(transcript, &data);
                    }
                    match sink {
                        Sink::Call(output) => output(Stream::Stderr, &data),
                        Sink::Pieces(_, stderr) => note(stderr, &data),
                    }
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => {
                    exit = Some(Exit::Code(exit_status));
                    is_sending = false;
                }
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    exit = Some(Exit::Signal(signal_text(signal_name)));
                    is_sending = false;
                }
                Some(ChannelMsg::Eof) => ended = true,
                Some(ChannelMsg::Failure) => return Err(refused(command, "the device refuses to run it")),
                Some(ChannelMsg::Close) => {
                    ended = true;
                    break;
                }
                Some(_) => {}
                None => break,
            }
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
        return Ok(exit);
    }
    if ended && ssh.lost.borrow().is_none() && !ssh.handle.is_closed() {
        return Err(RemoteError::Lost { reason: format!("the end of `{}` was not seen", command.shown()) });
    }
    Err(ssh.lost().await)
}

/// Hands over what was gathered. Whoever took it and gave up knows why.
async fn hand_over(pieces: &mpsc::Sender<Vec<u8>>, gathered: &mut Vec<u8>) -> Result<(), RemoteError> {
    if gathered.is_empty() {
        return Ok(());
    }
    let piece = std::mem::replace(gathered, Vec::with_capacity(PIECE + (32 << 10)));
    pieces.send(piece).await.map_err(|_| RemoteError::Input(io::ErrorKind::BrokenPipe.into()))
}

async fn open<'a>(ssh: &'a Ssh, command: &Command) -> Result<(Channel<Msg>, SemaphorePermit<'a>), RemoteError> {
    let permit = ssh.sessions.acquire().await.expect("the semaphore is never closed");
    let deadline = Instant::now() + SESSION_DEADLINE;
    loop {
        match ssh.handle.channel_open_session().await {
            Ok(channel) => return Ok((channel, permit)),
            // A session counts on the device until sshd has cleaned up behind it, a moment after its end was seen here.
            Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed)) if Instant::now() < deadline => {
                tokio::time::sleep(SESSION_PAUSE).await;
            }
            Err(russh::Error::ChannelOpenFailure(reason)) => {
                return Err(refused(command, &format!("the device opens no further session: {reason:?}")));
            }
            Err(_) => return Err(ssh.lost().await),
        }
    }
}

/// Not run at all: 126 is what a shell says of a command that it cannot run.
fn refused(command: &Command, why: &str) -> RemoteError {
    RemoteError::Failed { command: command.shown(), exit: Exit::Code(126), last_lines: vec![why.into()] }
}

enum SendEnd {
    Input(io::Error),
    Closed,
}

async fn send(writer: &ChannelWriteHalf<Msg>, input: Input, sent: &mut dyn FnMut(usize)) -> Result<(), SendEnd> {
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
    while let Some(piece) = pieces.recv().await {
        let piece = piece.map_err(SendEnd::Input)?;
        let length = piece.len();
        writer.data_bytes(piece).await.map_err(|_| SendEnd::Closed)?;
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
