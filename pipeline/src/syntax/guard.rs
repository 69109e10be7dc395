//! Guards: sources that a grammar's own scanner cannot take.
//!
//! The scanners that some grammars bring are C code with fixed buffers and assertions. What would overrun the one or trip
//! the other is refused before it is parsed. These checks see more dangers than there are, never fewer.

/// What a source must not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hazard {
    None,
}

impl Hazard {
    /// Whether this source may hold it.
    pub(super) fn may_be_in(self, _source: &str) -> bool {
        match self {
            Hazard::None => false,
        }
    }
}
