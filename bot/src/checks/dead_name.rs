//! Dead-name: this change removes the last use of a name, and a comment or a document still speaks of it.
//!
//! Said only of names that cannot be ordinary words, that no file holds outside comments and documents, and of places
//! that do not speak of the past. A name whose definition is not seen to go is claimed in its own file only.

use super::gone::What;
use super::{Scene, elsewhere};
use crate::finding::Finding;

pub(super) const NAME: &str = "dead-name";

/// One claim for each name.
pub(super) fn findings(scene: &Scene<'_>) -> Vec<Finding> {
    let is_name =
        |what| matches!(what, What::Function | What::Type | What::Constant | What::Macro | What::Variable | What::Used);
    let spoken = scene.spoken().iter().filter(|spoken| is_name(spoken.gone.what));
    spoken.filter_map(|spoken| elsewhere::finding(scene, NAME, spoken)).collect()
}
