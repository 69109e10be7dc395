//! Stale-doc, away from the node itself: this change removes or renames a field, a variant, a parameter, a command-line
//! option or an environment variable, and documentation elsewhere still names it.

use super::gone::What;
use super::{Scene, elsewhere, stale_doc};
use crate::finding::Finding;

/// One claim for each name.
pub(super) fn findings(scene: &Scene<'_>) -> Vec<Finding> {
    let is_part =
        |what| matches!(what, What::Field | What::Variant | What::Parameter | What::Option | What::Environment);
    let spoken = scene.spoken().iter().filter(|spoken| is_part(spoken.gone.what));
    spoken.filter_map(|spoken| elsewhere::finding(scene, stale_doc::NAME, spoken)).collect()
}
