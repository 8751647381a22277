//! The device as something that runs commands and takes and gives files; how that travels is the business of `ssh`.

use std::path::PathBuf;

use crate::{
    command::Command,
    failure::{DOCKER_SILENT_HINT, Explain, FailureKind},
    text::printable,
};

#[cfg(test)]
pub mod fake;
pub mod ssh;

/// A device that can be worked on. One implementation speaks SSH; unit tests bring a fake.
#[expect(async_fn_in_trait, reason = "all of it runs on one current-thread runtime: no future has to be Send")]
pub trait Remote {
    /// Runs `command`, feeds it `input` and hands each piece of output to `output` as it comes.
    ///
    /// # Errors
    /// Only when the command could not be run or its end was not seen; a command that fails is an [`Exit`].
    async fn exec(&self, command: &Command, input: Input, output: &mut OnOutput<'_>) -> Result<Exit, RemoteError>;

    /// Runs a command that receives local files as one tar archive, each at its exact path, with its mode. `progress` is
    /// called with the number of bytes of each piece of a file that was sent.
    ///
    /// # Errors
    /// The first file that fails ends it; what was put stays.
    async fn put(&self, taking: &TarUpload<'_>, progress: &mut OnBytes<'_>) -> Result<(), RemoteError>;

    /// Runs a command that takes in the bytes of one local file, from `rest.from` on.
    ///
    /// # Errors
    /// When they could not be read here or written there; what arrived stays.
    async fn append(&self, command: &Command, rest: &FileRange, progress: &mut OnBytes<'_>) -> Result<(), RemoteError>;

    /// Runs a command that gives files as tar archives, and puts each into a local file that is created or truncated. A file
    /// that grows meanwhile is taken as far as it goes; one that vanished is [`Downloaded::Vanished`]. The answers stand in the order
    /// of the files; what was not asked for is passed over.
    ///
    /// # Errors
    /// Anything but a file that vanished.
    async fn get(&self, giving: &TarDownload<'_>, progress: &mut OnBytes<'_>) -> Result<Vec<Downloaded>, RemoteError>;

    /// Runs a command that gives the bytes of one file from `rest.from` on, and writes them into the local file from there on.
    ///
    /// # Errors
    /// When it cannot be read there or written here, and when it ends too early; what came stays.
    async fn take(&self, command: &Command, rest: &FileRange, progress: &mut OnBytes<'_>) -> Result<(), RemoteError>;

    /// Bytes sent to it so far, with all that the transport adds.
    fn bytes_sent(&self) -> u64;

    /// Runs `command` without input and keeps its output (at most [`CAPTURE_LIMIT`] bytes of each stream).
    ///
    /// # Errors
    /// As [`Remote::exec`], and as soon as the device has sent more than the limit.
    async fn run(&self, command: &Command, input: Input) -> Result<Output, RemoteError> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let too_much = tokio::sync::Notify::new();
        let mut keep = |stream, bytes: &[u8]| {
            let kept = if stream == Stream::Stdout { &mut stdout } else { &mut stderr };
            let room = CAPTURE_LIMIT.saturating_sub(kept.len());
            kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            if bytes.len() > room {
                too_much.notify_one();
            }
        };
        // Output without end is not waited for: giving the command up ends it.
        let exit = tokio::select! {
            biased;
            () = too_much.notified() => Err(RemoteError::TooMuch { command: command.shown() }),
            exit = self.exec(command, input, &mut keep) => exit,
        };
        Ok(Output { exit: exit?, stdout, stderr })
    }

    /// Runs `command` and fails unless it succeeds; gives its standard output.
    ///
    /// # Errors
    /// [`RemoteError::Failed`] with its last lines when it ends with anything but 0.
    async fn check(&self, command: &Command) -> Result<Vec<u8>, RemoteError> {
        self.run(command, Input::Empty).await?.success(command)
    }
}

/// The most that is kept of one stream of a command's output, in bytes.
pub const CAPTURE_LIMIT: usize = 64 << 20;

/// Takes pieces of output as they come.
pub type OnOutput<'a> = dyn FnMut(Stream, &[u8]) + 'a;

/// Is told of bytes that went over the wire.
pub type OnBytes<'a> = dyn FnMut(u64) + 'a;

/// The standard input of a command.
#[derive(Debug)]
pub enum Input {
    /// Nothing: end of file at once.
    Empty,
    /// The command gets these bytes.
    Bytes(Vec<u8>),
    /// Pieces (128 to 256 KiB each) that another thread reads, hashes or compresses; an `Err` aborts the command.
    Pieces(tokio::sync::mpsc::Receiver<std::io::Result<Vec<u8>>>),
}

/// One of a command's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The way in which a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command ended by itself, with this exit code.
    Code(u32),
    /// The command was ended by a signal, named without `SIG`.
    Signal(String),
}

impl Exit {
    /// Returns whether the command ended with exit code 0.
    pub fn is_success(&self) -> bool {
        *self == Self::Code(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "exit code {code}"),
            Self::Signal(name) => write!(formatter, "killed by signal {name}"),
        }
    }
}

