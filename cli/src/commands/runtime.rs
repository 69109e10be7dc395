//! `precedent runtime install` and `show`

use std::process::{Command, ExitCode, Stdio};

use precedent_model::{EmbedError, install, runtime};
use serde::Serialize;

use super::json_line;
use crate::args::RuntimeInstallArguments;
use crate::failure::Failure;
use crate::place::Settings;
use crate::{model, screen};

/// The runtime, as far as there is one.
#[derive(Debug, Default, Serialize)]
pub(crate) struct RuntimeState {
    /// The library; null if there is none.
    pub(crate) path: Option<String>,
    /// Why this one.
    pub(crate) origin: Option<&'static str>,
    pub(crate) version: Option<String>,
    pub(crate) providers: Vec<&'static str>,
    /// What the driver says of each GPU.
    pub(crate) gpus: Vec<String>,
    /// Why it cannot be used.
    pub(crate) problem: Option<String>,
}

impl RuntimeState {
    /// Looks for a runtime and loads it.
    pub(crate) fn find() -> Result<RuntimeState, Failure> {
        let gpus = gpus();
        let Some((path, origin)) = model::models()?.runtime.find() else {
            return Ok(RuntimeState { gpus, ..RuntimeState::default() });
        };
        let mut state = RuntimeState {
            path: Some(path.display().to_string()),
            origin: Some(origin.as_str()),
            gpus,
            ..RuntimeState::default()
        };
        match runtime::load(&path) {
            Ok(runtime) => {
                state.version = Some(runtime.version.clone());
                state.providers.clone_from(&runtime.providers);
            }
            Err(error) => state.problem = Some(error.to_string()),
        }
        Ok(state)
    }

    /// In lines, each after a label of ten columns.
    pub(crate) fn shown(&self) -> String {
        let mut out = match (&self.path, &self.version) {
            (None, _) => "  runtime     none; ONNX models need one: precedent runtime install\n".to_owned(),
            (Some(path), Some(version)) => format!(
                "  runtime     ONNX Runtime {version}, {}\n              {path}\n  providers   {}\n",
                self.origin.unwrap_or_default(),
                self.providers.join(", ")
            ),
            (Some(path), None) => format!("  runtime     {path}\n"),
        };
        for gpu in &self.gpus {
            out.push_str(&format!("  gpu         {gpu}\n"));
        }
        out
    }
}

pub(crate) fn install(settings: &Settings, options: &RuntimeInstallArguments) -> Result<ExitCode, Failure> {
    let places = model::models()?.runtime;
    let installed = places.installed.as_deref().unwrap_or(std::path::Path::new("."));
    install::install(installed, options.cuda)?;
    if let Some(named) = &places.named {
        screen::tell(&format!("note: ORT_DYLIB_PATH is set, so `{}` is used", named.display()));
    }
    show(settings)
}

pub(crate) fn show(settings: &Settings) -> Result<ExitCode, Failure> {
    let state = RuntimeState::find()?;
    screen::print(&if settings.json { json_line(&state) } else { state.shown() })?;
    match state.problem {
        None => Ok(ExitCode::SUCCESS),
        Some(problem) => {
            let path = state.path.unwrap_or_default().into();
            let why = problem.rsplit_once("cannot be used: ").map_or(problem.clone(), |(_, why)| why.to_owned());
            Err(EmbedError::Runtime { path, why }.into())
        }
    }
}

/// Name, memory and driver of each GPU, as the driver's own tool says; none without that tool.
fn gpus() -> Vec<String> {
    let mut command = Command::new("nvidia-smi");
    command.args(["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]);
    match command.stdin(Stdio::null()).stderr(Stdio::null()).output() {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).lines().map(|line| line.trim().to_owned()).collect()
        }
        _ => Vec::new(),
    }
}
