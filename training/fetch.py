"""Fetches the packages of the data list with the ordinary clients, into PACKAGES; nothing in them is run.

    PACKAGES=… python fetch.py data.toml
"""

import glob
import os
import subprocess
import sys
import tomllib

import sources


def main():
    packages = os.path.abspath(os.environ["PACKAGES"])
    with open(sys.argv[1], "rb") as file:
        listed = tomllib.load(file)["packages"]
    for kind in ("pypi", "npm", "crates"):
        os.makedirs(os.path.join(packages, kind), exist_ok=True)
    for wheel in listed["pypi"]:
        if not os.path.exists(os.path.join(packages, "pypi", wheel)):
            name, version = wheel.split("-")[:2]
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            subprocess.run([*command, "--dest", os.path.join(packages, "pypi"), f"{name}=={version}"], check=True)
    for package in listed["npm"]:
        if not os.path.exists(os.path.join(packages, "npm", sources.npm_archive(package))):
            subprocess.run(["npm", "pack", "--silent", package], cwd=os.path.join(packages, "npm"), check=True)
    # `cargo info` unpacks the crate that it tells about.
    home = os.path.join(packages, "cargo")
    for crate in listed["crates"]:
        target = os.path.join(packages, "crates", crate)
        if not os.path.exists(target):
            name, version = split_crate(crate)
            environment = {**os.environ, "CARGO_HOME": home}
            command = ["cargo", "info", "--quiet", "--registry", "crates-io", f"{name}@{version}"]
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
            (unpacked,) = glob.glob(os.path.join(home, "registry", "src", "*", crate))
            os.symlink(unpacked, target)


def split_crate(crate):
    """Name and version: the version starts at the first part that is a number with a dot."""
    parts = crate.split("-")
    at = next(at for at, part in enumerate(parts) if part[:1].isdigit() and "." in part)
    return "-".join(parts[:at]), "-".join(parts[at:])


if __name__ == "__main__":
    main()
