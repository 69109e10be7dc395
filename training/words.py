"""Words and tokens, as the program makes them: `model/src/embed/words.rs` and `pieces.rs`."""

import math
import re

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\x00-\x7f]+")
UNKNOWN = 1
LONGEST_WORD = 64
PIECE_COST = 10_000
# Path and container parts that only say where a language puts its files.
LAYOUT_WORDS = {"src", "lib", "mod", "main", "index", "__init__"}


def words(text):
    """The lower-cased parts that identifiers and prose are made of."""
    return [word.lower() for word in WORD.findall(text)]


def header_of(path, container):
    """What a header is made of: directory, file stem and container, without layout words."""
    stem = path.rsplit(".", 1)[0] if "." in path.rsplit("/", 1)[-1] else path
    parts = stem.split("/")[-2:] + re.split(r"[\s/\\:]+", container)
    return " ".join(part for part in parts if part not in LAYOUT_WORDS)


class WordPiece:
    """Greedy longest match with `##` on continuations: the segmentation of the first built-in table."""

    def __init__(self, tokens):
        self.ids = {token: number for number, token in enumerate(tokens)}
        self.longest = max(map(len, tokens))

    def split(self, word):
        at, pieces = 0, []
        while at < len(word):
            for end in range(min(len(word), at + self.longest), at, -1):
                piece = self.ids.get(("##" if at else "") + word[at:end])
                if piece is not None:
                    pieces.append(piece)
                    at = end
                    break
            else:
                return [UNKNOWN]
        return pieces if len(word) <= LONGEST_WORD else [UNKNOWN]


class Pieces:
    """The cheapest split into tokens; a token costs a constant and the logarithm of its place, in thousandths of a nat.

    The vocabulary is in order of frequency, to which by Zipf's law the place is inverse. A word that is a token stays whole.
    """

    def __init__(self, tokens):
        self.ids = {token: number for number, token in enumerate(tokens)}
        self.longest = max(map(len, tokens))
        self.costs = [PIECE_COST + round(1000 * math.log(number + 1)) for number in range(len(tokens))]

    def split(self, word):
        whole = self.ids.get(word)
        if whole is not None:
            return [whole]
        if len(word) > LONGEST_WORD:
            return [UNKNOWN]
        best = [(0, 0, 0)] + [(math.inf, 0, 0)] * len(word)
        for end in range(1, len(word) + 1):
            for start in range(max(0, end - self.longest), end):
                piece = self.ids.get(word[start:end])
                if piece is not None:
                    cost = best[start][0] + self.costs[piece]
                    if cost < best[end][0]:
                        best[end] = (cost, start, piece)
        if best[-1][0] == math.inf:
            return [UNKNOWN]
        end, pieces = len(word), []
        while end:
            pieces.append(best[end][2])
            end = best[end][1]
        return pieces[::-1]


class Tokenizer:
    """Texts to token numbers, remembering the split of every word."""

    def __init__(self, tokens):
        self.vocabulary = (WordPiece if any(token.startswith("##") for token in tokens) else Pieces)(tokens)
        self.size = len(tokens)
        self.known = {}

    @classmethod
    def read(cls, path):
        with open(path, encoding="utf8") as file:
            return cls(file.read().split("\n")[:-1])

    def tokens(self, text):
        numbers = []
        for word in words(text):
            split = self.known.get(word)
            if split is None:
                split = self.known[word] = self.vocabulary.split(word)
            numbers.extend(split)
        return numbers
