//! Progress: bars on a terminal, nothing in a pipe.

use std::io::IsTerminal;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use precedent_pipeline::{Interrupt, Progress, Stage};

/// A bar on standard error, hidden unless that is a terminal.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    pub(crate) fn new() -> Bar {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        Bar { bar }
    }

    pub(crate) fn show(&self, progress: Progress) {
        let name = match progress.stage {
            Stage::Walk => "history",
            Stage::Index => "index",
            Stage::Embed => {
                // Beside the commits, which are read in the meantime.
                let is_done = progress.done == progress.total;
                let text = format!(", {} of {} texts embedded", progress.done, progress.total);
                return self.bar.set_prefix(if is_done { String::new() } else { text });
            }
            Stage::Store => "store",
        };
        if self.bar.message() != name {
            self.bar.set_message(name);
            self.bar.enable_steady_tick(Duration::from_millis(200));
        }
        self.bar.set_length(progress.total);
        self.bar.set_position(progress.done);
        if progress.total == 0 {
            // How much there is to do is not known yet, and a full bar would say that it is done.
            self.bar.set_style(style("  {msg:8} reading the list of commits  {elapsed}"));
        } else {
            self.bar.set_style(style("  {msg:8} {bar:40} {human_pos} of {human_len} commits{prefix}  {eta}"));
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("because the template is a constant")
}

/// A bar for files that are fetched.
pub(crate) struct Download {
    bar: ProgressBar,
}

impl Download {
    pub(crate) fn new() -> Download {
        let bar = Bar::new().bar;
        bar.set_style(style("  {msg:24} {bar:30} {bytes} of {total_bytes}  {eta}"));
        Download { bar }
    }

    pub(crate) fn show(&self, file: &str, done: u64, total: u64) {
        if self.bar.message() != file {
            self.bar.set_message(file.to_owned());
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Set by the first `Ctrl-C` while the store is being brought up; a run then ends at its next batch.
static INTERRUPT: Interrupt = AtomicBool::new(false);
/// Whether somebody looks at [`INTERRUPT`].
static IS_WATCHED: AtomicBool = AtomicBool::new(false);

/// Does some work that looks at the flag it is given. Outside of it, and at the second time, `Ctrl-C` ends the process
/// at once, which the store survives as it survives a crash.
pub(crate) fn interruptible<T>(work: impl FnOnce(&Interrupt) -> T) -> T {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        // Without a handler Ctrl-C ends the process, which is safe too.
        let _ = ctrlc::set_handler(|| {
            if !IS_WATCHED.load(Ordering::SeqCst) || INTERRUPT.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        });
    });
    IS_WATCHED.store(true, Ordering::SeqCst);
    let result = work(&INTERRUPT);
    IS_WATCHED.store(false, Ordering::SeqCst);
    result
}
