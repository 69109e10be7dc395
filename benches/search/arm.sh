#!/bin/sh
# Runs the tests of the kernels of vector search for 64-bit ARM on another machine, by QEMU. They are put into a crate of their
# own, with the versions of the workspace, since all of the workspace takes long to build.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
crate=$root/target/arm
mkdir -p "$crate/src"
cp "$root/Cargo.lock" "$crate/Cargo.lock"
cat > "$crate/Cargo.toml" <<END
[package]
name = "kernels"
version = "0.0.0"
edition = "2024"

[dependencies]
$(grep '^pulp = ' "$root/Cargo.toml")

[dev-dependencies]
$(grep '^proptest = ' "$root/Cargo.toml")

[lints.rust]
unsafe_code = "forbid"
dead_code = "allow"

[workspace]
END
printf '#[path = "%s"]\nmod kernels;\n' "$root/pipeline/src/kernels.rs" > "$crate/src/lib.rs"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
cargo test --manifest-path "$crate/Cargo.toml" --target-dir "$crate" --target aarch64-unknown-linux-gnu --lib
