#!/usr/bin/python3
"""Makes the vocabularies and cases beside it: small ones of our own, with answers worked out the slow and obvious way.

Nothing here is fast or clever: merges are tried one after the other over the whole piece, special tokens are searched
one after the other over the whole text, expressions are run by Python's re over classes spelled out from unicodedata.
The merges join neighbouring characters of the texts whatever their kind, so that a text cut in the wrong place gives
other tokens. Run it in its own folder.
"""
import json
import os
import re
import struct
import sys
import unicodedata
from collections import Counter

N_MERGES = 500
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
SPACE = "\u2581"

TEXTS = [
    "", " ", "\n", "\t", "a", "Z", "0", "'", "é", "字", "🙂", "\u00a0", "  ", "    ", " a", "a ", "  a  b   c",
    "\n\n\n", "\r\n\r\n", " \n \n ", "one\n\n\ntwo", "end   \n  next\t\t\nlast   ", "x\u2028y\u0085z\u3000w",
    "    if (x) {\n\t\treturn -1;\n    }\n", "tab\tvt\x0bff\x0c\x1c", "a\0b", "\x01\x1f\x7f\x80\x9f",
    "It's we'll I'M THEY'RE you'd 's 'S '' don't'd", "rock 'n' roll o'clock '90s",
    "1 12 123 1234 12345 1234567", "3.14 1,000.50 0x1F 1e-9 50% v2", "½ ²³ Ⅷ ١٢٣ 123", "a1b22c333 x86_64",
    "A quiet morning, and nobody had fed the cat.", "A quiet evening, and nobody had fed the dog!",
    "Sáng nay trời mưa, con mèo ngủ trên ghế.", "Hôm nay trời nắng, con chó ngủ dưới ghế.", "Ångström naïve café straße",
    "猫在椅子上睡觉。明天也许会下雨！", "猫は椅子で寝ている。カタカナ", "고양이가 의자에서 자요. 2월", "قطة تنام ١٢ ساعة؟ كَلْب", "แมวนอน",
    "बिल्ली सो रही है।", "Кот спит, Пёс НЕ спит", "ἡ γάτα Καθεύδει", "חתול יָשֵׁן", "👩\u200d🔬👍🏽🇻🇳", "1️⃣ ☕︎ ♥",
    "e\u0301e\u0301 \u0301x", "zero\u200bwidth\u00adsoft\ufeffmark", "HelloWorld HTTPServer iPhone ǅabc ʰʲ АБВгд",
    "What?! (no) [yes] {so} <tag> \"q\" `c` ~/.x", "a/b\n\nc//\r\n...\n!!!\n\n", "“quoted” — ‘so’ … «x» ¿qué?",
    "yes , no . why ? oh ! it 's we 're i 'm ' a ' b", "$5 €6 ©® ± ≤ → ~ ^ | + < = >", "x += y**2; p->q[i++] = !a && b || ~c ^ d;",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "                                        x", "ababababababababababab",
    "0000000000000000000000", "猫猫猫猫猫猫猫猫猫猫猫猫", "----------------====", "🙂🙂🙂🙂🙂🙂🙂🙂",
    "<s>hi</s>", "a<s>b", "<s><s></s>", "< s>", "<think>\nWell.\n</think>\n\nDone.", "x<think>y", "@@@@@ @@ @@@",
    "<|user|>hello<|end|><|assistant|>", "<|user|", "<|USER|>", "<0x41> <0x0A>", "▁low ▁▁ block", "Ġ Ċ ĉ",
]

SPECIALS = [("<s>", CONTROL), ("</s>", CONTROL), ("<|user|>", CONTROL), ("<|assistant|>", CONTROL), ("<|end|>", CONTROL),
            ("<think>", USER_DEFINED), ("</think>", USER_DEFINED), ("@@", USER_DEFINED), ("@@@", USER_DEFINED)]
ORDINARY = [t for t in TEXTS if not any(s in t for s, _ in SPECIALS)]


# ------------------------------------------------------------------------------------------------ expressions

def ranges(test):
    out, start = [], None
    for c in list(range(0x110000)) + [None]:
        inside = c is not None and test(chr(c))
        if inside and start is None:
            start = c
        elif not inside and start is not None:
            out.append((start, (c if c is not None else 0x110000) - 1))
            start = None
    return "".join("\\U%08X-\\U%08X" % r for r in out)


