"""Trains small tokenizers of the shapes that published models have, and records what the tokenizers library does with them.

    python make-tokenizer-fixtures.py TEXT OUTPUT [VOCABULARY_SIZE] [--no-records]

TEXT is any larger English text; OUTPUT gets one <shape>.json a shape (a tokenizer.json) and cases.json with the library's
results: text, ids, ids without special tokens where they differ, the ids decoded without and with special tokens; then the
pieces of pre-tokenizers and patterns, and normalized texts. Made with tokenizers 0.23.3.
"""

import json
import os
import random
import sys

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

V3 = [
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
]
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
# DeepSeek-LLM's second expression lists letter ranges; a shorter list of the same form serves here.
DEEPSEEK = [
    "[\r\n]",
    r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷΆΈ-ΊΌΎ-ΡΣ-ϵҊ-ԯԱ-ՖႠ-ჅḀ-ἕ]+",
    r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
    r"\s+$",
    "[一-龥ࠀ-一가-퟿]+",
]
SPECIAL = ["<|begin|>", "<|end|>", "<|pad|>"]


def isolated(*patterns):
    return [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns]


def byte_level(**options):
    return pre_tokenizers.ByteLevel(**{"add_prefix_space": False, "use_regex": False, **options})


def template(token, id):
    return processors.TemplateProcessing(single=f"{token} $A", pair=f"{token} $A {token} $B", special_tokens=[(token, id)])


def train(tokenizer, lines, size, alphabet=None, special=SPECIAL, **options):
    # Byte-level letters are all there; of other alphabets only the most frequent letters, so that unknown ones come up.
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        show_progress=False,
        initial_alphabet=alphabet or [],
        limit_alphabet=256 if alphabet else 200,
        **options,
    )
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


def edit(tokenizer, **model):
    value = json.loads(tokenizer.to_str())
    value["model"].update(model)
    return value


