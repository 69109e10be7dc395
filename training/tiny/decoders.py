"""Make the tiny decoders in fixtures/models/writers, and what transformers writes with them.

    python training/tiny/decoders.py fixtures/models/writers

Their weights are random: they stand for an architecture, and mean nothing. `deepseek` is Llama with linear scaling of
positions and DeepSeek-Coder's instruction template and end token; `qwen` is Qwen2 with shared keys and values, biases, tied
embeddings and ChatML. Each has a graph with the usual names: input_ids, attention_mask, position_ids,
past_key_values.N.key/value, logits, present.N.key/value.

expected.json holds, for each of the prompts: its tokens, what is written greedily, and what is written by chance from a
seed. The chance is ours, splitmix64, since a framework's own is part of no contract; which tokens are kept is decided by
transformers' own processors. It also holds what apply_chat_template makes of messages.
"""

import json
import pathlib
import random
import sys

import onnx
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.cache_utils import DynamicCache

SEED = 20261126
PROMPTS = 200
# Two runtimes add up in another order, so logits this near to each other may change places.
LEAST_LEAD = 1e-4
LENGTH = 24
VOCABULARY = 512
SAMPLING = {"temperature": 0.7, "top_k": 40, "top_p": 0.9}

# The two families' templates: their constructs (a namespace, a test for what is defined, trimmed blocks), in our words.
DEEPSEEK = (
    "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}"
    "{%- set seen = namespace(rules=false) -%}"
    "{%- for message in messages -%}{%- if message['role'] == 'system' -%}{%- set seen.rules = true -%}{%- endif -%}{%- endfor -%}"
    "{{ bos_token }}{%- if not seen.rules -%}{{ 'You help with programs.\n' }}{%- endif -%}"
    "{%- for message in messages %}{%- if message['role'] == 'system' %}{{ message['content'] }}"
    "{%- else %}{%- if message['role'] == 'user' %}{{ '### Instruction:\n' + message['content'] + '\n' }}"
    "{%- else %}{{ '### Response:\n' + message['content'] + '\n<|EOT|>\n' }}{%- endif %}{%- endif %}{%- endfor %}"
    "{% if add_generation_prompt %}{{ '### Response:' }}{% endif %}"
)
CHATML = (
    "{%- if messages[0].role != 'system' %}\n    {{- '<|im_start|>system\\nYou are brief.<|im_end|>\\n' }}\n{%- endif %}\n"
    "{%- for message in messages %}\n"
    "    {{- '<|im_start|>' ~ message.role ~ '\\n' ~ (message.content | trim) ~ '<|im_end|>' ~ '\\n' }}\n"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n"
)


def tokenizer_of(texts, special, end, start, template):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(special)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=end, bos_token=start)
    fast.chat_template = template
    return fast