SPACES = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
CLASSES = {}


def class_of(name):
    if name not in CLASSES:
        CLASSES[name] = ranges(lambda c: c in SPACES if name == "s" else unicodedata.category(c).startswith(name))
    return CLASSES[name]


def expand(expression):
    """Spells out \\p{..}, \\s and \\S, which re does not know or understands otherwise."""
    out, inside, i = "", False, 0
    while i < len(expression):
        m = re.compile(r"\\p\{(\w+)\}|\\([sS])").match(expression, i)
        if m:
            members = class_of(m.group(1) or "s")
            out += members if inside else "[%s%s]" % ("^" if m.group(2) == "S" else "", members)
            i = m.end()
            continue
        if expression[i] == "\\":
            out += expression[i:i + 2]
            i += 2
            continue
        inside = expression[i] == "[" or (inside and expression[i] != "]")
        out += expression[i]
        i += 1
    return re.compile(out)


GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
SUFFIX = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
LLAMA3 = "(?:" + SUFFIX + r")|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CASED = r"[^\r\n\p{L}\p{N}]?" + UPPER + "*" + LOWER + r"+SUFFIX|[^\r\n\p{L}\p{N}]?" + UPPER + "+" + LOWER + "*SUFFIX"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
DEEPSEEK3 = (r"[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
             r"|\s*[\r\n]+|\s+(?!\S)|\s+")