def shapes(lines, size):
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    out = {}

    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.Sequence([])
    t.pre_tokenizer = pre_tokenizers.Sequence(isolated(*V3) + [byte_level()])
    t.decoder, t.post_processor = decoders.ByteLevel(), processors.ByteLevel(trim_offsets=False)
    train(t, lines, size, alphabet)
    t.add_tokens(
        [
            AddedToken("<tool>", normalized=False, lstrip=True),
            AddedToken("<call>", normalized=False, rstrip=True),
            AddedToken("<both>", normalized=False, lstrip=True, rstrip=True),
            AddedToken("word", normalized=False, single_word=True),
            AddedToken("<normal>", normalized=True),
            AddedToken("<normaler>", normalized=True, single_word=True),
        ]
    )
    out["deepseek-v3"] = edit(t)

    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence(isolated(*DEEPSEEK) + [pre_tokenizers.Digits(individual_digits=True), byte_level()])
    t.decoder, t.post_processor = decoders.ByteLevel(), processors.ByteLevel(trim_offsets=False)
    out["deepseek-llm"] = edit(train(t, lines, size, alphabet))

    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence(isolated(LLAMA3) + [byte_level()])
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template(SPECIAL[0], 0)])
    train(t, lines, size, alphabet)
    # Some whole words have tokens that no merges reach, which is what ignore_merges is for.
    value = edit(t, ignore_merges=True)
    next_id = len(value["model"]["vocab"])
    for index, token in enumerate(["Ġtokenizer", "Ġunmergeable", "Ã©Ã©", "!!!!"]):
        value["model"]["vocab"].setdefault(token, next_id + index)
    out["llama-3"] = value

    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence(isolated(QWEN2) + [byte_level()])
    t.decoder, t.post_processor = decoders.ByteLevel(), processors.ByteLevel(trim_offsets=False)
    out["qwen-2"] = edit(train(t, lines, size, alphabet))
    out["qwen-2"]["model"].update(merges=[" ".join(m) for m in out["qwen-2"]["model"]["merges"]], unk_token=None)

    t = Tokenizer(models.BPE(unk_token="<unk>"))
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    byte_tokens = [f"<0x{b:02X}>" for b in range(256)]
    train(t, lines, size, special=["<unk>", "<s>", "</s>"] + byte_tokens)
    t.pre_tokenizer = None
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.post_processor = template("<s>", 1)
    value = edit(t, byte_fallback=True, fuse_unk=True)
    value["added_tokens"] = [a for a in value["added_tokens"] if a["content"] not in byte_tokens]
    out["llama-2"] = value

    # The same without byte tokens, so that unknown tokens come up, and with Metaspace in the place of the normalizer.
    value = json.loads(json.dumps(value))
    value["normalizer"] = None
    value["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    value["decoder"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    value["model"].update(byte_fallback=False, fuse_unk=True)
    out["metaspace-first"] = value

    t = Tokenizer(models.BPE(unk_token="[UNK]"))
    t.pre_tokenizer = byte_level(add_prefix_space=True, use_regex=True)
    t.decoder = decoders.ByteLevel()
    train(t, lines, size, alphabet, special=["<s>", "</s>", "[UNK]"])
    t.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    t.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    out["roberta"] = edit(t)

    t = Tokenizer(models.BPE(unk_token="[UNK]", continuing_subword_prefix="##"))
    t.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.Strip(), normalizers.StripAccents(), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()])
    train(t, lines, size, special=["[CLS]", "[SEP]", "[UNK]"], continuing_subword_prefix="##")
    t.post_processor = processors.BertProcessing(("[SEP]", 1), ("[CLS]", 0))
    t.add_tokens([AddedToken("Ünïted", normalized=True), AddedToken("ﬁne", normalized=True, single_word=True)])
    out["prefixed"] = edit(t)

    t = Tokenizer(models.BPE(unk_token="<|end|>", end_of_word_suffix="</w>", fuse_unk=True))
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Split(
        Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), behavior="removed", invert=True
    )
    t.decoder = decoders.BPEDecoder("</w>")
    out["suffixed"] = edit(train(t, lines, size, end_of_word_suffix="</w>"))

    for name, options, cleanup in (("bert", {}, True), ("bert-cased", {"lowercase": False, "handle_chinese_chars": False}, False)):
        t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=30))
        t.normalizer = normalizers.BertNormalizer(**options)
        t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        t.decoder = decoders.WordPiece("##", cleanup)
        specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=specials, show_progress=False, limit_alphabet=200)
        t.train_from_iterator(lines, trainer)
        t.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
        out[name] = edit(t)
    return out


SPACES = [" ", " ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u2028", "\x85", "\x0b", "\u200b", "\u2009"]
JOINERS = ["\u200d", "\ufe0f", "\u0301", "\u0323", "\u0327", "\u0345", "\u094d", "\u3099", "\u20dd", "\u0334", "\u11a8"]
WORDS = "the of united states Straße café naïve don't WE'LL you'Re I'ſ it'S'ſ ﬁne ﬁne. ￼ Ünïted word sword word. <|begin|> <|end|> <|pad|> <s> </s> <unk> [UNK] [CLS] [SEP] <mask> <tool> <call> <both> <normal> <normaler> <normal>er <|beg 1234567 3.14 ½ ⅧⅩ ٣٤٥ 二〇二四年 中文字符 ひらがな カタカナ 한국어 한국어 ไทย हिन्दी العربية עברית Ελληνικά кириллица 😀😀 👩‍👩‍👧‍👦 🇩🇪 🏳️‍🌈 ... !!!! ??!! ---- ___ $100 #tag @you a_b C++ <0x41> ▁ ▁▁the Ġthe tokenizer unmergeable ééé".split(
    " "
)


def scalar(r):
    while True:
        kind = r.randrange(9)
        c = (
            r.randrange(0x20, 0x7F)
            if kind < 2
            else r.randrange(0x80, 0x250)
            if kind == 2
            else r.randrange(0x300, 0x1200)
            if kind == 3
            else r.randrange(0x1100, 0x3100)
            if kind == 4
            else r.randrange(0x3000, 0xFFFF)
            if kind == 5
            else r.randrange(0x10000, 0x20000)
            if kind == 6
            else r.randrange(0xE000, 0xF900)
            if kind == 7
            else r.randrange(0x110000)
        )
        if not 0xD800 <= c <= 0xDFFF:
            return chr(c)


