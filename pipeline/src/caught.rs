//! Caught: work on bytes that somebody may have made up, in libraries that panic where these are not what they expect.
//!
//! A panic there is an answer: this cannot be read. Whoever asked tells it in a sentence, so nothing is printed of it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// How many such works this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}
static HOOK: Once = Once::new();

/// What the work gives; `None` where it panicked. Nothing that it worked on may be used again then.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if DEPTH.get() == 0 {
                before(panic);
            }
        }));
    });
    DEPTH.set(DEPTH.get() + 1);
    let done = catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    done.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_panics_gives_nothing_and_what_does_not_gives_its_value() {
        assert_eq!(caught(|| 7), Some(7));
        assert_eq!(caught(|| caught(|| panic!("inside")).map_or(1, |()| 2)), Some(1));
        assert_eq!(caught(|| panic!("outside")).map_or(1, |()| 2), 1);
        assert_eq!(DEPTH.get(), 0);
    }
}
