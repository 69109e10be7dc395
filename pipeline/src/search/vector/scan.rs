//! The scan: clusters, codes, vectors; each narrows down what the next looks at.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use super::{Column, Explanation, Method, Rows, Scored, StoreError, VectorIndex, VectorRow};
use super::{product, widened, widest, words};
use crate::kernels::{BLOCK, Blocks, CodeTable};

/// How much a search looks at. More of it finds more of the nearest and takes longer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effort {
    /// Up to so many wanted rows, all are compared.
    pub exact: usize,
    /// The part of the wanted rows whose code is looked at.
    pub share: f32,
    /// But never fewer than so many, if there are.
    pub least: usize,
    /// Vectors that are compared, for each result …
    pub compared_a_result: usize,
    /// … and at the least.
    pub compared: usize,
    /// Rows of the clusters that are looked into, wanted or not, after which no more are, if `exact` wanted ones were seen.
    pub passed: usize,
}

impl Effort {
    /// What finds about .98 of the ten nearest among so many wanted rows of an index of `all`. Chosen on questions that people
    /// wrote, of a store of 143,000 vectors and one of 1.2 million: see `docs/search.md`. Where few rows are wanted that lie in
    /// many clusters, no more of those are looked into than a quarter over what a search without a filter does.
    pub fn usual(rows: usize, all: usize) -> Effort {
        let level = |rows: usize| {
            let (mut share, mut compared, mut size) = (0.7, 640, 160_000);
            // Of twice as many rows three quarters of the share are enough, and a quarter more is compared.
            while size < rows {
                (share, compared, size) = (share * 0.75, compared * 5 / 4, size.saturating_mul(2));
            }
            (share, compared)
        };
        let ((share, compared), (share_of_all, _)) = (level(rows), level(all));
        let passed = (all as f32 * share_of_all * 1.25) as usize;
        Effort { exact: 1024, share, least: 16_384, compared_a_result: 4, compared, passed }
    }

    /// Everything, which is slow and exact.
    pub const EXACT: Effort =
        Effort { exact: usize::MAX, share: 1.0, least: 0, compared_a_result: 1, compared: 0, passed: usize::MAX };
}

/// Clusters that are looked into in the order of their nearness: after them few rows are good enough, whatever the order.
const NEAREST_FIRST: usize = 16;

/// How far a scan goes.
struct Budget {
    /// Wanted rows whose code is looked at.
    scanned: usize,
    /// Rows of the clusters that are looked into, if `enough` wanted ones were seen.
    passed: usize,
    enough: usize,
    /// Rows with the best estimates that are kept.
    keep: usize,
    /// Whether all that is wanted is kept, without an estimate.
    unestimated: bool,
}

/// A row by its estimate.
#[derive(Clone, Copy)]
struct Candidate {
    estimate: f32,
    row: u32,
    chunk: u32,
    step: f32,
}

/// Chunks and steps of consecutive rows, and where the first of them is in the sums over their codes.
struct Block<'a> {
    chunk: &'a [u32],
    step: Cow<'a, [f32]>,
    first_sum: usize,
}

impl VectorIndex {
    /// As [`VectorIndex::nearest`], with so much effort; says how it went.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the shard.
    pub fn search(
        &self,
        question: &[f32],
        count: usize,
        rows: &Rows,
        effort: &Effort,
    ) -> Result<(Vec<Scored>, Explanation), StoreError> {
        let mut how = Explanation {
            method: Method::Exact,
            rows: self.len(),
            wanted: rows.len(),
            clusters: self.clusters.len(),
            probed: 0,
            scanned: 0,
            compared: 0,
            recall: None,
            kind: None,
            worded: None,
        };
        if question.len() != self.dimension || count == 0 {
            return Ok((Vec::new(), how));
        }
        let exact = rows.len() <= effort.exact.max(count);
        let budget = if exact { rows.len() } else { effort.least.max((rows.len() as f32 * effort.share) as usize) };
        let keep = if exact { rows.len() } else { effort.compared.max(count.saturating_mul(effort.compared_a_result)) };
        let enough = if exact { rows.len() } else { effort.exact.max(keep) };
        let budget = Budget { scanned: budget, passed: effort.passed, enough, keep, unestimated: exact };
        let candidates = self.candidates(question, rows, &budget, &mut how)?;
        how.compared = candidates.len();
        how.method = match () {
            () if exact => Method::Exact,
            () if how.scanned == rows.len() => Method::Codes,
            () => Method::Clusters,
        };
        Ok((self.compared(question, count, candidates)?, how))
    }

