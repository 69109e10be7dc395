//! Explanation: how a search went about it.

use serde::Serialize;

use super::super::QuestionKind;

/// Which rows a search looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Every wanted vector was compared.
    Exact,
    /// The code of every wanted row was looked at, and the vectors of the best were compared.
    Codes,
    /// The codes in the nearest clusters were looked at, and the vectors of the best were compared.
    Clusters,
}

/// How a search went about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Which rows it looked at.
    pub method: Method,
    /// Rows of the index.
    pub rows: usize,
    /// Rows that the filters leave.
    pub wanted: usize,
    /// Clusters of the index.
    pub clusters: usize,
    /// Clusters that were looked into.
    pub probed: usize,
    /// Wanted rows whose code was looked at.
    pub scanned: usize,
    /// Vectors that were compared.
    pub compared: usize,
    /// The part of the nearest that was found, where all vectors were compared as well to see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall: Option<f32>,
    /// What the question was taken for, which decides how much each signal counts; `None` where vectors alone were searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<QuestionKind>,
    /// Places that were found by words, of those that were looked at; likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worded: Option<usize>,
}
