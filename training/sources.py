"""The sources that the recipe reads: pinned commits of repositories and pinned packages.

Where they lie is told by two environment variables: CLONES, a directory of clones OWNER+NAME/repo, and PACKAGES, what
`fetch.sh` fills.
"""

import os
import re
import subprocess
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass, field

# Crates come in bundles, as one process each would have too little to do.
CRATE_BUNDLES = 5


@dataclass
class Origin:
    """Where files come from, and what for: train, development or held-out."""

    name: str
    role: str
    kind: str
    places: list = field(default_factory=list)


def load(path):
    """The origins that a data list names."""
    with open(path, "rb") as file:
        listed = tomllib.load(file)
    clones, packages = os.environ["CLONES"], os.environ.get("PACKAGES", "packages")
    origins = []
    for repository in listed["repositories"]:
        name = repository["name"]
        directory = os.path.join(clones, name.replace("/", "+"), "repo")
        commits = [repository["commit"], *repository.get("earlier", [])]
        origins.append(Origin(name, repository["role"], "git", [(directory, commit) for commit in commits]))
    for package in listed["packages"]["pypi"]:
        origins.append(Origin(f"pypi-{package}", "train", "pypi", [os.path.join(packages, "pypi", package)]))
    for package in listed["packages"]["npm"]:
        archive = npm_archive(package)
        origins.append(Origin(f"npm-{archive}", "train", "npm", [os.path.join(packages, "npm", archive)]))
    crates = [os.path.join(packages, "crates", crate) for crate in listed["packages"]["crates"]]
    for bundle in range(CRATE_BUNDLES):
        origins.append(Origin(f"crates-{bundle}", "train", "directories", crates[bundle::CRATE_BUNDLES]))
    return origins


def npm_archive(package):
    """The file that `npm pack` makes of a name and a version, as `@angular/core@21.2.26`."""
    name, _, version = package.rpartition("@")
    return f"{name.lstrip('@').replace('/', '-')}-{version}.tgz"


def files(origin, wanted):
    """Path and bytes of each file that `wanted` accepts; a blob that several commits have comes once."""
    if origin.kind == "git":
        yield from git_files(origin.places, wanted)
    elif origin.kind == "pypi":
        yield from wheel_files(origin.places[0], wanted)
    elif origin.kind == "npm":
        yield from tar_files(origin.places[0], wanted)
    else:
        yield from directory_files(origin.places, wanted)


def git_files(places, wanted):
    seen = set()
    for directory, commit in places:
        listing = subprocess.run(
            ["git", "-C", directory, "ls-tree", "-r", "-z", commit], capture_output=True, check=True
        ).stdout.decode("utf8", "replace")
        chosen = []
        for entry in listing.split("\0"):
            if not entry:
                continue
            (mode, kind, blob), path = entry.split("\t", 1)[0].split(), entry.split("\t", 1)[1]
            if kind == "blob" and mode != "120000" and blob not in seen and wanted(path):
                seen.add(blob)
                chosen.append((blob, path))
        with subprocess.Popen(
            ["git", "-C", directory, "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as git:
            for blob, path in chosen:
                git.stdin.write(blob.encode() + b"\n")
                git.stdin.flush()
                size = int(git.stdout.readline().split()[2])
                data = git.stdout.read(size)
                git.stdout.read(1)
                yield path, data
            git.stdin.close()


def wheel_files(path, wanted):
    with zipfile.ZipFile(path) as wheel:
        for name in wheel.namelist():
            if wanted(name) and not VENDORED_PYTHON.search(name):
                yield name, wheel.read(name)


def tar_files(path, wanted):
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and wanted(member.name):
                yield member.name, archive.extractfile(member).read()


def directory_files(directories, wanted):
    for directory in directories:
        above = os.path.dirname(directory)
        for root, inner, names in os.walk(directory):
            inner.sort()
            for name in sorted(names):
                path = os.path.relpath(os.path.join(root, name), above)
                if wanted(path) and not VENDORED_PYTHON.search(path):
                    with open(os.path.join(root, name), "rb") as file:
                        yield path, file.read()


# Copies of packages that are kept out, which others bring along.
VENDORED_PYTHON = re.compile(r"(^|/)(site-packages|requests|flask|click|_vendor|vendored)/")