def random_text(r):
    parts = []
    for _ in range(r.randrange(1, 14)):
        kind = r.randrange(10)
        if kind < 3:
            parts.append(r.choice(WORDS))
        elif kind < 5:
            parts.append(r.choice(SPACES) * r.choice([1, 1, 1, 2, 5]))
        elif kind == 5:
            parts.append("".join(scalar(r) for _ in range(r.randrange(1, 6))))
        elif kind == 6:
            parts.append("".join(chr(r.randrange(0x20, 0x7F)) for _ in range(r.randrange(1, 12))))
        elif kind == 7:
            parts.append(r.choice(WORDS) + r.choice(JOINERS) + r.choice(JOINERS))
        elif kind == 8:
            parts.append(r.choice("aeiouAEnsAO가각") + "".join(r.choice(JOINERS) for _ in range(3)))
        else:
            parts.append(r.choice("ab z9'.-") * r.randrange(1, 40))
    return "".join(parts)


PATTERNS = (
    [p for p in V3 + DEEPSEEK + [LLAMA3, QWEN2]]
    + r"""x*|^|$|\n$|a{2}+|a{1,2}+b|a{2}?|a{,2}|a{2,}?|a{1,3}?|a{x}|a{,}|a{|[]a]|[a-]|[a-c-e]|\x{3042}|\u3042|\x41|\101""".split("|")
    + ["", "(?i:s)", "(?i:K)", "(?i:[a-s])", "(?i:[^s])", "a(?i)b|c", "(?m:.)", "(?x: a b )", "(?>a+)b", "(?<=a)b", "(?<!a)b", "(?<=ab|c)d"]
    + [r"\h", r"\R", r"\N", r"\O", "[[:alpha:]]", "[[:^alpha:]]", "[[:punct:]]", "[[:lower:]]+", "[[:upper:]]+", "[[:graph:]]+"]
    + ["[[:print:]]+", "[[:alnum:]]+", "[[:word:]]+", "[[:blank:]]+", "[[:cntrl:]]", "[a-z&&[^b]]", r"\p{^L}", r"\pL", r"\p{han}+", r"\p{L u}"]
    + [r"[\p{Han}&&[^一]]+", r"\p{Hiragana}", r"\p{Latin}+", r"\w+", r"\W+", r"\s+", r"\S+", r"\d+", r"\D+", r"\b", r"\B", r"\A.", r".\z"]
    + [".$", "^.", "^", "a++b", "a?+a", "a**", "a+?", "a+*", "(?:a|b)*?c", "(a*)*b", "(a*)+", "(a|b|ab)*c", "a|", "|a", "(?:)", r"\Z"]
    + [r"[\d\-x]", "[--a]", "[!--]", "[[a]-c]", r"[\x41-\x43]", "a{0}b", "a{3,1}", r"\p{Lu}\p{Ll}+|\p{Lu}+(?!\p{Ll})", r"(?:\r\n|\n)+?\s"]
    + [r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|\s+"]
    + [r"(?=[a-c])\w+|\s", r"(?!ab)a.|b", r"(?:ab?)+?c|\S", r"(?:ab?){2,3}|b", r"(?:ab?){1,3}?|b", r"[a-z]+(?=\s)|\s+(?<=\n)", r"\p{So}|\p{Sk}|\p{Cn}"]
    + [r"\s+(?!\S)|\s+$", r"(?i:straße)|ü", r"[^\s]+\s?", r"(?:\p{L}\p{M}*)+", r"[一-龥]{2,}+|.", r"\p{Any}{3}", r"\p{LC}+", r"\p{Alphabetic}+"]
    + ["'(?:[sdmt]|ll|ve|re)| ?\\p{L}++| ?\\p{N}++| ?[^\\s\\p{L}\\p{N}]++|\\s++$|\\s+(?!\\S)|\\s", r"\p{Greek}|\p{Cyrillic}+|\p{Arabic}|\p{Thai}|\p{Hangul}+"]
)

BEHAVIORS = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]


