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

# Measure the built-in table on held-out repositories: CLONES=… just measure-table /path/for/records. See training/README.md.
measure-table records:
    python3 -m venv target/training
    target/training/bin/pip install --quiet --requirement training/requirements.txt
    cd training && ../target/training/bin/python extract.py data.toml {{records}} held-out
    cd training && ../target/training/bin/python measure.py {{records}} held-out ../model/assets