    /// The rows with the best estimates.
    fn candidates(
        &self,
        question: &[f32],
        rows: &Rows,
        budget: &Budget,
        how: &mut Explanation,
    ) -> Result<Vec<Candidate>, StoreError> {
        let Budget { keep, unestimated, .. } = *budget;
        let (table, mut sums) = (CodeTable::new(question), Vec::new());
        let mut best = Best { keep, least: f32::NEG_INFINITY, found: Vec::new() };
        let mut wanted = Vec::new();
        let mut passed = 0;
        let mut clusters = self.clusters_to_scan(question, budget.scanned, rows);
        while how.scanned < budget.scanned
            && (passed < budget.passed || how.scanned < budget.enough)
            && let Some((similarity, at)) = clusters.next()
        {
            let cluster = &self.clusters[at as usize];
            rows.within(cluster.rows.clone(), &mut wanted);
            if wanted.is_empty() {
                continue;
            }
            how.probed += 1;
            how.scanned += wanted.len();
            passed += cluster.rows.len();
            let first = cluster.rows.start;
            let block = self.block(cluster.shard, cluster.rows.clone(), &table, &mut sums)?;
            let sums = &sums[block.first_sum..][..block.step.len()];
            let candidate = |at: usize| {
                let (row, chunk, step) = (first + at as u32, block.chunk[at], block.step[at]);
                let estimate = if unestimated { 0.0 } else { similarity + step * sums[at] };
                Candidate { estimate, row, chunk, step }
            };
            if wanted.len() < sums.len() {
                wanted.iter().for_each(|row| best.push(candidate((row - first) as usize)));
                continue;
            }
            for (part, (steps, sums)) in block.step.chunks(BLOCK).zip(sums.chunks(BLOCK)).enumerate() {
                // Most parts have none that is good enough, and four are compared at once.
                let (least, estimates) = (best.least, steps.iter().zip(sums));
                let some = estimates.fold(false, |some, (step, sum)| some | (similarity + step * sum > least));
                if some || unestimated {
                    (0..steps.len()).for_each(|at| best.push(candidate(part * BLOCK + at)));
                }
            }
        }
        Ok(best.finish())
    }

    /// The clusters to look into, with the similarities of their centres. Where every row is wanted, the nearest come first and
    /// the others in the order of memory; else the nearest first.
    fn clusters_to_scan(&self, question: &[f32], budget: usize, rows: &Rows) -> NearestFirst {
        let mut clusters = self.clusters_by_similarity(question, budget, rows.len());
        if rows.len() < self.len() {
            return clusters;
        }
        let (mut reached, mut enough) = (0, Vec::new());
        while reached < budget
            && let Some((similarity, at)) = clusters.next()
        {
            reached += self.clusters[at as usize].rows.len();
            enough.push((similarity, at));
        }
        if let Some(others) = enough.get_mut(NEAREST_FIRST..) {
            others.sort_unstable_by_key(|(_, at)| *at);
        }
        NearestFirst { sorted: enough.len(), clusters: enough, next: 0 }
    }

