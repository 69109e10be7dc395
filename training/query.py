"""Trains an encoder for questions, and the table of the documents with it.

    python query.py pack DATASET VOCABULARY TABLE RECORDS QUESTIONS.jsonl PACKED [--rows N]
    python query.py train PACKED TABLE TEACHER OUTPUT

A document stays the weighted sum of its tokens. A question is read by a small transformer over the same tokens. `pack` writes
what training needs, and what the choice is made by, as few bytes as they can be; it needs the clones (see README.md). `train`
needs a GPU: first all-MiniLM-L6-v2 learns, as the encoder of questions, together with the table; then the small
transformer learns to give the same vectors, and to find the documents.
"""

import argparse
import collections
import json
import math
import os
import time
import types

import numpy

from train import Batches

LONGEST = 40
MOST_SENTENCES = 3
FUNCTION, TYPE, CHANGE = 0, 1, 2
HEADER_WEIGHT, NAME_WEIGHT = 0.7, 3.0
PARTS = ("text", "name", "header", "sentence")


# What is packed.


def lengths_of(pointers):
    return numpy.minimum(numpy.diff(pointers), 65535).astype(numpy.uint16)


def counts_of(values):
    return numpy.clip(numpy.round(numpy.exp(values - 1)), 1, 255).astype(numpy.uint8)


def take(pointers, rows):
    """Positions of the items of these rows, and the new pointers."""
    lengths = pointers[rows + 1] - pointers[rows]
    ends = numpy.concatenate([[0], numpy.cumsum(lengths)])
    at = numpy.repeat(pointers[rows] - ends[:-1], lengths) + numpy.arange(ends[-1])
    return at, ends


def sequences(lists):
    """Lists of numbers as one array and their lengths."""
    lengths = numpy.array([min(len(numbers), LONGEST) for numbers in lists], numpy.uint8)
    flat = numpy.fromiter((number for numbers in lists for number in numbers[:LONGEST]), numpy.uint16)
    return flat, lengths