def pre_tokenizer_configurations():
    out = [pre_tokenizers.Split(Regex(p), "isolated") for p in PATTERNS]
    for behavior in BEHAVIORS:
        for invert in (False, True):
            out.append(pre_tokenizers.Split(Regex(r"\w+"), behavior, invert))
            out.append(pre_tokenizers.Split(" ", behavior, invert))
            out.append(pre_tokenizers.Split("a.", behavior, invert))
        out.append(pre_tokenizers.Punctuation(behavior))
    for add in (False, True):
        for use in (False, True):
            out.append(pre_tokenizers.ByteLevel(add_prefix_space=add, use_regex=use))
    for scheme in ("first", "never", "always"):
        for split in (False, True):
            out.append(pre_tokenizers.Metaspace("▁", scheme, split))
            out.append(pre_tokenizers.Sequence([pre_tokenizers.Split("a", "isolated"), pre_tokenizers.Metaspace("_", scheme, split)]))
    out += [pre_tokenizers.Digits(True), pre_tokenizers.Digits(False), pre_tokenizers.Whitespace(), pre_tokenizers.WhitespaceSplit()]
    out.append(pre_tokenizers.Sequence([byte_level(), pre_tokenizers.Split(Regex("Ġ+"), "merged_with_next")]))
    out.append(pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation(), pre_tokenizers.Digits(True)]))
    out.append(pre_tokenizers.BertPreTokenizer())
    return out


def normalizer_configurations():
    n = normalizers
    out = [n.NFC(), n.NFD(), n.NFKC(), n.NFKD(), n.Lowercase(), n.StripAccents(), n.Prepend("▁"), n.Replace(" ", "▁"), n.Replace("ab", "")]
    out += [n.Strip(True, False), n.Strip(False, True), n.Strip(), n.Replace(Regex(r"\s+"), " "), n.Replace(Regex("x*"), "-")]
    out += [n.Sequence([n.NFD(), n.StripAccents(), n.NFC()]), n.Sequence([n.Strip(), n.Prepend(" "), n.Lowercase()])]
    out += [n.BertNormalizer(), n.BertNormalizer(lowercase=False), n.BertNormalizer(lowercase=False, strip_accents=True)]
    out += [n.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=False)]
    return out


def state(component):
    return json.loads(component.__getstate__())


def main(text, output, size, records):
    lines = open(text, encoding="utf-8").read(4_000_000).split("\n")
    r = random.Random(20250)
    texts = ["", " ", "a", "Hello world", " Hello  world \n\n next", "The 2024 café — naïve, isn't it?"] + [random_text(r) for _ in range(30)]
    cases = {"tokenizers": tokenizers.__version__, "shapes": {}, "pretokenizers": [], "normalizers": []}
    os.makedirs(output, exist_ok=True)
    for name, value in shapes(lines, size).items():
        dumped = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        with open(f"{output}/{name}.json", "w", encoding="utf-8") as file:
            file.write(dumped + "\n")
        t = Tokenizer.from_str(dumped)
        rows = []
        for s in texts:
            ids = t.encode(s).ids
            plain = t.encode(s, add_special_tokens=False).ids
            rows.append([s, ids, None if plain == ids else plain, t.decode(ids), t.decode(ids, skip_special_tokens=False)])
        cases["shapes"][name] = {"size": t.get_vocab_size(), "rows": rows}
    if not records:
        return
    short = [random_text(r) for _ in range(4)] + ["aab abc xxd a{x} a-b]", "a\nb\n", "ſsSKkK İß"]
    for p in pre_tokenizer_configurations():
        cases["pretokenizers"].append([state(p), [[s, [piece for piece, _ in p.pre_tokenize_str(s)]] for s in r.sample(short, 4)]])
    for n in normalizer_configurations():
        cases["normalizers"].append([state(n), [[s, n.normalize_str(s)] for s in r.sample(short, 4)]])
    with open(f"{output}/cases.json", "w", encoding="utf-8") as file:
        json.dump(cases, file, ensure_ascii=True, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    main(arguments[0], arguments[1], int(arguments[2]) if len(arguments) > 2 else 600, "--no-records" not in sys.argv)
