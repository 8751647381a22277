//! The display on a terminal: one line a stage that stays, and below it the stage at work with its bar.

use std::{io::IsTerminal, time::Duration};

use console::Style;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{
    Event, Outcome, Question, Report, Summary,
    display::{Clock, Level},
    pace::Pace,
    prompt,
    sink::Sink,
    words,
};
use crate::{stage::Stage, text::printable};

/// The abilities of the terminal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    /// Whether colours are wanted: `NO_COLOR` is not set.
    pub(super) colors: bool,
    /// Whether it shows more than ASCII.
    pub(super) unicode: bool,
    /// Whether standard output is on the same screen.
    pub(super) shares_stdout: bool,
    /// Whether the spinner turns by itself; tests hold it still.
    pub(super) turns: bool,
    /// Returns the number of columns, which is asked again for every stage; `None` when it is unknown.
    pub(super) columns: fn() -> Option<u16>,
}

impl Looks {
    pub(super) fn of_this_terminal() -> Self {
        Self {
            colors: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            unicode: console::Term::stderr().features().wants_emoji(),
            shares_stdout: std::io::stdout().is_terminal(),
            turns: true,
            columns: || console::Term::stderr().size_checked().map(|(_, columns)| columns),
        }
    }
}

/// The kind of a line, shown by its mark, and by its colour where there are colours.
#[derive(Clone, Copy)]
enum Mark {
    Done,
    Same,
    Failed,
    Warning,
    Doing,
}

/// Draws on standard error; attached output passes above the bar to standard output.
pub(super) struct Terminal {
    bars: MultiProgress,
    bar: Option<(Stage, ProgressBar)>,
    stdout: Sink,
    level: Level,
    looks: Looks,
    clock: Clock,
    pace: Pace,
    says: String,
}

impl Terminal {
    pub(super) fn new(bars: MultiProgress, stdout: Sink, level: Level, looks: Looks, clock: Clock) -> Self {
        Self { bars, bar: None, stdout, level, looks, clock, pace: Pace::default(), says: String::new() }
    }

    /// Writes a line above the bar. A terminal that went away is no reason to stop.
    fn line(&self, line: &str) {
        drop(self.bars.println(line));
    }

    fn marked(&self, mark: Mark, text: &str) {
        self.line(&format!("{} {text}", self.mark(mark)));
    }

    fn mark(&self, mark: Mark) -> String {
        let (unicode, ascii, style) = match mark {
            Mark::Done => ("✓", "+", Style::new().green()),
            Mark::Same => ("=", "=", Style::new().dim()),
            Mark::Failed => ("✗", "x", Style::new().red().bold()),
            Mark::Warning => ("!", "!", Style::new().yellow()),
            Mark::Doing => ("·", "-", Style::new().dim()),
        };
        self.styled(style, if self.looks.unicode { unicode } else { ascii })
    }

    fn styled(&self, style: Style, text: &str) -> String {
        style.force_styling(self.looks.colors).apply_to(text).to_string()
    }

    fn output(&mut self, line: &str) {
        if self.looks.shares_stdout {
            let (bars, stdout) = (&self.bars, &mut self.stdout);
            bars.suspend(|| stdout.line(line));
        } else {
            self.stdout.line(line);
        }
    }