def pack(options):

    import measure
    import questions
    import sources
    from teacher import load
    from words import Tokenizer, words

    random = numpy.random.default_rng(0)
    data = numpy.load(options.dataset)
    with open(options.dataset + ".sentences.json") as file:
        sentences = json.load(file)
    tokenizer = Tokenizer.read(options.vocabulary)
    english = load().tokenizer
    english.enable_truncation(LONGEST)
    first, kind = data["first"], data["kind"]
    documented = first[1:] > first[:-1]
    _, inverse, uses = numpy.unique(data["hashes"][:, 2], return_inverse=True, return_counts=True)
    telling = (numpy.diff(data["name_pointers"]) >= 2) & (uses[inverse] <= 30) & (kind == FUNCTION)
    rows = numpy.flatnonzero(documented)
    others = numpy.flatnonzero(~documented & telling)
    room = max(options.rows - len(rows), 0)
    if len(others) > room:
        others = random.choice(others, room, replace=False)
    rows = numpy.sort(numpy.concatenate([rows, others]))
    out = {"kind": kind[rows], "origin": data["origin"][rows].astype(numpy.uint16), "telling": telling[rows]}
    out["doc_group"] = numpy.unique(data["hashes"][rows, 1], return_inverse=True)[1].astype(numpy.uint32)
    out["name_group"] = numpy.unique(data["hashes"][rows, 2], return_inverse=True)[1].astype(numpy.uint32)
    for part in ("text", "name", "header"):
        at, ends = take(data[part + "_pointers"], rows)
        out[part + "_lengths"] = lengths_of(ends)
        out[part + "_tokens"] = data[part + "_tokens"][at].astype(numpy.uint16)
        out[part + "_counts"] = counts_of(data[part + "_values"][at])
    starts = first[rows]
    ends = numpy.minimum(first[rows + 1], starts + MOST_SENTENCES)
    chosen = [sentences[at] for a, b in zip(starts, ends) for at in range(a, b)]
    out["sentence_counts"] = (ends - starts).astype(numpy.uint8)
    out["sentence_tokens"], out["sentence_lengths"] = sequences([tokenizer.tokens(sentence) for sentence in chosen])
    ids = [encoding.ids for encoding in english.encode_batch(chosen)]
    out["english_tokens"], out["english_lengths"] = sequences(ids)
    names = []
    listed = open(options.vocabulary, encoding="utf8").read().split("\n")[:-1]
    ends = numpy.concatenate([[0], numpy.cumsum(out["name_lengths"].astype(numpy.int64))])
    for row in range(len(rows)):
        names.append(" ".join(listed[token] for token in out["name_tokens"][ends[row] : ends[row + 1]]))
    ids = [encoding.ids for encoding in english.encode_batch(names)]
    out["english_name_tokens"], out["english_name_lengths"] = sequences(ids)
    # What the choice is made by: the development repositories, and the questions in other words.
    sets, names = [], []

    def add(name, documents, asked, gold):
        number = len(names)
        names.append(name)
        documents = documents.tocsr()
        out[f"eval{number}_lengths"] = lengths_of(documents.indptr)
        out[f"eval{number}_tokens"] = documents.indices.astype(numpy.uint16)
        out[f"eval{number}_values"] = documents.data.astype(numpy.float16)
        out[f"eval{number}_q_tokens"], out[f"eval{number}_q_lengths"] = sequences([tokenizer.tokens(text) for text in asked])
        out[f"eval{number}_e_tokens"], out[f"eval{number}_e_lengths"] = sequences([e.ids for e in english.encode_batch(asked)])
        out[f"eval{number}_gold"] = numpy.concatenate([numpy.array(g, numpy.int32) for g in gold])
        out[f"eval{number}_gold_lengths"] = numpy.array([len(g) for g in gold], numpy.int32)

    def counted(functions, texts=None):
        text, name, header = measure.parts(tokenizer, functions, texts)
        return text + NAME_WEIGHT * name + HEADER_WEIGHT * header

    for origin in sources.load("data.toml"):
        if origin.role == "development":
            functions = measure.functions_of(options.records, origin)
            asked = measure.questions(functions)
            add("dev " + origin.name, counted(functions), [s for s, _ in asked], [[n] for _, n in asked])
    grouped = collections.defaultdict(list)
    with open(options.questions) as file:
        for question in map(json.loads, file):
            grouped[question["repo"], question["commit"]].append(question)
    for (repository, commit), asked in grouped.items():
        records = questions.definitions(repository, commit)
        texts = [record["doc"] + "\n" + record["text"] for record in records]
        gold = [[at for at, record in enumerate(records) if any(questions.is_gold(record, g) for g in q["gold"])] for q in asked]
        add("para " + repository, counted(records, texts), [q["question"] for q in asked], gold)
    out["eval_names"] = numpy.array(names)
    numpy.savez(options.packed, **out)
    print(f"{len(rows)} rows, {len(chosen)} sentences, {len(names)} sets")


# Training.


class Flat:
    """Rows of tokens, on the device."""

    def __init__(self, torch, data, part, device, values=None):
        lengths = torch.from_numpy(data[part + "_lengths"].astype(numpy.int64))
        self.pointers = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]).to(device)
        self.tokens = torch.from_numpy(data[part + "_tokens"].astype(numpy.int32)).to(device)
        if values is None:
            values = 1 + numpy.log(data[part + "_counts"].astype(numpy.float32)) if part + "_counts" in data else None
        self.values = torch.from_numpy(values.astype(numpy.float32)).to(device) if values is not None else None

    def items(self, torch, rows):
        """Row number within the batch, token, value, of every item of these rows."""
        start, end = self.pointers[rows], self.pointers[rows + 1]
        lengths = end - start
        row = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), lengths)
        before = lengths.cumsum(0) - lengths
        at = torch.arange(len(row), device=rows.device) - before[row] + start[row]
        return row, self.tokens[at].long(), self.values[at] if self.values is not None else None

    def padded(self, torch, rows, extra=None):
        """Tokens of these rows side by side, and the mask of those that are there."""
        start, end = self.pointers[rows], self.pointers[rows + 1]
        if extra is not None:
            end = torch.where(extra, self.pointers[torch.minimum(rows + 2, torch.tensor(len(self.pointers) - 1, device=rows.device))], end)
        lengths = (end - start).clamp(max=LONGEST)
        columns = torch.arange(int(lengths.max().clamp(min=1)), device=rows.device)
        mask = columns[None, :] < lengths[:, None]
        at = (start[:, None] + columns[None, :]).clamp(max=len(self.tokens) - 1)
        return torch.where(mask, self.tokens[at].long(), 0), mask


