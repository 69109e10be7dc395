"""Time from the start of a process to the first vector of the built-in table: least, median and most, in milliseconds.

    python benches/embed/cold.py PROGRAM [RUNS]

PROGRAM is the example `embed` of the model crate, built with --release. The file is in memory after the first run, which
does not count.
"""

import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

program, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 21
with tempfile.TemporaryDirectory() as directory:
    texts = pathlib.Path(directory) / "texts.json"
    texts.write_text('["fn parse_date(text: &str) -> Option<Date> { todo!() }"]')
    seconds = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run([program, "built-in", texts, texts.with_suffix(".f32")], check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
least, middle, most = (1000 * value for value in (min(seconds[1:]), statistics.median(seconds[1:]), max(seconds[1:])))
print(f"{runs} runs: {least:.1f} / {middle:.1f} / {most:.1f} ms")