# name: expressions, whole pieces first, BOS unless the file says otherwise, spaces cleaned
FAMILIES = {
    "gpt-2": ([GPT2], False, False, True),
    "smollm": ([r"\p{N}", GPT2], False, False, False),
    "falcon": ([r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"], False, False, True),
    "llama-bpe": ([LLAMA3], True, True, True),
    "qwen2": ([LLAMA3.replace("{1,3}", "")], False, False, False),
    "gpt-4o": ([CASED.replace("SUFFIX", "(?:" + SUFFIX + ")?") + r"|\p{N}{1,3}" + REST], False, False, False),
    "tekken": ([CASED.replace("SUFFIX", "") + r"|\p{N}" + REST], True, True, False),
    "deepseek-v3": ([r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+", DEEPSEEK3], False, False, False),
    "deepseek-coder": (["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥\u0800-一가-\ud7ff]+", r"\p{N}"], False, False, False),
}


def split(expressions, text):
    pieces = [text]
    for expression in expressions:
        out = []
        for piece in pieces:
            at = 0
            for m in expression.finditer(piece):
                out += [piece[at:m.start()], m.group()]
                at = m.end()
            out.append(piece[at:])
        pieces = [p for p in out if p]
    return pieces


# ------------------------------------------------------------------------------------------------ the models

def byte_alphabet():
    printable = list(range(0x21, 0x7F)) + list(range(0xA1, 0xAD)) + list(range(0xAE, 0x100))
    others = [b for b in range(256) if b not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(256 + i) for i, b in enumerate(others)}}


ALPHABET = byte_alphabet()


def spelled(text):
    return "".join(ALPHABET[b] for b in text.encode())


def learn_merges(texts, n):
    words = [list(t) for t in texts]
    merges = []
    while len(merges) < n:
        counts = Counter(pair for w in words for pair in zip(w, w[1:]))
        pair = max(sorted(counts), key=lambda p: counts[p])
        merges.append(pair)
        words = [joined(w, pair) for w in words]
    return merges


def joined(symbols, pair):
    out, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i:i + 2]) == pair:
            out.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return out


def merge(symbols, rank_of):
    """The best pair first, the leftmost among equals, one at a time."""
    symbols = list(symbols)
    while len(symbols) > 1:
        ranks = [(rank_of(a, b), i) for i, (a, b) in enumerate(zip(symbols, symbols[1:])) if rank_of(a, b) is not None]
        if not ranks:
            break
        i = min(ranks)[1]
        symbols[i:i + 2] = [symbols[i] + symbols[i + 1]]
    return symbols


class Vocabulary:
    def __init__(self, model, pre=None):
        self.model, self.pre = model, pre
        self.tokens, self.types, self.scores, self.merges, self.keys = [], [], [], [], {}
        self.add_bos = self.add_eos = self.add_space_prefix = self.clean = self.pair = False

    def add(self, text, kind=NORMAL, score=0.0):
        self.tokens.append(text)
        self.types.append(kind)
        self.scores.append(score)

    def add_specials(self):
        for text, kind in SPECIALS:
            self.add(text, kind)
        self.bos, self.eos = self.tokens.index("<s>"), self.tokens.index("</s>")

    def ready(self):
        self.ids = {}
        for i, t in enumerate(self.tokens):
            self.ids.setdefault(t, i)
        self.ranks = {}
        for i, pair in enumerate(self.merges):
            self.ranks.setdefault(pair, i)
        return self

    def partition(self, text, trusted):
        """A list of ids and texts."""
        fragments = [text]
        wanted = [i for i, k in enumerate(self.types) if k == USER_DEFINED or (trusted and k in (CONTROL, UNKNOWN))]
        for i in sorted(wanted, key=lambda i: -len(self.tokens[i].encode())):
            out = []
            for f in fragments:
                parts = f.split(self.tokens[i]) if isinstance(f, str) else [f]
                for k, part in enumerate(parts):
                    out += ([i] if k > 0 else []) + [part]
            fragments = [f for f in out if f != ""]
        return fragments

    def encode(self, text, special, trusted):
        ids = [self.bos] if special and (self.add_bos or self.pair) else []
        after_special = True
        for f in self.partition(text, trusted):
            ids += [f] if isinstance(f, int) else self.encode_text(f, after_special)
            after_special = isinstance(f, int)
        return ids + ([self.eos] if special and (self.add_eos or self.pair) else [])

    def decode(self, ids):
        out = b"".join(self.piece(i) for i in ids)
        if self.add_space_prefix and out.startswith(b" "):
            out = out[1:]
        text = out.decode("utf-8", "replace")
        if self.clean:
            text = re.sub(r" ([?!.,])", r"\1", text)
            text = text.replace(" ' ", "'")
            text = re.sub(r" (?='(?:[sm]|re|ve))", "", text)
        return text


class ByteLevel(Vocabulary):
    def __init__(self, pre):
        super().__init__("gpt2", pre)
        expressions, self.whole, self.add_bos, self.clean = FAMILIES[pre]
        self.expressions = [expand(e) for e in expressions]
        for b in sorted(ALPHABET.values()):
            self.add(b)
        self.merges = list(MERGES)
        for a, b in self.merges:
            self.add(a + b)
        for word in ("Ġnobody", "Ġquiet", "hello"):  # that no merge reaches
            self.add(word)
        self.add_specials()
        self.ready()

    def encode_text(self, text, after_special):
        ids = []
        for piece in split(self.expressions, text):
            piece = spelled(piece)
            whole = self.ids.get(piece)
            if self.whole and whole is not None and self.types[whole] == NORMAL:
                ids.append(whole)
            else:
                ids += [self.ids[s] for s in merge(piece, lambda a, b: self.ranks.get((a, b)))]
        return ids

    def piece(self, i):
        if self.types[i] != NORMAL:
            return self.tokens[i].encode()
        return bytes(b for c in self.tokens[i] for b, a in ALPHABET.items() if a == c)


class Sentence(Vocabulary):
    """What all vocabularies with ▁ for a space share."""

    def add_bytes(self):
        for b in range(256):
            self.add("<0x%02X>" % b, BYTE)

    def piece(self, i):
        if self.types[i] == BYTE:
            return bytes([int(self.tokens[i][3:5], 16)])
        text = self.tokens[i]
        return (text.replace(SPACE, " ") if self.types[i] == NORMAL else text).encode()

    def bytes_of(self, text):
        return [self.ids["<0x%02X>" % b] for b in text.encode()]


class Spm(Sentence):
    def __init__(self):
        super().__init__("llama")
        self.add_bos = self.add_space_prefix = True
        self.add("<unk>", UNKNOWN)
        self.add_specials()
        self.add_bytes()
        characters = Counter("".join(TEXTS).replace(" ", SPACE))
        merges = learn_merges([" " + t for t in ORDINARY], N_MERGES)
        pieces = {}
        for a, b in merges:
            text = (a + b).replace(" ", SPACE)
            if SPACE not in text.lstrip(SPACE):
                pieces.setdefault(text, -float(len(pieces)))
        for text, score in pieces.items():
            self.add(text, NORMAL, score)
        for c in sorted(c for c in characters if characters[c] > 1):
            if c not in pieces:
                self.add(c, NORMAL, -1000.0)
        self.ready()

    def encode_text(self, text, after_special):
        text = (" " if after_special else "") + text
        known = {t: -self.scores[i] for t, i in self.ids.items() if self.types[i] in (NORMAL, USER_DEFINED)}
        ids = []
        for s in merge(text.replace(" ", SPACE), lambda a, b: known.get(a + b)):
            ids += [self.ids[s]] if s in known else self.bytes_of(s)
        return ids


class Gemma4(Sentence):
    def __init__(self):
        super().__init__("gemma4")
        self.add_bos = self.clean = True
        self.add_specials()
        self.add_bytes()
        self.merges = [(a.replace(" ", SPACE), b.replace(" ", SPACE)) for a, b in learn_merges(ORDINARY, N_MERGES)]
        texts = Counter([c for c in "".join(TEXTS).replace(" ", SPACE)])
        for t in sorted(c for c in texts if texts[c] > 1):
            self.add(t)
        for a, b in self.merges:
            self.add(a + b)
        self.ready()

    def encode_text(self, text, after_special):
        ids = []
        for piece in re.findall(r"[^\n]+|\n+", text.replace(" ", SPACE)):
            if piece[0] == "\n" and piece in self.ids:
                ids.append(self.ids[piece])
                continue
            for s in merge(piece, lambda a, b: self.ranks.get((a, b))):
                ids += [self.ids[s]] if s in self.ids and self.types[self.ids[s]] == NORMAL else self.bytes_of(s)
        return ids


class WordPiece(Vocabulary):
    def __init__(self):
        super().__init__("bert")
        self.pair = self.clean = True
        for text in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"):
            self.add(text, CONTROL)
        self.bos, self.eos, self.unk = 2, 3, 1
        words = Counter(w for t in TEXTS for w in self.words(t))
        starts = Counter(w[:n] for w in words for n in range(1, len(w) + 1))
        ends = Counter(w[i:] for w in words for i in range(1, len(w)))
        for w in sorted({w for w in starts if len(w) == 1 and w.isascii()} | {w for w in starts if starts[w] > 1}):
            self.add(SPACE + w)
        for w in sorted(w for w in ends if ends[w] > 1 or (len(w) == 1 and w.isascii())):
            self.add(w)
        self.ready()

    @staticmethod
    def words(text):
        out = [""]
        for c in text:
            c = unicodedata.normalize("NFD", c)[0]
            category = unicodedata.category(c)
            if c in SPACES:
                out.append("")
            elif (category[0] in "CM" and category != "Cn") or c == "\ufffd":
                continue
            elif category[0] == "P" or c in "$+<=>^`|~" or "\u4e00" <= c <= "\u9fff":
                out += [c.lower()[0], ""]
            else:
                out[-1] += c.lower()[0]
        return [w for w in out if w]

    def encode_text(self, text, after_special):
        ids = []
        for word in self.words(text):
            word, found = SPACE + word, []
            while word:
                n = next((n for n in range(len(word), 0, -1) if self.types[self.ids.get(word[:n], 0)] == NORMAL), 0)
                if n == 0:
                    found = [self.unk]
                    break
                found.append(self.ids[word[:n]])
                word = word[n:]
            ids += found
        return ids

    def piece(self, i):
        return (self.tokens[i].replace(SPACE, " ") if self.types[i] == NORMAL else self.tokens[i]).encode()


class Unigram(Sentence):
    def __init__(self):
        super().__init__("t5")
        self.add_eos = self.add_space_prefix = True
        self.add("<pad>", CONTROL)
        self.add("</s>", CONTROL)
        self.add("<unk>", UNKNOWN)
        self.add("@@", USER_DEFINED)
        self.bos, self.eos, self.unk = 0, 1, 2
        counts = Counter()
        for t in TEXTS:
            for word in (" " + t).replace(" ", " " + SPACE).split(" "):
                counts.update({word[i:k] for i in range(len(word)) for k in range(i + 1, min(i + 7, len(word) + 1))})
        for k, (text, n) in enumerate(sorted(counts.items())):
            if n > 2 and text != "@@":
                self.add(text, NORMAL, -6.0 - k % 97 / 31 + 0.75 * len(text) + n / 300)
        self.scores = [struct.unpack("<f", struct.pack("<f", s))[0] for s in self.scores]
        self.worst = min(s for s, k in zip(self.scores, self.types) if k == NORMAL) - 10
        self.worst = struct.unpack("<f", struct.pack("<f", self.worst))[0]
        self.ready()

    def encode_text(self, text, after_special):
        words = [w for w in text.split(" ") if w]
        text = "".join(SPACE + w for w in words)  # extra spaces go, one stands before each word
        best = [(0.0, None, 0)] + [None] * len(text)
        for i in range(len(text)):
            for k in range(i + 1, len(text) + 1):
                token = self.ids.get(text[i:k])
                if token is not None and self.types[token] == NORMAL:
                    score = self.scores[token]
                elif token is not None and self.types[token] == USER_DEFINED:
                    score = 0.0
                elif k == i + 1:
                    token, score = self.unk, self.worst
                else:
                    continue
                if best[k] is None or best[i][0] + score > best[k][0]:
                    best[k] = (best[i][0] + score, token, i)
        ids, at = [], len(text)
        while at > 0:
            _, token, at = best[at]
            if token != self.unk or not ids or ids[-1] != self.unk:
                ids.append(token)
        return ids[::-1]


# ------------------------------------------------------------------------------------------------ files

U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9


def string(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def write_gguf(v, path):
    value = {U32: lambda x: struct.pack("<I", x), I32: lambda x: struct.pack("<i", x), F32: lambda x: struct.pack("<f", x),
             BOOL: lambda x: struct.pack("<?", x), STRING: string}
    entries = []

    def add(key, kind, x):
        entries.append(string("tokenizer.ggml." + key) + struct.pack("<I", kind) + value[kind](x))

    def add_array(key, kind, xs):
        entries.append(string("tokenizer.ggml." + key) + struct.pack("<IIQ", ARRAY, kind, len(xs)) +
                       b"".join(value[kind](x) for x in xs))

    add("model", STRING, v.model)
    if v.pre:
        add("pre", STRING, v.pre)
    add_array("tokens", STRING, v.tokens)
    add_array("token_type", I32, v.types)
    if any(v.scores):
        add_array("scores", F32, v.scores)
    if v.merges:
        add_array("merges", STRING, [a + " " + b for a, b in v.merges])
    add("bos_token_id" if not v.pair else "cls_token_id", U32, v.bos)
    add("eos_token_id" if not v.pair else "seperator_token_id", U32, v.eos)
    if v.model in ("bert", "t5"):
        add("unknown_token_id", U32, v.unk)
    if v.model == "t5":
        add("add_space_prefix", BOOL, True)
        add("remove_extra_whitespaces", BOOL, True)
    if v.model == "gemma4":
        add("add_bos_token", BOOL, True)
    with open(path, "wb") as f:
        f.write(struct.pack("<IIQQ", 0x46554747, 3, 0, len(entries)) + b"".join(entries))


def write_folder(name, v):
    os.makedirs(name, exist_ok=True)
    write_gguf(v, os.path.join(name, "vocab.gguf"))
    with open(os.path.join(name, "cases.jsonl"), "w", encoding="ascii") as f:
        for text in TEXTS:
            for special, trusted in ((True, True), (False, False)):
                ids = v.encode(text, special, trusted)
                f.write(json.dumps({"text": text, "add_special": special, "parse_special": trusted, "ids": ids,
                                    "detok": v.decode(ids)}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(sys.argv[0])))
    MERGES = learn_merges([spelled(t) for t in ORDINARY], N_MERGES)
    for name in FAMILIES:
        write_folder(name, ByteLevel(name))
    for name, model in (("spm", Spm), ("gemma4", Gemma4), ("wordpiece", WordPiece), ("unigram", Unigram)):
        write_folder(name, model())