class Graph(torch.nn.Module):
    """A decoder whose cache is passed in and out as plain tensors."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, position_ids, *past):
        cache = DynamicCache()
        for layer in range(len(past) // 2):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        out = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=cache,
            use_cache=True,
        )
        kept = []
        for layer in out.past_key_values.layers:
            kept += [layer.keys, layer.values]
        return (out.logits, *kept)


def export(model, file):
    config = model.config
    layers = config.num_hidden_layers
    width = config.hidden_size // config.num_attention_heads
    past_shape = (1, config.num_key_value_heads, 3, width)
    past = [torch.randn(past_shape) for _ in range(2 * layers)]
    ids = torch.randint(0, VOCABULARY, (1, 4))
    inputs = (ids, torch.ones(1, 7, dtype=torch.long), torch.arange(3, 7)[None], *past)
    names = [f"{part}.{layer}.{which}" for part in ("past_key_values", "present") for layer in range(layers)
             for which in ("key", "value")]
    tokens, seen, all_tokens = torch.export.Dim("tokens"), torch.export.Dim("seen"), torch.export.Dim.DYNAMIC
    shapes = ({1: tokens}, {1: all_tokens}, {1: tokens}, tuple({2: seen} for _ in past))
    file.parent.mkdir(parents=True, exist_ok=True)
    program = torch.onnx.export(
        Graph(model).eval(),
        inputs,
        input_names=["input_ids", "attention_mask", "position_ids", *names[: 2 * layers]],
        output_names=["logits", *names[2 * layers :]],
        dynamic_shapes=shapes,
        dynamo=True,
        verbose=False,
    )
    program.save(file)
    # The exporter notes where its own code lies.
    graph = onnx.load(file)
    parts = [graph.graph.node, graph.graph.input, graph.graph.output, graph.graph.value_info, graph.graph.initializer]
    for part in [graph, graph.graph, *graph.functions, *(entry for entries in parts for entry in entries)]:
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.save(graph, file)
    for stray in file.parent.glob("*.data"):
        stray.unlink()


def chance(seed):
    """Numbers in [0, 1) by splitmix64, 53 bits of each."""
    mask, state = (1 << 64) - 1, seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & mask
        bits = state
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & mask
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & mask
        bits ^= bits >> 31
        yield (bits >> 11) / (1 << 53)


@torch.no_grad()
def greedy(model, ids, ends):
    out = model.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        max_new_tokens=LENGTH,
        do_sample=False,
        eos_token_id=ends,
        pad_token_id=ends[0],
    )
    return out[0, len(ids) :].tolist()


@torch.no_grad()
def drawn(model, ids, ends, seed):
    warpers = [
        TemperatureLogitsWarper(SAMPLING["temperature"]),
        TopKLogitsWarper(SAMPLING["top_k"]),
        TopPLogitsWarper(SAMPLING["top_p"]),
    ]
    numbers, out, all_ids = chance(seed), [], torch.tensor([ids])
    while len(out) < LENGTH:
        logits = model(all_ids).logits[:, -1].float()
        for warper in warpers:
            logits = warper(all_ids, logits)
        shares = torch.softmax(logits[0].double(), 0).cumsum(0)
        token = int((shares <= next(numbers) * shares[-1]).sum())
        out.append(token)
        all_ids = torch.cat([all_ids, torch.tensor([[token]])], 1)
        if token in ends:
            break
    return out


@torch.no_grad()
def is_sure(model, ids, text):
    """Whether no choice of a greedy text hangs on rounding."""
    logits = model(torch.tensor([ids + text])).logits[0, len(ids) - 1 : -1]
    two = logits.topk(2).values
    return bool((two[:, 0] - two[:, 1] > LEAST_LEAD).all())


def make(target, name, model, tokenizer, ends, prompts, chats):
    folder = target / name
    folder.mkdir(parents=True, exist_ok=True)
    model = model.eval()
    export(model, folder / "model.onnx")
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    settings = {"bos_token": tokenizer.bos_token, "eos_token": tokenizer.eos_token, "chat_template": tokenizer.chat_template}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n")
    config = model.config.to_dict() | {"architectures": [type(model).__name__], "eos_token_id": ends}
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True, default=str) + "\n")
    expected = {"sampling": SAMPLING, "length": LENGTH, "prompts": [], "chats": []}
    for at, prompt in enumerate(prompts):
        ids = tokenizer(prompt, add_special_tokens=False).input_ids
        text = greedy(model, ids, ends)
        while not is_sure(model, ids, text):
            prompt = prompt[:-1]
            ids = tokenizer(prompt, add_special_tokens=False).input_ids
            text = greedy(model, ids, ends)
        expected["prompts"].append({
            "text": prompt,
            "tokens": ids,
            "greedy": text,
            "seed": at,
            "drawn": drawn(model, ids, ends, at),
        })
    for messages in chats:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        expected["chats"].append({"messages": messages, "text": text})
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


def main():
    # Such small products are slower on several cores.
    torch.set_num_threads(1)
    target = pathlib.Path(sys.argv[1])
    texts = json.loads((target.parent / "texts.json").read_text())["documents"]
    pick = random.Random(SEED)
    prompts = [text[: pick.randrange(20, 300)] for text in texts if text.strip()][:PROMPTS]
    assert len(prompts) == PROMPTS
    chats = [
        [{"role": "user", "content": " What does\n`a < b && c > d` do? 東京 "}],
        [{"role": "system", "content": "Answer in JSON."}, {"role": "user", "content": "{\"a\": \"<tag>\"}"}],
        [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}, {"role": "assistant", "content": "a"},
         {"role": "user", "content": "v"}],
    ]
    # Random weights give nearly flat logits; wider ones make choices that rounding does not change.
    torch.manual_seed(SEED)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
             "vocab_size": VOCABULARY, "initializer_range": 0.3}
    tokenizer = tokenizer_of(texts, ["<|begin▁of▁sentence|>", "<|EOT|>"], "<|EOT|>", "<|begin▁of▁sentence|>", DEEPSEEK)
    end = tokenizer.convert_tokens_to_ids("<|EOT|>")
    scaled = {"rope_type": "linear", "factor": 4.0, "rope_theta": 100000.0}
    llama = LlamaForCausalLM(LlamaConfig(**shape, num_key_value_heads=4, max_position_embeddings=1024, rope_parameters=scaled))
    make(target, "deepseek", llama, tokenizer, [end], prompts, chats)
    tokenizer = tokenizer_of(texts, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], "<|im_end|>", None, CHATML)
    ends = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    qwen = Qwen2ForCausalLM(Qwen2Config(**shape, num_key_value_heads=2, max_position_embeddings=1024, tie_word_embeddings=True))
    make(target, "qwen", qwen, tokenizer, ends, prompts, chats)


if __name__ == "__main__":
    main()