    /// Every cluster with the similarity of its centre, for a search that looks at `budget` of so many wanted rows.
    fn clusters_by_similarity(&self, question: &[f32], budget: usize, wanted: usize) -> NearestFirst {
        let (wide, step) = widened(question, widest(self.dimension));
        let centres = self.centres.chunks_exact(self.dimension).zip(&self.clusters).enumerate();
        let clusters: Vec<(f32, u32)> = centres
            .map(|(at, (centre, cluster))| (product(&wide, centre) as f32 * step * cluster.scale, at as u32))
            .collect();
        // Where wanted rows lie evenly, half of these have the share that is looked at.
        let likely = (clusters.len() as u64 * budget as u64 / wanted.max(1) as u64).saturating_mul(2) as usize;
        NearestFirst::new(clusters, likely.saturating_add(16))
    }

    /// Rows of a cluster, with the sums over their codes.
    fn block(
        &self,
        shard: usize,
        rows: Range<u32>,
        table: &CodeTable,
        sums: &mut Vec<f32>,
    ) -> Result<Block<'_>, StoreError> {
        let chunk = &self.chunks()?[rows.start as usize..rows.end as usize];
        if let Some(memory) = &self.memory {
            let (first, end) = (rows.start as usize, rows.end as usize);
            table.sums(&memory.codes, first / BLOCK..end.div_ceil(BLOCK), sums);
            return Ok(Block { chunk, step: Cow::Borrowed(&memory.step[first..end]), first_sum: first % BLOCK });
        }
        let first = self.firsts[shard];
        let (shard, rows) = (&self.shards[shard], rows.start - first..rows.end - first);
        let mut codes = Vec::new();
        shard.read(Column::Code, rows.clone(), &mut codes)?;
        table.sums(&Blocks::new(&codes, table.width()), 0..rows.len().div_ceil(BLOCK), sums);
        let step = words(shard, Column::Step, rows)?.map(f32::from_le_bytes).collect();
        Ok(Block { chunk, step: Cow::Owned(step), first_sum: 0 })
    }

    /// The best of some candidates by their vectors.
    fn compared(
        &self,
        question: &[f32],
        count: usize,
        mut candidates: Vec<Candidate>,
    ) -> Result<Vec<Scored>, StoreError> {
        let (wide, step) = widened(question, widest(self.dimension));
        // In the order of the file, which is read so.
        candidates.sort_unstable_by_key(|candidate| candidate.row);
        let mut scores: Vec<(f32, Candidate, Option<VectorRow>)> = Vec::with_capacity(candidates.len());
        if let Some(memory) = &self.memory {
            for candidate in candidates {
                let row = candidate.row as usize;
                let vector = &memory.values[row * self.dimension..][..self.dimension];
                scores.push((product(&wide, vector) as f32 * step * memory.scale[row], candidate, None));
            }
        } else {
            let shard_of = |candidate: &Candidate| self.firsts.partition_point(|first| *first <= candidate.row) - 1;
            for of_shard in candidates.chunk_by(|one, two| shard_of(one) == shard_of(two)) {
                let shard = shard_of(&of_shard[0]);
                let asked: Vec<(u32, u32, f32)> =
                    of_shard.iter().map(|one| (one.row - self.firsts[shard], one.chunk, one.step)).collect();
                for (candidate, document) in of_shard.iter().zip(self.shards[shard].some_rows(&asked)?) {
                    let score = product(&wide, &document.vector) as f32 * step * document.scale;
                    scores.push((score, *candidate, Some(document)));
                }
            }
        }
        scores.sort_unstable_by(|one, two| two.0.total_cmp(&one.0).then(one.1.chunk.cmp(&two.1.chunk)));
        scores.truncate(count);
        let scored = |(score, candidate, document): (f32, Candidate, Option<VectorRow>)| {
            let Candidate { row, chunk, step, .. } = candidate;
            let VectorRow { norm, scale, vector, .. } = match document {
                Some(document) => document,
                None => self.document(row, chunk, step)?,
            };
            Ok(Scored { row: row as usize, chunk, score, norm, scale, vector: vector.into() })
        };
        scores.into_iter().map(scored).collect()
    }
}