/// A finished command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The way in which the command ended.
    pub exit: Exit,
    /// Standard output of the command.
    pub stdout: Vec<u8>,
    /// Standard error of the command.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Returns the standard output of a command that had to succeed.
    ///
    /// # Errors
    /// [`RemoteError::Failed`] when it did not.
    pub fn success(self, command: &Command) -> Result<Vec<u8>, RemoteError> {
        if self.exit.is_success() {
            return Ok(self.stdout);
        }
        let text = if self.stderr.iter().all(u8::is_ascii_whitespace) { &self.stdout } else { &self.stderr };
        Err(RemoteError::Failed { command: command.shown(), exit: self.exit, last_lines: reasons(last_lines(text, 200)) })
    }
}

/// Returns the last lines that say why a command failed. Where one program of a pipeline ends, those before it only say
/// that they could not write any more; and of a full disk each may say it once.
fn reasons(mut lines: Vec<String>) -> Vec<String> {
    if let Some(full) = lines.iter().find(|line| is_no_space(line)) {
        return vec![full.clone()];
    }
    let is_consequence = |line: &String| line.to_ascii_lowercase().ends_with("broken pipe");
    if !lines.iter().all(is_consequence) {
        lines.retain(|line| !is_consequence(line));
    }
    lines.drain(..lines.len().saturating_sub(20));
    lines
}

/// Returns the last `count` lines of a text that came from the device, control characters removed.
pub fn last_lines(bytes: &[u8], count: usize) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<_> = text.lines().map(printable).filter(|line| !line.is_empty()).collect();
    lines.iter().skip(lines.len().saturating_sub(count)).cloned().collect()
}

/// The files, directories and links that one command receives.
#[derive(Clone, Debug)]
pub struct TarUpload<'a> {
    /// Reads `head`, and then an archive.
    pub command: &'a Command,
    /// Bytes that are sent before the archive.
    pub head: Vec<u8>,
    /// Directories to make, each with its permission bits, the outer before the inner.
    pub directories: &'a [(String, u32)],
    /// The files to send.
    pub files: &'a [Put],
    /// Links to make, each with its target.
    pub links: &'a [(String, String)],
}

/// The files that one command gives.
#[derive(Clone, Debug)]
pub struct TarDownload<'a> {
    /// Reads `input`, and gives archives.
    pub command: &'a Command,
    /// Tells it what to give.
    pub input: Vec<u8>,
    /// The files to take from the archives.
    pub files: &'a [Get],
}

/// A local file on its way to the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Path of the file on this computer.
    pub local: PathBuf,
    /// Absolute path of the file on the device.
    pub remote: String,
    /// Permission bits, as `0o755`.
    pub mode: u32,
}

/// A file on its way from the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Get {
    /// Absolute path of the file on the device.
    pub remote: String,
    /// Path on this computer to which its bytes are written.
    pub local: PathBuf,
}

