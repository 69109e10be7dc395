//! `precedent doctor`

use std::path::PathBuf;
use std::process::ExitCode;

use precedent_bot::calibration::{self, Score};
use precedent_bot::outcomes::{Heard, Outcomes, Replayed, Standing};
use precedent_model::Table;
use serde::Serialize;

use super::json_line;
use super::runtime::RuntimeState;
use crate::args::DoctorArguments;
use crate::failure::Failure;
use crate::place::{Place, Settings, shown_place};
use crate::{model, screen};

/// What is here. A problem is data: `doctor` reports it and ends well.
#[derive(Serialize)]
struct Diagnosis {
    version: &'static str,
    threads: usize,
    chunker: &'static str,
    /// The fingerprint of the built-in model.
    model: &'static str,
    runtime: RuntimeState,
    repository: Option<RepositoryState>,
    store: Option<StoreState>,
    problems: Vec<String>,
}

#[derive(Serialize)]
struct RepositoryState {
    path: String,
    head: Option<String>,
    default_branch: Option<String>,
    shallow: bool,
    partial: bool,
}

#[derive(Serialize)]
struct StoreState {
    path: String,
    model: String,
    generation: u64,
    commits: u64,
    chunks: u64,
    /// Chunks that nothing finds by meaning; `None` where the store is no folder, since that would fetch most of it.
    zero_vectors: Option<u64>,
    bytes: u64,
    has_head: bool,
}

