#!/usr/bin/env python3
"""Trains small models of SentencePiece, and records what the library does with them: SentencePieceFixtures/<name>.model and cases.json.

    python make-sentencepiece-fixtures.py TEXT

`bytes` is of the kind of Llama 2's (byte pairs, byte fallback, text as it is), `plain` without byte fallback and without the leading space,
the others are of kinds that are refused. Made with sentencepiece 0.2.3.
"""

import io
import json
import sys
from pathlib import Path

import sentencepiece

FOLDER = Path(__file__).parent / "SentencePieceFixtures"
KINDS = {
  "bytes": dict(model_type="bpe", vocab_size=600, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False),
  "plain": dict(
    model_type="bpe", vocab_size=300, add_dummy_prefix=False, normalization_rule_name="identity", remove_extra_whitespaces=False),
  "unigram": dict(model_type="unigram", vocab_size=100, normalization_rule_name="identity", remove_extra_whitespaces=False),
  "suffixed": dict(
    model_type="bpe", vocab_size=100, normalization_rule_name="identity", remove_extra_whitespaces=False, treat_whitespace_as_suffix=True),
  "user-defined": dict(
    model_type="bpe", vocab_size=100, normalization_rule_name="identity", remove_extra_whitespaces=False, user_defined_symbols=["<x>"]),
  "normalized": dict(model_type="bpe", vocab_size=100, normalization_rule_name="identity"),
}
TEXTS = ["Hello world", "  two  spaces ", "line\nbreak\ttab", "ü é 日本 🙂", "", " ", "The lighthouse keeper's 1234 steps, again and again."]


def main():
  FOLDER.mkdir(exist_ok=True)
  cases = {}
  for name, options in KINDS.items():
    # From memory to memory: models keep the names of the files that they were made from.
    lines, model = Path(sys.argv[1]).read_text().split("\n"), io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, minloglevel=2, **options)
    (FOLDER / f"{name}.model").write_bytes(model.getvalue())
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(FOLDER / f"{name}.model"))
    cases[name] = [[text, pieces.encode(text)] for text in TEXTS + [line for line in lines if line][:6]]
  (FOLDER / "cases.json").write_text(json.dumps(cases, ensure_ascii=False))


if __name__ == "__main__":
  main()