    fn start(&mut self, stage: Stage, title: &str) {
        self.fail_before(stage);
        self.clear();
        let bar = self.bars.add(ProgressBar::no_length().with_style(self.waiting()).with_prefix(format!("{stage:<11}")));
        bar.set_message(title.to_owned());
        if self.looks.turns {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        self.bar = Some((stage, bar));
        self.step(title);
    }

    /// Marks the present stage as failed when another one follows without its end; after a lost connection it continues.
    fn fail_before(&mut self, next: Stage) {
        if let Some((stage, _)) = self.bar
            && stage != next
            && next != Stage::Connect
            && stage != Stage::Connect
        {
            self.clear();
            self.marked(Mark::Failed, &format!("{stage:<11}  failed"));
        }
    }

    fn step(&mut self, says: &str) {
        (self.says, self.pace) = (printable(says), Pace::default());
        if let Some((_, bar)) = &self.bar {
            bar.unset_length();
            bar.set_position(0);
            bar.set_style(self.waiting());
            bar.set_message(self.says.clone());
        }
    }

    fn progress(&mut self, bytes: u64, total: Option<u64>) {
        self.pace.add((self.clock)(), bytes);
        let Some((_, bar)) = &self.bar else { return };
        if let Some(total) = total
            && bar.length() != Some(total)
        {
            bar.set_length(total);
            bar.set_style(self.moving());
        }
        bar.set_position(bytes);
        bar.set_message(format!("{}  {}", self.pace.shown(total), self.says));
    }

    /// Takes the bar off the screen.
    fn clear(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }

    fn waiting(&self) -> ProgressStyle {
        self.style(&format!("{{spinner}} {{prefix}}  {{msg:{}!}} {{elapsed}}", self.message_columns(21)))
    }

    fn moving(&self) -> ProgressStyle {
        let color = if self.looks.colors { ".cyan" } else { "" };
        self.style(&format!("{{spinner}} {{prefix}}  {{bar:20{color}}} {{msg:{}!}}", self.message_columns(39)))
    }

    /// Returns the number of columns that the rest of the line, `taken` columns wide, leaves for the message. That includes
    /// three at the end for the `^C` that a terminal writes there: in a full line it would wrap, and what was drawn could
    /// not be cleared any more.
    fn message_columns(&self, taken: u16) -> u16 {
        (self.looks.columns)().unwrap_or(80).saturating_sub(taken).max(10)
    }

    fn style(&self, template: &str) -> ProgressStyle {
        let style = ProgressStyle::with_template(template).expect("the templates above are well-formed");
        match self.looks.unicode {
            true => style.progress_chars("━╸─").tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "),
            false => style.progress_chars("=>-").tick_chars("|/-\\ "),
        }
    }

    fn finished(&mut self, summary: &Summary) {
        if let Some((stage, _)) = self.bar {
            self.clear();
            self.marked(Mark::Failed, &format!("{stage:<11}  failed"));
        }
        for (index, line) in words::closing(summary).iter().enumerate() {
            match line.strip_prefix("error:") {
                Some(rest) => self.line(&format!("{}{rest}", self.styled(Style::new().red().bold(), "error:"))),
                None if index == 0 && summary.changed.is_empty() => self.marked(Mark::Same, line),
                None if index == 0 => self.marked(Mark::Done, line),
                None => self.line(line),
            }
        }
    }
}

impl Report for Terminal {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Connected(device) => {
                self.clear();
                self.line(&words::connected(device));
            }
            Event::Planned { dry_run: true, .. } => words::lines(event).iter().for_each(|line| self.output(line)),
            Event::Planned { dry_run: false, stages } => {
                for planned in stages.iter().filter(|planned| planned.steps.is_empty()) {
                    self.marked(Mark::Same, &format!("{:<11}  nothing to do: {}", planned.stage, printable(&planned.says)));
                }
            }
            Event::StageStarted { stage, title } => self.start(*stage, title),
            Event::Step { stage, says } => {
                if self.level >= Level::Debug {
                    self.marked(Mark::Doing, &format!("{stage:<11}  {}", printable(says)));
                }
                self.step(says);
            }
            Event::Progress { bytes, total, .. } => self.progress(*bytes, *total),
            Event::Traffic { .. } => {}
            Event::Output { line } => self.output(&printable(line)),
            Event::Note { text } => self.marked(Mark::Done, &printable(text)),
            Event::Warning { text } => self.marked(Mark::Warning, &words::warning(text)),
            Event::StageFinished { stage, outcome, says, seconds } => {
                self.clear();
                let idle = *outcome == Outcome::NothingToDo;
                let mark = if idle { Mark::Same } else { Mark::Done };
                let idle = if idle { "nothing to do: " } else { "" };
                self.marked(mark, &format!("{stage:<11}  {idle}{} ({})", printable(says), words::seconds_span(*seconds)));
            }
            Event::Finished(summary) => self.finished(summary),
        }
    }

    fn ask(&mut self, question: &Question) -> Option<String> {
        self.bars.suspend(|| prompt::ask(question))
    }
}

impl Drop for Terminal {
    /// Removes the half-drawn bar of a run that is dropped in the middle, as on Ctrl-C.
    fn drop(&mut self) {
        self.clear();
    }
}