pub(crate) fn run(settings: &Settings, options: &DoctorArguments) -> Result<ExitCode, Failure> {
    if options.checks {
        return checks(settings);
    }
    let mut diagnosis = Diagnosis {
        version: env!("CARGO_PKG_VERSION"),
        threads: rayon::current_num_threads(),
        chunker: precedent_pipeline::syntax::CHUNKER,
        model: Table::built_in().fingerprint(),
        runtime: RuntimeState::default(),
        repository: None,
        store: None,
        problems: Vec::new(),
    };
    match RuntimeState::find() {
        Err(failure) => diagnosis.problems.push(failure.message().to_owned()),
        Ok(runtime) => {
            diagnosis.problems.extend(runtime.problem.clone());
            diagnosis.runtime = runtime;
        }
    }
    match Place::open(settings) {
        Err(failure) => diagnosis.problems.push(failure.message().to_owned()),
        Ok(place) => examine(&place, &mut diagnosis),
    }
    let text = if settings.json { json_line(&diagnosis) } else { shown(&diagnosis) };
    screen::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Voices {
    speaks_from: f64,
    checks: Vec<Voice>,
}

#[derive(Serialize)]
struct Voice {
    #[serde(flatten)]
    score: Score,
    precision: f64,
    low: f64,
    high: f64,
    /// By the labels.
    speaks: bool,
    /// By the labels and by what became of its claims in this repository.
    speaks_here: bool,
    replayed: Replayed,
    heard: Heard,
}

/// Which checks may speak.
fn checks(settings: &Settings) -> Result<ExitCode, Failure> {
    // Without a repository or an index nothing is known of outcomes.
    let store = Place::open(settings).ok().and_then(|place| place.existing().ok().flatten());
    let outcomes = store.map(|store| Outcomes::of(&store)).unwrap_or_default();
    let voice = |score: Score| {
        let (low, high) = score.interval();
        let standing = outcomes.standing(&score.check);
        let speaks_here = calibration::voice(&score, &standing).is_some();
        let Standing { replayed, heard } = standing;
        let (precision, speaks) = (score.precision(), score.speaks());
        Voice { precision, low, high, speaks, speaks_here, replayed, heard, score }
    };
    let voices = Voices {
        speaks_from: calibration::SPEAKS_FROM,
        checks: calibration::shipped(&precedent_bot::checks::NAMES).into_iter().map(voice).collect(),
    };
    let text = if settings.json { json_line(&voices) } else { shown_voices(&voices) };
    screen::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn shown_voices(voices: &Voices) -> String {
    let mut out = format!("  {:<18}{:<9}{:<7}{:<11}{:<12}\n", "check", "judged", "right", "precision", "95 %");
    for voice in &voices.checks {
        let Voice { score, precision, low, high, speaks, speaks_here, .. } = voice;
        let word = match (speaks, speaks_here) {
            (true, true) => "speaks",
            (true, false) => "silent here",
            (false, _) => "silent",
        };
        let figures = match score.n {
            0 => format!("{:<23}", ""),
            _ => format!("{precision:<11.2}{:<12}", format!("{low:.2}-{high:.2}")),
        };
        out.push_str(&format!("  {:<18}{:<9}{:<7}{figures}{word}\n", score.check, score.n, score.right));
    }
    for Voice { score, replayed, heard, .. } in voices.checks.iter().filter(|voice| voice.speaks) {
        if replayed.claims > 0 {
            let Replayed { claims, borne_out, base_rate } = replayed;
            out.push_str(&format!(
                "\n  {}: {borne_out} of {claims} past claims here borne out, base rate {base_rate:.2}",
                score.check
            ));
        }
        if heard.taken_up + heard.turned_down > 0 {
            let Heard { taken_up, turned_down, .. } = heard;
            out.push_str(&format!("\n  {}: {taken_up} comments taken up, {turned_down} turned down", score.check));
        }
    }
    out.push_str(&format!("\n  a check speaks from a lower bound of {:.2}\n", voices.speaks_from));
    out.push_str("  a repository can ask for a silent one: `speak = [\"copied-doc\"]` in precedent.toml\n");
    out
}

fn examine(place: &Place, diagnosis: &mut Diagnosis) {
    let repository = &place.repository;
    let head = match repository.head() {
        Ok(head) => Some(head),
        Err(error) => {
            diagnosis.problems.push(error.to_string());
            None
        }
    };
    diagnosis.repository = Some(RepositoryState {
        // Of a linked work tree, the last part is a dot.
        path: repository.directory().components().collect::<PathBuf>().display().to_string(),
        head: head.as_ref().map(ToString::to_string),
        default_branch: repository.default_branch().map(|(name, _)| name),
        shallow: !repository.shallow().is_empty(),
        partial: repository.is_partial(),
    });
    match place.existing() {
        Err(error) => diagnosis.problems.push(error.to_string()),
        Ok(None) => {}
        Ok(Some(store)) => {
            let manifest = store.manifest();
            if manifest.chunker != diagnosis.chunker {
                let found = &manifest.chunker;
                diagnosis.problems.push(format!(
                    "the store was built with chunker `{found}`, this program has `{}`",
                    diagnosis.chunker
                ));
            }
            if !model::is_known(&manifest.embedder) {
                diagnosis.problems.push(format!(
                    "the store was built with embedder `{}`, which is not known here; name its model with: precedent index --model",
                    manifest.embedder
                ));
            }
            let zero_vectors = store.dir().map(|_| store.zero_vectors()).transpose().unwrap_or_else(|error| {
                diagnosis.problems.push(error.to_string());
                None
            });
            diagnosis.store = Some(StoreState {
                path: store.location().to_string(),
                model: manifest.embedder.clone(),
                generation: manifest.generation,
                commits: manifest.rows("commits"),
                chunks: manifest.rows("chunks"),
                zero_vectors,
                bytes: store.bytes_on_disk(),
                has_head: head.is_some_and(|head| precedent_pipeline::is_indexed(&store, &[head]).unwrap_or(false)),
            });
        }
    }
    if diagnosis.store.is_none() && diagnosis.problems.is_empty() {
        diagnosis.problems.push(format!(
            "there is no index yet; make one in `{}` with: precedent index",
            shown_place(place.location())
        ));
    }
}

fn shown(diagnosis: &Diagnosis) -> String {
    let mut out = format!("  precedent   {}, {} threads\n", diagnosis.version, diagnosis.threads);
    out.push_str(&format!("  model       built-in, {}\n", diagnosis.model));
    out.push_str(&diagnosis.runtime.shown());
    out.push_str(&format!("  chunker     {}\n", diagnosis.chunker));
    if let Some(repository) = &diagnosis.repository {
        let mut state = Vec::new();
        if let Some(head) = &repository.head {
            state.push(format!("HEAD {}", &head[..7]));
        }
        if let Some(branch) = &repository.default_branch {
            state.push(format!("default branch {branch}"));
        }
        if repository.shallow {
            state.push("shallow".to_owned());
        }
        if repository.partial {
            state.push("partial clone".to_owned());
        }
        out.push_str(&format!("  repository  {}\n", repository.path));
        if !state.is_empty() {
            out.push_str(&format!("              {}\n", state.join(", ")));
        }
    }
    if let Some(store) = &diagnosis.store {
        let state = if store.has_head { "up to date" } else { "behind HEAD" };
        out.push_str(&format!(
            "  store       {}\n              generation {}, {}, {}, {}, {state}\n              embedded with {}{}\n",
            store.path,
            store.generation,
            screen::counted(store.commits, "commit"),
            screen::counted(store.chunks, "text"),
            screen::bytes(store.bytes),
            store.model,
            match store.zero_vectors {
                None | Some(0) => String::new(),
                Some(count) => format!("; {} not found by meaning", screen::counted(count, "text")),
            }
        ));
    }
    for problem in &diagnosis.problems {
        out.push_str(&format!("  problem     {problem}\n"));
    }
    out
}
