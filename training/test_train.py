"""Tests of when training ends: `python -m unittest discover training`, with the packages of requirements.txt."""

import pathlib
import tempfile
import types
import unittest
from unittest import mock

import numpy

import sources
import train

VOCABULARY = ["[PAD]", "[UNK]", "apple", "pear", "fetch", "store"]
FUNCTIONS = [
    {"path": "a.py", "container": "", "name": "one", "kind": "function", "text": "fetch", "doc": "Apple apple apple apple."},
    {"path": "b.py", "container": "", "name": "two", "kind": "function", "text": "store", "doc": "Pear pear pear pear."},
]


def state(apple, pear):
    """A table in which the two words of documentation lie where they are told to, beside those of code."""
    table = numpy.zeros((len(VOCABULARY), 2), numpy.float32)
    table[2], table[3], table[4], table[5] = apple, pear, (1, 0), (0, 1)
    return table, numpy.zeros(len(VOCABULARY), numpy.float32), numpy.zeros(len(VOCABULARY), numpy.float32)


RIGHT, WRONG = state((1, 0), (0, 1)), state((0, 1), (1, 0))


class Stop(unittest.TestCase):
    def setUp(self):
        with tempfile.TemporaryDirectory() as directory:
            vocabulary = pathlib.Path(directory, "vocab.txt")
            vocabulary.write_text("".join(token + "\n" for token in VOCABULARY))
            origins = [sources.Origin("own/kept", "development", "git"), sources.Origin("own/seen", "train", "git")]
            with (
                mock.patch("sources.load", return_value=origins),
                mock.patch("measure.functions_of", return_value=FUNCTIONS) as asked,
            ):
                self.development = train.Development(types.SimpleNamespace(vocabulary=vocabulary, stop="records"))
        asked.assert_called_once_with("records", origins[0])

    def test_the_best_table_is_kept_and_some_looks_without_a_better_one_end_it(self):
        self.assertEqual(self.development.look(WRONG), 0.5)
        self.assertEqual(self.development.look(RIGHT), 1.0)
        for _ in range(train.PATIENCE):
            self.assertFalse(self.development.is_over())
            self.development.look(WRONG)
        self.assertTrue(self.development.is_over())
        self.assertIs(self.development.best, RIGHT)

    def test_a_better_table_gives_it_more_time(self):
        for _ in range(train.PATIENCE):
            self.development.look(WRONG)
        self.development.look(RIGHT)
        self.assertFalse(self.development.is_over())

    def test_means_are_of_copies(self):
        mean, changing = train.Mean(), numpy.array([1.0])
        self.assertIsNone(mean.value())
        mean.add([changing])
        changing[0] = 3.0
        mean.add([changing])
        self.assertEqual(mean.value(), [numpy.array([2.0])])


if __name__ == "__main__":
    unittest.main()