def build(torch):
    functional = torch.nn.functional

    class Table(torch.nn.Module):
        def __init__(self, directory):
            super().__init__()
            from safetensors.numpy import load_file

            tensors = load_file(os.path.join(directory, "model.safetensors"))
            self.vectors = torch.nn.Parameter(torch.from_numpy(tensors["vectors"].astype(numpy.float32) * tensors["scale"][:, None]))
            for name in ("query", "document"):
                weights = torch.from_numpy(numpy.log(numpy.maximum(tensors[name + "_weight"], 1e-6)))
                setattr(self, name, torch.nn.Parameter(weights))

        def sums(self, count, row, token, value, side):
            weight = value * getattr(self, side).exp()[token]
            picked = functional.embedding(token, self.vectors) * weight[:, None]
            return torch.zeros(count, self.vectors.shape[1], device=picked.device).index_add(0, row, picked)

    class Static(torch.nn.Module):
        """A question as a sum, as the document."""

        def forward(self, table, tokens, mask):
            row, column = mask.nonzero(as_tuple=True)
            token = tokens[row, column]
            return functional.normalize(table.sums(len(tokens), row, token, torch.ones(len(row), device=tokens.device), "query"), dim=1)

    class Layer(torch.nn.Module):
        def __init__(self, width, heads, inner):
            super().__init__()
            self.heads = heads
            self.first, self.second = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
            self.mix, self.out = torch.nn.Linear(width, 3 * width, bias=False), torch.nn.Linear(width, width, bias=False)
            self.up, self.down = torch.nn.Linear(width, inner, bias=False), torch.nn.Linear(inner, width, bias=False)
            for part in (self.out, self.down):
                torch.nn.init.normal_(part.weight, std=0.01)

        def forward(self, states, visible, drop):
            batch, length, width = states.shape
            mixed = self.mix(self.first(states)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            seen = functional.scaled_dot_product_attention(*mixed, attn_mask=visible)
            states = states + drop(self.out(seen.transpose(1, 2).reshape(batch, length, width)))
            return states + drop(self.down(functional.silu(self.up(self.second(states)))))

    class Encoder(torch.nn.Module):
        """A small transformer over the table's own tokens; what it says is added to the sum."""

        def __init__(self, width, layers, heads, inner, dropout):
            super().__init__()
            self.norm = torch.nn.LayerNorm(width)
            self.positions = torch.nn.Parameter(torch.randn(LONGEST, width) * 0.02)
            self.layers = torch.nn.ModuleList(Layer(width, heads, inner) for _ in range(layers))
            self.last = torch.nn.LayerNorm(width)
            self.gate = torch.nn.Linear(width, 1, bias=False)
            self.project = torch.nn.Linear(width, width, bias=False)
            torch.nn.init.normal_(self.project.weight, std=0.01)
            torch.nn.init.zeros_(self.gate.weight)
            self.share = torch.nn.Parameter(torch.zeros(1))
            self.drop = torch.nn.Dropout(dropout)
            self.static = Static()

        def forward(self, table, tokens, mask):
            start = self.static(table, tokens, mask)
            states = self.norm(functional.embedding(tokens, table.vectors)) + self.positions[: tokens.shape[1]]
            states = self.drop(states)
            visible = mask[:, None, None, :] | ~mask.any(1)[:, None, None, None]
            for layer in self.layers:
                states = layer(states, visible, self.drop)
            states = self.last(states)
            gates = self.gate(states).squeeze(-1).masked_fill(~mask, -1e4).softmax(1)
            said = self.project((gates[:, :, None] * states).sum(1))
            return functional.normalize(self.share.exp() * start + said, dim=1)

    class English(torch.nn.Module):
        """all-MiniLM-L6-v2 with a projection to the table's dimension."""

        def __init__(self, weights, width):
            super().__init__()
            from transformers import BertConfig, BertModel

            config = BertConfig(vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
            self.model = BertModel(config, add_pooling_layer=False)
            packed = numpy.load(weights)
            state = self.model.state_dict()
            for name in state:
                if name + ".q" in packed:
                    values = packed[name + ".q"].astype(numpy.float32) * packed[name + ".s"].astype(numpy.float32)[:, None]
                    state[name] = torch.from_numpy(values)
                elif name in packed:
                    state[name] = torch.from_numpy(packed[name].astype(numpy.float32))
                elif "position_ids" not in name and "token_type_ids" not in name:
                    raise SystemExit(f"no weights for {name}")
            self.model.load_state_dict(state)
            self.project = torch.nn.Linear(384, width, bias=False)

        def forward(self, table, tokens, mask):
            mask = mask | ~mask.any(1)[:, None]
            states = self.model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
            weight = mask.unsqueeze(-1).float()
            return functional.normalize(self.project((states * weight).sum(1) / weight.sum(1)).float(), dim=1)

    return Table, Static, Encoder, English


class Training:
    def __init__(self, options):
        import torch

        self.torch, self.options = torch, options
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(0)
        torch.backends.cuda.matmul.allow_tf32 = True
        self.random = numpy.random.default_rng(0)
        packed = numpy.load(options.packed)
        self.data = {name: packed[name] for name in packed.files}
        data, device = self.data, self.device
        self.parts = {part: Flat(torch, data, part, device) for part in ("text", "name", "header")}
        self.sentences = Flat(torch, data, "sentence", device)
        self.english = Flat(torch, data, "english", device)
        self.english_names = Flat(torch, data, "english_name", device)
        counts = torch.from_numpy(data["sentence_counts"].astype(numpy.int64))
        self.first = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)]).to(device)
        self.groups = {name: torch.from_numpy(data[name].astype(numpy.int64)).to(device) for name in ("doc_group", "name_group")}
        documented = data["sentence_counts"] > 0
        kinds = {
            "doc": documented & (data["kind"] < CHANGE),
            "name": data["telling"],
            "change": documented & (data["kind"] == CHANGE),
        }
        blocks = types.SimpleNamespace(batch=options.batch, block=64)
        origins = data["origin"].astype(numpy.int64)
        make = lambda rows: Batches(numpy.flatnonzero(rows), origins, blocks, self.random)  # noqa: E731
        self.streams = {name: make(rows) for name, rows in kinds.items() if rows.any()}
        print({name: len(stream.rows) for name, stream in self.streams.items()}, flush=True)
        self.evals = []
        for number, name in enumerate(data["eval_names"].tolist()):
            documents = Flat(torch, data, f"eval{number}", device, data[f"eval{number}_values"])
            asked = {"own": Flat(torch, data, f"eval{number}_q", device), "english": Flat(torch, data, f"eval{number}_e", device)}
            gold = numpy.split(data[f"eval{number}_gold"], numpy.cumsum(data[f"eval{number}_gold_lengths"])[:-1])
            self.evals.append((name, documents, asked, gold))

    def document(self, table, rows, scales, drop, exclude=None, asked=None):
        """Unit vectors of documents; `exclude` says which rows lose the tokens that their question has."""
        torch = self.torch
        items = [self.parts[part].items(torch, rows) for part in ("text", "name", "header")]
        row, token, value = [], [], []
        for (r, t, v), scale in zip(items, scales):
            row.append(r), token.append(t), value.append(v * scale[r])
        row, token, value = torch.cat(row), torch.cat(token), torch.cat(value)
        keep = torch.rand(len(row), device=self.device) >= drop
        if exclude is not None:
            tokens, mask = asked
            marked = torch.zeros(len(rows), table.vectors.shape[0], dtype=torch.bool, device=self.device)
            where = torch.arange(len(rows), device=self.device)[:, None].expand_as(tokens)
            marked[where[mask], tokens[mask]] = True
            keep &= ~(marked[row, token] & exclude[row])
        keep &= value > 0
        row, token, value = row[keep], token[keep], value[keep]
        return torch.nn.functional.normalize(table.sums(len(rows), row, token, value, "document"), dim=1)

    def batch(self, mode):
        """Rows, the question in both kinds of tokens, scales of the parts, which rows lose shared tokens, and groups."""
        torch, device = self.torch, self.device
        rows = torch.from_numpy(self.streams[mode].next()).to(device)
        count = len(rows)
        chance = lambda share: torch.rand(count, device=device) < share  # noqa: E731
        headed = HEADER_WEIGHT * chance(0.5).float()
        if mode == "name":
            own, english = self.parts["name"].padded(torch, rows), self.english_names.padded(torch, rows)
            scales = (torch.ones(count, device=device), torch.zeros(count, device=device), headed)
            return rows, own, english, scales, torch.ones(count, dtype=torch.bool, device=device), self.groups["name_group"][rows]
        first, last = self.first[rows], self.first[rows + 1]
        begin = torch.where(chance(0.65), first, first + (torch.rand(count, device=device) * (last - first)).long())
        extra = chance(0.3) & (begin + 1 < last)
        own = self.sentences.padded(torch, begin, extra)
        english = self.english.padded(torch, begin, None)
        named = torch.where(chance(0.1), 0.0, NAME_WEIGHT)
        scales = (torch.ones(count, device=device), named, headed)
        return rows, own, english, scales, chance(self.options.lexical), self.groups["doc_group"][rows]

    def mode(self):
        share = self.random.random()
        name = "name" if share < 0.2 else "change" if share < 0.35 else "doc"
        return name if name in self.streams else "doc"

    def loss(self, questions, documents, groups):
        torch = self.torch
        scores = questions.float() @ documents.float().T / 0.05
        same = (groups[:, None] == groups[None, :]) & ~torch.eye(len(groups), dtype=torch.bool, device=self.device)
        scores = scores.masked_fill(same, -1e4)
        target = torch.arange(len(groups), device=self.device)
        entropy = torch.nn.functional.cross_entropy
        return 0.5 * (entropy(scores, target) + entropy(scores.T, target))

    def fit(self, label, table, encoder, kind, steps, rates, teacher=None, drop=0.1):
        """One run. `rates` are of the table and of the encoder; a teacher's vectors are imitated."""
        torch = self.torch
        groups = [{"params": encoder.parameters(), "lr": rates[1], "weight_decay": 0.01}] if list(encoder.parameters()) else []
        if rates[0]:
            groups.append({"params": table.parameters(), "lr": rates[0], "weight_decay": 0.0})
        table.requires_grad_(bool(rates[0]))
        optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=self.device == "cuda")
        warm = max(1, min(200, steps // 10))
        shape = lambda at: min(1, (at + 1) / warm) * max(0.02, 0.5 * (1 + math.cos(math.pi * at / steps)))  # noqa: E731
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, shape)
        began, shown = time.time(), collections.defaultdict(float)
        encoder.train()
        best = (0.0, None)
        for step in range(steps):
            mode = self.mode()
            rows, own, english, scales, exclude, same = self.batch(mode)
            tokens, mask = own if kind == "own" else english
            if drop:
                kept = torch.rand(mask.shape, device=self.device) >= drop
                thinned = mask & kept
                mask = torch.where(thinned.any(1)[:, None], thinned, mask)
            with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
                asked = encoder(table, tokens, mask)
            documents = self.document(table, rows, scales, 0.1, exclude, own)
            loss = self.loss(asked, documents, same)
            if teacher is not None:
                with torch.no_grad(), torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
                    told = teacher(table, *english)
                far = 1 - (asked * told).sum(1).mean()
                shown["far"] = 0.95 * (shown["far"] or far.item()) + 0.05 * far.item() if step % 20 == 0 else shown["far"]
                loss = 0.3 * loss + 10 * far
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(list(encoder.parameters()) or [table.query], 1.0)
            optimizer.step()
            schedule.step()
            if step % 20 == 0:
                value = loss.item()
                shown[mode] = 0.9 * (shown[mode] or value) + 0.1 * value
            if step % self.options.every == self.options.every - 1 or step == steps - 1:
                told = ", ".join(f"{name} {value:.3f}" for name, value in sorted(shown.items()))
                figures, said = self.measure(table, encoder, kind)
                print(f"{label} {step + 1}, {time.time() - began:.0f} s: {told}; {said}", flush=True)
                if figures > best[0]:
                    best = figures, [{name: value.detach().clone() for name, value in part.state_dict().items()} for part in (table, encoder)]
        if best[1] is not None:
            table.load_state_dict(best[1][0])
            encoder.load_state_dict(best[1][1])
        return encoder

    def measure(self, table, encoder, kind):
        """Mean MRR and recall of the development repositories, and how many questions in other words are answered."""
        torch = self.torch
        encoder.eval()
        figures, answered, total = [], 0, 0
        with torch.no_grad():
            for name, documents, asked, gold in self.evals:
                count = len(documents.pointers) - 1
                row, token, value = documents.items(torch, torch.arange(count, device=self.device))
                vectors = torch.nn.functional.normalize(table.sums(count, row, token, value, "document"), dim=1)
                numbers = torch.arange(len(gold), device=self.device)
                questions = encoder(table, *asked[kind].padded(torch, numbers))
                scores = (questions.float() @ vectors.T).cpu().numpy()
                best = numpy.array([scores[at, wanted].max() for at, wanted in enumerate(gold)])
                ranks = 1 + (scores > best[:, None]).sum(1)
                if name.startswith("dev"):
                    figures.append((numpy.where(ranks <= 10, 1 / ranks, 0).mean(), (ranks <= 10).mean()))
                else:
                    answered, total = answered + int((ranks <= 10).sum()), total + len(ranks)
        encoder.train()
        mean = numpy.mean(figures, axis=0)
        # What is chosen by: an answer in other words is worth what half a point of the rank is.
        choice = mean[0] + 0.3 * answered / max(total, 1)
        return choice, f"development {mean[0]:.4f} / {mean[1]:.4f}, other words {answered} of {total}"

    def save(self, name, table, encoder):
        from safetensors.numpy import save_file

        directory = self.options.output
        os.makedirs(directory, exist_ok=True)
        vectors = table.vectors.detach().float().cpu().numpy()
        scale = numpy.abs(vectors).max(1) / 127 + 1e-12
        save_file(
            {
                "vectors": numpy.round(vectors / scale[:, None]).astype(numpy.int8),
                "scale": scale.astype(numpy.float32),
                "query_weight": table.query.detach().exp().float().cpu().numpy(),
                "document_weight": table.document.detach().exp().float().cpu().numpy(),
            },
            os.path.join(directory, f"{name}-table.safetensors"),
        )
        if encoder is not None:
            state = {key: value.detach().to(self.torch.float16).cpu().contiguous().numpy() for key, value in encoder.state_dict().items()}
            save_file(state, os.path.join(directory, f"{name}-encoder.safetensors"))


def train(options):
    import copy

    import torch

    Table, Static, Encoder, English = build(torch)
    training = Training(options)
    device = training.device
    scale = options.scale
    steps = lambda count: max(2, int(count * scale))  # noqa: E731
    start = Table(options.table).to(device)
    print("as it is:", training.measure(start, Static(), "own")[1], flush=True)
    small = lambda layers=4: Encoder(start.vectors.shape[1], layers, 4, 768, 0.1).to(device)  # noqa: E731
    if "static" in options.runs:
        table = copy.deepcopy(start)
        training.fit("static", table, Static(), "own", steps(600), (5e-4, 0.0))
        training.save("static", table, None)
    if "direct" in options.runs:
        table, encoder = copy.deepcopy(start), small()
        training.fit("direct", table, encoder, "own", steps(1500), (5e-4, 1e-3))
        training.save("direct", table, encoder)
    if "teacher" in options.runs:
        table, teacher = copy.deepcopy(start), English(options.teacher, start.vectors.shape[1]).to(device)
        training.fit("teacher", table, teacher, "english", steps(2100), (5e-4, 2e-4))
        training.save("teacher", table, None)
        teacher.eval().requires_grad_(False)
        pupil = small()
        training.fit("pupil", table, pupil, "own", steps(options.pupil), (0.0, 1.5e-3), teacher, drop=0.05)
        training.save("pupil", table, pupil)
        training.fit("polish", table, pupil, "own", steps(600), (1e-4, 2e-4), drop=0.1)
        training.save("polish", table, pupil)


def shrink(options):
    """The teacher's weights in 8 bits a number, to carry them."""
    from safetensors.numpy import load_file

    out = {}
    for name, values in load_file(os.path.join(options.directory, "model.safetensors")).items():
        if "position_ids" in name or "pooler" in name:
            continue
        if values.ndim == 2 and values.size > 100_000:
            scale = numpy.abs(values).max(1) / 127 + 1e-12
            out[name + ".q"], out[name + ".s"] = numpy.round(values / scale[:, None]).astype(numpy.int8), scale.astype(numpy.float32)
        else:
            out[name] = values.astype(numpy.float16)
    numpy.savez(options.output, **out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("pack")
    for name in ("dataset", "vocabulary", "table", "records", "questions", "packed"):
        command.add_argument(name)
    command.add_argument("--rows", type=int, default=450_000)
    command.set_defaults(run=pack)
    command = commands.add_parser("shrink")
    for name in ("directory", "output"):
        command.add_argument(name)
    command.set_defaults(run=shrink)
    command = commands.add_parser("train")
    for name in ("packed", "table", "teacher", "output"):
        command.add_argument(name)
    command.add_argument("--scale", type=float, default=1.0)
    command.add_argument("--batch", type=int, default=4096)
    command.add_argument("--every", type=int, default=300)
    command.add_argument("--pupil", type=int, default=6000)
    command.add_argument("--lexical", type=float, default=0.2)
    command.add_argument("--runs", default="static,direct,teacher")
    command.set_defaults(run=train)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
