//! This tool's own log: every event, and every command with its exit code and output, in one file a run.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Zoned;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    fmt::{MakeWriter, format::Writer, time::FormatTime},
    layer::SubscriberExt,
};

use super::{Event, Level, Lines, OutputFile, Question, Report, Stem, words};
use crate::{
    failure::{Explain, FailureKind},
    text::printable,
};

/// The target of events in the log. The console does not show it: the display shows the events already.
const EVENTS: &str = "o3r_deploy::report::event";

/// The directory for log files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogDir<'a> {
    /// No log file is written.
    None,
    /// The default directory; if it cannot be written, a warning is enough.
    Default(&'a Path),
    /// The directory that the user named; if it cannot be written, nothing is begun.
    AskedFor(&'a Path),
}

/// A log file that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the log file `{}` cannot be written: {source}", path.display())]
pub struct LogError {
    /// The file or directory.
    path: PathBuf,
    /// The error of the operating system.
    source: io::Error,
}

impl Explain for LogError {
    fn kind(&self) -> FailureKind {
        FailureKind::LocalFile
    }

    fn hint(&self) -> Option<String> {
        Some("choose another directory with `--log_dir`, or none with `--log_dir ''`".into())
    }
}

/// The log file of this run, empty so far.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    stem: Stem,
    file: Arc<File>,
}

impl LogFile {
    /// Creates `<log_dir>/Deployments/<stem>.log`; when a run of the same second has it already, `<stem>_2.log` and so on.
    ///
    /// # Errors
    /// The directory or the file cannot be written.
    pub fn create(log_dir: &Path, stem: &Stem) -> Result<Self, LogError> {
        let directory = log_dir.join("Deployments");
        std::fs::create_dir_all(&directory).map_err(|source| LogError { path: directory.clone(), source })?;
        let mut number = 1;
        loop {
            let stem = if number == 1 { stem.clone() } else { stem.numbered(number) };
            let path = directory.join(format!("{stem}.log"));
            match private(File::options().append(true).create_new(true)).open(&path) {
                Ok(file) => return Ok(Self { path, stem, file: Arc::new(file) }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1000 => number += 1,
                Err(source) => return Err(LogError { path, source }),
            }
        }
    }

    /// Creates the log file like [`LogFile::create`]; where the default directory cannot be written, calls `warn` and
    /// returns `None`.
    ///
    /// # Errors
    /// A directory that the user named cannot be written.
    pub fn open(log_dir: LogDir<'_>, stem: &Stem, warn: impl FnOnce(String)) -> Result<Option<Self>, LogError> {
        match log_dir {
            LogDir::None => Ok(None),
            LogDir::AskedFor(path) => Self::create(path, stem).map(Some),
            LogDir::Default(path) => {
                Ok(Self::create(path, stem).map_err(|error| warn(format!("{error}; going on without"))).ok())
            }
        }
    }

    /// Returns the path of the log file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the stem of the log file: that of the run, which also stamps the deployment.
    pub fn stem(&self) -> &Stem {
        &self.stem
    }

    /// Returns the file beside it for the output of `container`: `<stem>_<container>.log`.
    pub fn output_file(&self, container: &str) -> OutputFile {
        let safe = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' };
        let container: String = container.chars().map(safe).collect();
        OutputFile::new(self.path.with_file_name(format!("{}_{container}.log", self.stem)))
    }

    /// Sends every line of `tracing` from this crate to the file, and those that `level` calls for past the display to
    /// `console`: warnings and errors, commands too at [`Level::Debug`]. The guard is kept until `main` returns: dropping it
    /// writes the end of the log.
    pub fn start(file: Option<&Self>, console: Lines, level: Level) -> LogGuard {
        let writer = file.map(|log| NonBlockingBuilder::default().lossy(false).finish(Arc::clone(&log.file)));
        let (writer, guard) = writer.unzip();
        let subscriber = subscriber(writer, console, level);
        // A second call in one process can only be a test's: the first subscriber stays.
        let _ = tracing::subscriber::set_global_default(subscriber);
        LogGuard { _guard: guard }
    }
}

/// Makes a file that only its owner may read: it may hold what an application printed.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Writes the end of the log when dropped.
#[must_use = "dropping it ends the log"]
pub struct LogGuard {
    _guard: Option<WorkerGuard>,
}

fn subscriber<W>(file: Option<W>, lines: Lines, level: Level) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let console_level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warning | Level::Info => LevelFilter::WARN,
        Level::Debug => LevelFilter::DEBUG,
    };
    let in_file = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::DEBUG);
    let on_console = Targets::new().with_target(env!("CARGO_CRATE_NAME"), console_level).with_target(EVENTS, LevelFilter::OFF);
    let file = file.map(|writer| {
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_target(false);
        layer.with_timer(LocalTime).with_writer(Masking(writer)).with_filter(in_file)
    });
    let console = tracing_subscriber::fmt::layer().with_ansi(false).with_target(false).without_time();
    let console = console.with_writer(Masking(move || Console(Arc::clone(&lines)))).with_filter(on_console);
    tracing_subscriber::registry().with(file).with(console)
}

/// Writers that show no secret.
struct Masking<W>(W);

/// One of them; the formatter writes an event at a time.
struct Masked<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Masking<W> {
    type Writer = Masked<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Masked(self.0.make_writer())
    }
}

impl<W: Write> Write for Masked<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(crate::secret::masked(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The local time with its offset.
struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", Zoned::now().strftime("%Y-%m-%d %H:%M:%S%.3f%:z"))
    }
}

/// Takes what the formatter writes, an event at a time, to the display.
struct Console(Lines);

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        String::from_utf8_lossy(bytes).lines().for_each(|line| (self.0)(line.trim()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes each event to the log, as the same sentences that are shown without a terminal; progress is left out, and attached
/// output has its own file.
pub struct EventLog;

impl Report for EventLog {
    fn event(&mut self, event: &Event) {
        for line in words::lines(event) {
            match event {
                Event::Warning { .. } => tracing::warn!(target: EVENTS, "{line}"),
                Event::Finished(summary) if summary.error.is_some() => tracing::error!(target: EVENTS, "{line}"),
                _ => tracing::info!(target: EVENTS, "{line}"),
            }
        }
    }

    fn ask(&mut self, _question: &Question) -> Option<String> {
        None
    }
}

/// Writes a question and its answer to the log; a secret stays one.
pub(super) fn asked(question: &Question, answer: Option<&str>) {
    let (text, answer) = match (question, answer) {
        (Question::Confirm(text) | Question::Secret(text), None) => (text, "nobody answered"),
        (Question::Confirm(text), Some(answer)) => (text, answer),
        (Question::Secret(text), Some(_)) => (text, crate::secret::MASK),
    };
    tracing::info!(target: EVENTS, "asked: {}: {answer}", printable(text));
}

#[cfg(test)]
mod tests;