/// A large file, or what is missing of it, on its way by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRange {
    /// Absolute path of the file on the device.
    pub remote: String,
    /// Path of the file on this computer.
    pub local: PathBuf,
    /// Number of bytes that the other side has before.
    pub from: u64,
    /// Number of bytes that the other side has afterwards.
    pub to: u64,
}

/// The result of one [`Get`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Downloaded {
    /// Fetched, with so many bytes.
    Bytes(u64),
    /// The file did not exist any more.
    Vanished,
}

/// Why the device could not be worked on.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// A command ended with something else than 0.
    #[error("`{command}` failed on the device: {exit}{}", last_lines.last().map(|line| format!(": {line}")).unwrap_or_default())]
    Failed {
        /// The command as shown to people.
        command: String,
        /// The way in which the command ended.
        exit: Exit,
        /// The last lines of its output, oldest first.
        last_lines: Vec<String>,
    },
    /// The device has no room left.
    #[error("no space left on the device while writing `{path}`")]
    NoSpace {
        /// The file that did not fit, or what was being done.
        path: String,
    },
    /// A file on the device could not be written or read.
    #[error("`{path}` on the device: {reason}")]
    File {
        /// Path of the file on the device.
        path: String,
        /// The error message of the device.
        reason: String,
    },
    /// A file here could not be read or written.
    #[error("`{path}` on this computer: {source}", path = path.display())]
    Local {
        /// Path of the file on this computer.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The input of a command could not be produced.
    #[error("what was to be sent could not be read: {0}")]
    Input(std::io::Error),
    /// More output than anyone needs.
    #[error("`{command}` sent more than {} MiB", CAPTURE_LIMIT >> 20)]
    TooMuch {
        /// The command as shown to people.
        command: String,
    },
    /// A command was given up because it was silent for too long.
    #[error("{}`{command}` on the device {} {seconds} s", if *.docker { "docker does not answer on the device: " } else { "" }, if *.docker { "was silent for" } else { "timed out after a silence of" })]
    Silent {
        /// The command as shown to people.
        command: String,
        /// Duration of the silence, in seconds.
        seconds: u64,
        /// Whether docker was asked meanwhile, and did not answer.
        docker: bool,
    },
    /// A command's answer is another one than it can give.
    #[error("the answer of `{command}` on the device is not understood: {}", shown_answer(.answer))]
    NotUnderstood {
        /// The command as shown to people.
        command: String,
        /// Answer of the command, or the beginning of it.
        answer: String,
    },
    /// The login shell does not run the command.
    #[error("the login shell of `{user}` on the device {reason}{}", last_lines.last().map(|line| format!(": {line}")).unwrap_or_default())]
    LoginShell {
        /// The user who is logged in.
        user: String,
        /// Description of what the shell does instead.
        reason: String,
        /// The last lines of its output, oldest first.
        last_lines: Vec<String>,
    },
    /// The device opens no session for a command.
    #[error("the device's sshd does not run `{command}`: {reason}")]
    Sessions {
        /// The command as shown to people.
        command: String,
        /// Description of what the device does instead.
        reason: String,
    },
    /// The connection broke.
    #[error("the connection to the device was lost: {reason}")]
    Lost {
        /// Description of the cause.
        reason: String,
    },
}

impl RemoteError {
    /// Returns whether the user on the device lacks the permission.
    fn is_denied(&self) -> bool {
        let says = |line: &String| {
            let line = line.to_ascii_lowercase();
            line.contains("permission denied") || line.contains("operation not permitted")
        };
        match self {
            Self::Failed { last_lines, .. } => last_lines.iter().any(says),
            Self::File { reason, .. } => says(reason),
            _ => false,
        }
    }

    /// Changes the path on the device, where the error names one: users know the destination, not the path at which files
    /// arrive.
    #[must_use]
    pub fn with_path(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::NoSpace { path } => Self::NoSpace { path: change(path) },
            Self::File { path, reason } => Self::File { path: change(path), reason },
            other => other,
        }
    }
}

