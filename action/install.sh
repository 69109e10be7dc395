#!/usr/bin/env bash
# Puts `precedent` on the path of the steps that follow: one that is there, a release, or the action's own source.
# Reads PRECEDENT_BINARY, PRECEDENT_VERSION, PRECEDENT_SOURCE, GH_TOKEN; writes to GITHUB_PATH.
set -euo pipefail

bin="$RUNNER_TEMP/precedent-bin"
mkdir -p "$bin"

if [ -n "${PRECEDENT_BINARY:-}" ]; then
    ln -sf "$(realpath -- "$PRECEDENT_BINARY")" "$bin/precedent"
elif [ -n "${PRECEDENT_VERSION:-}" ]; then
    case "$RUNNER_OS-$RUNNER_ARCH" in
        Linux-X64) target=x86_64-unknown-linux-gnu ;;
        Linux-ARM64) target=aarch64-unknown-linux-gnu ;;
        macOS-ARM64) target=aarch64-apple-darwin ;;
        *)
            echo "error: there is no release for $RUNNER_OS-$RUNNER_ARCH; leave \`version\` empty to build it" >&2
            exit 2
            ;;
    esac
    archive="precedent-$target.tar.gz"
    work=$(mktemp -d)
    cd "$work"
    gh release download "$PRECEDENT_VERSION" --repo "$PRECEDENT_SOURCE" --pattern "$archive" --pattern SHA256SUMS
    # A sum that is missing is as bad as one that differs.
    grep -F "  $archive" SHA256SUMS > this.sum
    if command -v sha256sum > /dev/null; then sha256sum --check this.sum; else shasum -a 256 --check this.sum; fi
    # Made from this very tag by the workflow that makes releases, and by no other.
    gh attestation verify "$archive" --repo "$PRECEDENT_SOURCE" --source-ref "refs/tags/$PRECEDENT_VERSION" \
        --signer-workflow "$PRECEDENT_SOURCE/.github/workflows/release.yml"
    tar -xzf "$archive" -C "$bin" precedent
else
    cargo build --release --locked --manifest-path "$GITHUB_ACTION_PATH/Cargo.toml" \
        --target-dir "$RUNNER_TEMP/precedent-target"
    cp "$RUNNER_TEMP/precedent-target/release/precedent" "$bin/precedent"
fi

"$bin/precedent" --version
echo "$bin" >> "$GITHUB_PATH"