/// Clusters with the similarities of their centres, the nearest first. Only as many are sorted as are asked for.
struct NearestFirst {
    clusters: Vec<(f32, u32)>,
    sorted: usize,
    next: usize,
}

impl NearestFirst {
    /// Sorts the `likely` nearest ones, and the others when one of them is asked for.
    fn new(mut clusters: Vec<(f32, u32)>, likely: usize) -> NearestFirst {
        let sorted = likely.min(clusters.len());
        if sorted < clusters.len() {
            clusters.select_nth_unstable_by(sorted, nearer);
        }
        clusters[..sorted].sort_unstable_by(nearer);
        NearestFirst { clusters, sorted, next: 0 }
    }
}

impl Iterator for NearestFirst {
    type Item = (f32, u32);

    fn next(&mut self) -> Option<(f32, u32)> {
        if self.next == self.sorted {
            self.clusters[self.sorted..].sort_unstable_by(nearer);
            self.sorted = self.clusters.len();
        }
        self.next += 1;
        self.clusters.get(self.next - 1).copied()
    }
}

fn nearer(one: &(f32, u32), two: &(f32, u32)) -> Ordering {
    two.0.total_cmp(&one.0).then(one.1.cmp(&two.1))
}

/// The candidates with the best estimates so far, up to twice as many as are kept.
struct Best {
    keep: usize,
    /// An estimate that is not above this is not among the best.
    least: f32,
    found: Vec<Candidate>,
}

impl Best {
    fn push(&mut self, candidate: Candidate) {
        if candidate.estimate <= self.least {
            return;
        }
        self.found.push(candidate);
        if self.found.len() >= self.keep.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.keep > 0 && self.found.len() > self.keep {
            let better = |one: &Candidate, two: &Candidate| {
                two.estimate.total_cmp(&one.estimate).then(one.chunk.cmp(&two.chunk))
            };
            self.found.select_nth_unstable_by(self.keep - 1, better);
            self.found.truncate(self.keep);
            self.least = self.found[self.keep - 1].estimate;
        }
    }

    fn finish(mut self) -> Vec<Candidate> {
        self.cut();
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::{Generation, Settings, Store};

    const DIMENSION: usize = 64;

    /// A store of so many vectors around 50 directions in two shards, and a question near to one of them.
    fn store_of(dir: &std::path::Path, count: u32) -> (Store, Vec<f32>) {
        let settings = Settings { chunker: "none".into(), embedder: "none".into(), dimension: DIMENSION as u32 };
        let mut store = Store::create(dir, settings);
        let lock = store.lock().unwrap();
        let mut state = 1_u32;
        let mut noise = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as f32 / 65_536.0 - 0.5
        };
        let directions: Vec<Vec<f32>> = (0..50).map(|_| (0..DIMENSION).map(|_| noise()).collect()).collect();
        let mut unit = |number: u32| -> Vec<f32> {
            let values: Vec<f32> = directions[number as usize % 50].iter().map(|value| value + noise() * 0.8).collect();
            let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
            values.iter().map(|value| value / length).collect()
        };
        for numbers in [0..count / 3, count / 3..count] {
            let vectors = numbers.map(|number| VectorRow::quantise(number, &unit(number), 1.0)).collect();
            store.commit(&lock, Generation { vectors, ..Generation::default() }).unwrap();
        }
        let question = unit(7);
        (store, question)
    }

    fn chunks(found: &[Scored]) -> Vec<u32> {
        found.iter().map(|found| found.chunk).collect()
    }

