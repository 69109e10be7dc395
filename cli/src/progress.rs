//! Progress: bars on a terminal, nothing in a pipe.

use std::io::IsTerminal;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use precedent_pipeline::{Interrupt, Progress, Stage};

/// The name of the first stage.
const FIRST: &str = "history";

/// A bar on standard error, hidden unless that is a terminal.
pub(crate) struct Bar {
    bar: ProgressBar,
    ticks: Once,
}

impl Bar {
    pub(crate) fn new() -> Bar {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        Bar::on(target)
    }

    fn on(target: ProgressDrawTarget) -> Bar {
        Bar { bar: ProgressBar::with_draw_target(Some(0), target).with_message(FIRST), ticks: Once::new() }
    }

    pub(crate) fn show(&self, progress: Progress) {
        let name = match progress.stage {
            Stage::Walk => FIRST,
            Stage::Index => "index",
            Stage::Embed => {
                // Beside the commits, which are read in the meantime.
                let is_done = progress.done == progress.total;
                let text = format!(", {} of {} texts embedded", progress.done, progress.total);
                return self.bar.set_prefix(if is_done { String::new() } else { text });
            }
            Stage::Store => "store",
        };
        // Whatever else is set is drawn at once, so the style comes first, and both numbers together.
        if progress.total == 0 {
            // How much there is to do is not known yet, and a full bar would say that it is done.
            self.bar.set_style(style("  {msg:8} reading the list of commits  {elapsed}"));
        } else {
            self.bar.set_style(style("  {msg:8} {bar:40} {human_pos} of {human_len} commits{prefix}  {eta}"));
        }
        self.bar.update(|state| {
            state.set_len(progress.total);
            state.set_pos(progress.done);
        });
        if self.bar.message() != name {
            self.bar.set_message(name);
        }
        self.ticks.call_once(|| self.bar.enable_steady_tick(Duration::from_millis(200)));
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
        let bar = Bar::new().bar.with_message("");
        bar.set_style(style("  {msg:24} {bar:30} {bytes} of {total_bytes}  {eta}"));
        Download { bar }
    }

    pub(crate) fn show(&self, file: &str, done: u64, total: u64) {
        self.bar.update(|state| {
            state.set_len(total);
            state.set_pos(done);
        });
        if self.bar.message() != file {
            self.bar.set_message(file.to_owned());
        }
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use indicatif::TermLike;

    use super::*;

    /// A terminal of 80 columns that keeps what is written to it.
    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<String>>);

    impl TermLike for Kept {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_bar_says_from_the_first_what_it_counts() {
        let kept = Kept::default();
        let bar = Bar::on(ProgressDrawTarget::term_like(Box::new(kept.clone())));
        bar.show(Progress { stage: Stage::Walk, done: 0, total: 0 });
        bar.show(Progress { stage: Stage::Index, done: 3, total: 7 });
        bar.bar.force_draw();
        let drawn = kept.0.lock().expect("because nothing failed").clone();
        assert!(drawn.contains("reading the list of commits") && drawn.contains("3 of 7 commits"), "{drawn}");
        assert!(!drawn.contains("0/0") && !drawn.contains("of 0"), "{drawn}");
    }
}
