"""Review a small change with the server of llama-cpp-python and tiny models, and fail where the review is not whole.

    python benches/voice/llama_server.py path/to/precedent path/to/work

One model has random weights: what it says means nothing, and it seldom ends before its answer may be no longer. What is looked at
is that the server takes every request, and that the review comes out: exit code 0, the tokens of its `usage` in the account, no
question that the server failed on, and nothing shown whose words are not in the change. The other one always likes the same
tokens best, a closing bracket before all: left alone it writes nothing else, and where the server holds it to the schema that it
was asked with, its answer is an empty list.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

import gguf
import numpy as np

LAYERS, WIDTH, HEADS, INNER, CONTEXT = 2, 64, 4, 128, 4096


def tokens():
    """A vocabulary of pieces: three special tokens, each byte, and a letter with a space before it."""
    kinds = gguf.TokenType
    listed = [("<unk>", kinds.UNKNOWN), ("<s>", kinds.CONTROL), ("</s>", kinds.CONTROL)]
    listed += [(f"<0x{byte:02X}>", kinds.BYTE) for byte in range(256)]
    listed += [(chr(code), kinds.NORMAL) for code in range(0x21, 0x7F)]
    listed += [("\u2581", kinds.NORMAL)]
    return listed


def begun(file, listed, layers, width, heads, inner, context):
    """A file of llama.cpp's for a decoder of this shape, without its tensors."""
    out = gguf.GGUFWriter(file, "llama")
    out.add_context_length(context)
    out.add_embedding_length(width)
    out.add_block_count(layers)
    out.add_feed_forward_length(inner)
    out.add_head_count(heads)
    out.add_head_count_kv(heads)
    out.add_rope_dimension_count(width // heads)
    out.add_layer_norm_rms_eps(1e-6)
    out.add_tokenizer_model("llama")
    out.add_token_list([text.encode() for text, _ in listed])
    out.add_token_scores([0.0] * len(listed))
    out.add_token_types([kind for _, kind in listed])
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_unk_token_id(0)
    return out


def make(file, is_fond):
    """Random weights; or, of one that is fond of closing brackets, weights that give every token the same logits."""
    listed = tokens()
    random = np.random.default_rng(20261126)
    if is_fond:
        matrix = lambda *shape: np.zeros(shape, dtype=np.float32)
    else:
        matrix = lambda *shape: random.standard_normal(shape).astype(np.float32) * 0.1
    embeddings, outputs = matrix(len(listed), WIDTH), matrix(len(listed), WIDTH)
    if is_fond:
        embeddings[:] = 1
        liked = {"]": 9, "}": 8, '"': 7}
        outputs[:] = np.array([[liked.get(text, 0)] for text, _ in listed], dtype=np.float32) / WIDTH
    out = begun(file, listed, LAYERS, WIDTH, HEADS, INNER, CONTEXT)
    out.add_chat_template("{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}answer: ")
    out.add_tensor("token_embd.weight", embeddings)
    out.add_tensor("output.weight", outputs)
    out.add_tensor("output_norm.weight", np.ones(WIDTH, dtype=np.float32))
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            out.add_tensor(f"blk.{layer}.{name}.weight", np.ones(WIDTH, dtype=np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            out.add_tensor(f"blk.{layer}.{name}.weight", matrix(WIDTH, WIDTH))
        out.add_tensor(f"blk.{layer}.ffn_gate.weight", matrix(INNER, WIDTH))
        out.add_tensor(f"blk.{layer}.ffn_up.weight", matrix(INNER, WIDTH))
        out.add_tensor(f"blk.{layer}.ffn_down.weight", matrix(WIDTH, INNER))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def repository(folder):
    """A repository in which `topic` changes one line."""
    names = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for role in ("AUTHOR", "COMMITTER"):
        names |= {f"GIT_{role}_NAME": "Ada", f"GIT_{role}_EMAIL": "ada@example.org", f"GIT_{role}_DATE": "@1710000000 +0000"}
    git = lambda *words: subprocess.run(["git", "-C", folder, *words], check=True, env=os.environ | names)
    folder.mkdir(parents=True)
    git("init", "--quiet", "--initial-branch=main")
    source = folder / "delay.rs"
    source.write_text("pub fn delay(base: u64, attempt: u32) -> u64 {\n    base.saturating_mul(1 << attempt.min(16))\n}\n")
    git("add", "--all")
    git("commit", "--quiet", "--message", "add a delay")
    git("checkout", "--quiet", "-b", "topic")
    source.write_text("pub fn delay(base: u64, attempt: u32) -> u64 {\n    base << attempt\n}\n")
    git("commit", "--quiet", "--all", "--message", "shift instead")


def reviewed(precedent, work, model):
    """The review of a small change, with this model behind the server."""
    folder = work / f"repository-{model.stem}-{os.getpid()}"
    repository(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "llama_cpp.server", "--model", model, "--host", "127.0.0.1", "--port", str(port),
         "--n_ctx", str(CONTEXT), "--verbose", "false"],
    )
    try:
        url = f"http://127.0.0.1:{port}/v1"
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{url}/models").read()
                break
            except OSError:
                time.sleep(0.5)
        command = [precedent, "review", "main..topic", "--repo", folder, "--json", "--llm", model.name, "--llm-url", url,
                   "--llm-context", str(CONTEXT), "--llm-seconds", "240"]
        cache = str(work / f"cache-{os.getpid()}")
        ran = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"XDG_CACHE_HOME": cache})
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)
    finally:
        server.terminate()
        server.wait()


def main():
    precedent, work = (pathlib.Path(word).absolute() for word in sys.argv[1:3])
    work.mkdir(parents=True, exist_ok=True)
    for name, is_fond in [("random.gguf", False), ("fond.gguf", True)]:
        make(work / name, is_fond)
        review = reviewed(precedent, work, work / name)
        account = review["llm"]
        print(json.dumps({"llm": account, "findings": review["findings"], "skipped": review["skipped"]}, indent=1))
        assert account["requests"] >= 1 and account["tokens"]["prompt"] > 0 and account["tokens"]["completion"] > 0
        if is_fond:
            assert account["stated"] == 0 and account["dropped"] == [], "its answer is an empty list, in its shape"
            assert account["unasked"] == [] and review["skipped"] == [], "and nothing was left out"
        # Random weights may fill an answer without coming to its end.
        ends = ("not in the shape that was asked for", "the answer was cut")
        assert all(any(end in left["why"] for end in ends) for left in account["unasked"]), "the server answered every question"
        shown = [finding for finding in review["findings"] if finding["check"].startswith("model-")]
        changed = ["base << attempt", "base.saturating_mul(1 << attempt.min(16))"]
        assert all(any(text in cited["quote"] for text in changed) for finding in shown for cited in finding["citations"][:1])


if __name__ == "__main__":
    main()