    #[test]
    fn few_are_compared_and_the_nearest_of_all_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let (store, question) = store_of(dir.path(), 9000);
        let (open, loaded) = (VectorIndex::open(&store).unwrap(), VectorIndex::load(&store).unwrap());
        let (exact, how) = loaded.search(&question, 10, &loaded.all(), &Effort::EXACT).unwrap();
        assert_eq!((how.method, how.compared), (Method::Exact, 9000));
        assert!(exact.windows(2).all(|pair| pair[0].score >= pair[1].score));
        let little = Effort { exact: 0, share: 0.1, least: 0, compared_a_result: 0, compared: 200, passed: usize::MAX };
        let (found, how) = loaded.search(&question, 10, &loaded.all(), &little).unwrap();
        assert_eq!((how.method, how.compared, how.rows), (Method::Clusters, 200, 9000));
        assert!((900..1500).contains(&how.scanned) && how.probed < how.clusters, "{how:?}");
        let both = chunks(&found).iter().filter(|chunk| chunks(&exact).contains(chunk)).count();
        assert!(both >= 9, "{found:?} against {exact:?}");
        // From the disk it is the same, row by row.
        assert_eq!(open.search(&question, 10, &open.all(), &little).unwrap(), (found, how));
        assert_eq!(open.search(&question, 10, &open.all(), &Effort::EXACT).unwrap().0, exact);
    }

    #[test]
    fn as_many_come_back_as_a_filter_leaves() {
        let dir = tempfile::tempdir().unwrap();
        let (store, question) = store_of(dir.path(), 6000);
        for index in [VectorIndex::open(&store).unwrap(), VectorIndex::load(&store).unwrap()] {
            // None of the question's direction: what is wanted lies in clusters that are far.
            let wanted = |chunk: u32| chunk % 50 == 3 && chunk % 4 == 1;
            let rows = index.rows(wanted).unwrap();
            let little =
                Effort { exact: 0, share: 0.0, least: 60, compared_a_result: 4, compared: 0, passed: usize::MAX };
            let (found, how) = index.search(&question, 10, &rows, &little).unwrap();
            assert_eq!((found.len(), how.wanted, how.scanned), (10, 60, 60));
            assert!(found.iter().all(|found| wanted(found.chunk)));
            let most = index.search(&question, 100, &rows, &Effort::usual(rows.len(), index.len())).unwrap();
            assert_eq!((most.0.len(), most.1.method), (60, Method::Exact));
            assert_eq!(chunks(&most.0)[..3], chunks(&index.nearest(&question, 3, &rows).unwrap()));
            let none = index.rows(|_| false).unwrap();
            assert!(index.nearest(&question, 10, &none).unwrap().is_empty());
        }
    }

    #[test]
    fn where_few_are_wanted_no_more_clusters_are_looked_into_than_are_worth_it() {
        let dir = tempfile::tempdir().unwrap();
        let (store, question) = store_of(dir.path(), 9000);
        let index = VectorIndex::open(&store).unwrap();
        // A tenth of each of the fifty directions.
        let rows = index.rows(|chunk| chunk / 50 % 10 == 0).unwrap();
        let all = Effort { exact: 0, share: 1.0, least: 0, compared_a_result: 4, compared: 0, passed: usize::MAX };
        assert_eq!(index.search(&question, 10, &rows, &all).unwrap().1.scanned, 900);
        let (found, how) = index.search(&question, 10, &rows, &Effort { passed: 3000, ..all }).unwrap();
        assert!(found.len() == 10 && (200..500).contains(&how.scanned), "{how:?}");
        // As many as are to be compared are seen whatever is passed by.
        let (found, how) = index.search(&question, 100, &rows, &Effort { passed: 0, ..all }).unwrap();
        assert!(found.len() == 100 && (400..500).contains(&how.scanned), "{how:?}");
        // A quarter more than without a filter.
        assert_eq!(Effort::usual(13_000, 100_000).passed, 87_500);
    }

    #[test]
    fn with_a_filter_the_nearest_clusters_come_first_as_far_as_any_are_looked_into() {
        let dir = tempfile::tempdir().unwrap();
        let (store, question) = store_of(dir.path(), 9000);
        let index = VectorIndex::open(&store).unwrap();
        assert!(index.clusters.len() > 100, "{}", index.clusters.len());
        // A tenth of all rows, evenly, and a tenth that lies together and far from the question.
        for wanted in [(|chunk| chunk % 10 == 0) as fn(u32) -> bool, |chunk| (30..35).contains(&(chunk % 50))] {
            let rows = index.rows(wanted).unwrap();
            assert_eq!(rows.len(), 900);
            for budget in [100, 700, 900] {
                let (mut looked_into, mut within, mut scanned) = (Vec::new(), Vec::new(), 0);
                let mut clusters = index.clusters_to_scan(&question, budget, &rows);
                while scanned < budget {
                    let (similarity, at) = clusters.next().unwrap();
                    rows.within(index.clusters[at as usize].rows.clone(), &mut within);
                    scanned += within.len();
                    looked_into.push(similarity);
                }
                assert!(looked_into.is_sorted_by(|one, two| one >= two), "{budget} rows");
            }
        }
    }

    #[test]
    fn a_shard_that_was_changed_is_found_out_before_it_is_searched() {
        let dir = tempfile::tempdir().unwrap();
        let (store, question) = store_of(dir.path(), 300);
        let expected = |index: VectorIndex| chunks(&index.nearest(&question, 10, &index.all()).unwrap());
        let found = expected(VectorIndex::open_whole(&store, None).unwrap());
        let noted = std::fs::read(dir.path().join("checked.json")).unwrap();
        let file = dir.path().join(VectorIndex::open(&store).unwrap().shards[0].file());
        let (good, changed) = (std::fs::read(&file).unwrap(), std::fs::metadata(&file).unwrap().modified().unwrap());
        let put = |bytes: &[u8], at: std::time::SystemTime| {
            std::fs::write(&file, bytes).unwrap();
            std::fs::File::options().append(true).open(&file).unwrap().set_modified(at).unwrap();
        };
        let later = changed + std::time::Duration::from_secs(1);
        let reopened = || Store::open(dir.path()).unwrap().unwrap();
        for at in (0..good.len()).step_by(97) {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            put(&bad, later);
            match VectorIndex::open_whole(&reopened(), None) {
                Err(StoreError::Damaged { what, .. }) => assert!(file.ends_with(&what), "{what}"),
                other => panic!("byte {at}: {:?}", other.map(|index| index.len())),
            }
        }
        // One that only looks changed is read, and noted; one that looks as it did is not read again.
        put(&good, later);
        assert_eq!(expected(VectorIndex::open_whole(&reopened(), None).unwrap()), found);
        assert_ne!(std::fs::read(dir.path().join("checked.json")).unwrap(), noted);
        let mut bad = good.clone();
        let last = bad.len() / 2;
        bad[last] ^= 1;
        put(&bad, later);
        VectorIndex::open_whole(&reopened(), None).unwrap();
        // Where the store cannot note it, another folder does.
        put(&good, later);
        std::fs::remove_file(dir.path().join("checked.json")).unwrap();
        std::fs::create_dir(dir.path().join("checked.json")).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(expected(VectorIndex::open_whole(&reopened(), Some(elsewhere.path())).unwrap()), found);
        assert!(elsewhere.path().join("checked.json").is_file());
    }

    #[test]
    fn odd_questions_are_answered() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = store_of(dir.path(), 30);
        let index = VectorIndex::load(&store).unwrap();
        assert_eq!(index.nearest(&[0.0; DIMENSION], 5, &index.all()).unwrap().len(), 5);
        assert_eq!(index.nearest(&[f32::NAN; DIMENSION], 5, &index.all()).unwrap().len(), 5);
        assert!(index.nearest(&[1.0; 3], 5, &index.all()).unwrap().is_empty(), "another model's");
        let nothing = Store::create(
            &dir.path().join("new"),
            crate::shard::Settings { chunker: String::new(), embedder: String::new(), dimension: 64 },
        );
        let index = VectorIndex::open(&nothing).unwrap();
        assert!(index.is_empty() && index.nearest(&[0.0; DIMENSION], 5, &index.all()).unwrap().is_empty());
    }
}