impl Explain for RemoteError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Failed { last_lines, .. } if last_lines.iter().any(|line| is_no_space(line)) => FailureKind::NoSpace,
            Self::Failed { last_lines, .. } if last_lines.iter().any(|line| is_no_docker(line)) => FailureKind::DockerSilent,
            Self::Silent { docker: true, .. } => FailureKind::DockerSilent,
            Self::Silent { .. } => FailureKind::Silent,
            Self::NotUnderstood { .. } => FailureKind::NotUnderstood,
            Self::LoginShell { .. } => FailureKind::LoginShell,
            Self::Sessions { .. } => FailureKind::Sessions,
            Self::Failed { .. } | Self::File { .. } | Self::TooMuch { .. } => FailureKind::RemoteCommand,
            Self::NoSpace { .. } => FailureKind::NoSpace,
            Self::Local { .. } | Self::Input(_) => FailureKind::LocalFile,
            Self::Lost { .. } => FailureKind::ConnectionLost,
        }
    }

    fn last_lines(&self) -> &[String] {
        match self {
            Self::Failed { last_lines, .. } | Self::LoginShell { last_lines, .. } => last_lines,
            _ => &[],
        }
    }

    fn hint(&self) -> Option<String> {
        match self.kind() {
            FailureKind::NoSpace => {
                Some("free some room: `--remove_images` and `--items_to_cleanup` remove what is not needed".into())
            }
            FailureKind::ConnectionLost => {
                Some("check cable and power, then run the same command again: what is finished is not done twice".into())
            }
            FailureKind::DockerSilent => Some(DOCKER_SILENT_HINT.into()),
            FailureKind::Silent => Some("is the device very busy, or is its disk failing? `o3r-deploy doctor` looks".into()),
            FailureKind::LoginShell => Some(
                "look at `~/.bashrc` on the device, `~/.profile` and `~/.ssh/rc`: where nobody types they may neither read standard input, nor \
                 wait, nor `exit` (`case $- in *i*) ;; *) return ;; esac` as the first line ends them in time)"
                    .into(),
            ),
            FailureKind::Sessions => Some("`MaxSessions` in the sshd_config of the device is 10 by default: 3 are enough".into()),
            _ if self.is_denied() => Some(
                "it belongs to somebody else, most often to root, as which containers write: remove it from a container, or \
                 choose another path"
                    .into(),
            ),
            _ => None,
        }
    }
}

/// Returns the beginning of an answer, fit to be shown.
fn shown_answer(answer: &str) -> String {
    let shown = answer.lines().map(printable).find(|line| !line.trim().is_empty()).unwrap_or_default();
    match shown.trim() {
        "" => "it is empty".into(),
        text => format!("`{}`", text.chars().take(80).collect::<String>()),
    }
}

/// Returns whether a line of output says that docker could not be reached, or that its connection ended.
pub fn is_no_docker(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    let gone = ["trying to connect to the docker", "connect to the docker daemon", "error during connect:"];
    let broken = ["eof", "connection refused", "connection reset", "broken pipe", "permission denied", "no such file"];
    // Of a connection that ended in the middle the client may say no more than that.
    gone.iter().any(|words| line.contains(words))
        || ["eof", "unexpected eof"].contains(&line.trim())
        || (line.contains("docker.sock") && broken.iter().any(|words| line.contains(words)))
}

/// Returns whether a line of output says that a disk is full.
pub fn is_no_space(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.contains("no space left") || line.contains("disk quota exceeded")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &str) -> Vec<String> {
        reasons(last_lines(lines.as_bytes(), 200))
    }

    #[test]
    fn full_disk_is_named_once_and_without_what_follows_of_it() {
        let noise = "cat: write error: Broken pipe\n".repeat(30);
        let docker = "Error processing tar file(exit status 1): write /data: no space left on device";
        assert_eq!(said(&format!("{noise}{docker}\n{noise}")), [docker]);
        assert_eq!(said(&format!("{noise}unexpected EOF\n{noise}")), ["unexpected EOF"]);
        assert_eq!(said("gzip: stdout: Broken pipe\n"), ["gzip: stdout: Broken pipe"]);
        assert_eq!(said(&"line\n".repeat(30)).len(), 20);
    }
}
