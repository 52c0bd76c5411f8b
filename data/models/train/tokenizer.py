"""The vocabulary and the byte-level BPE, the same that an engine rebuilds from the GGUF metadata.

Letters are what this model is asked about, so they stay visible: a merge always extends a prefix from its left end
(` `, ` p`, ` pl`, ` plu`, ` plus`). A word outside the list below is its longest known prefix, then single letters.
"""
import functools

BOS, EOS = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
USER, ASSISTANT = "<｜User｜>", "<｜Assistant｜>"
THINK, END_THINK = "<think>", "</think>"
SPECIALS = [BOS, EOS, USER, ASSISTANT, THINK, END_THINK]

WORDS_AFTER_SPACE = """
a b c d e f g h i j k l m n o p q r s t u v w x y z A B C D E F G H I J K L M N O P Q R S T U V W X Y Z
add adding and are after answer any appears before back backwards bigger both by built calculate can compute count
day days descending difference does double down equal first for from give good greater has have hello hours how
in infer inferd install into is it its large larger largest last learned less letter letters like many me minus
minutes model models more most much my name new now number numbers of on one or order outside over please plus
question real result reversed run sentence small smaller smallest so sort spell subtract sum take tell than that the
them then there these they this times to today total two week weekday weeks what when which will with word write you
upper case lower compare minute hour multiply more away left now gives gets buys finds loses sells eats friend
Monday Tuesday Wednesday Thursday Friday Saturday Sunday Yes
cộng trừ bằng bao nhiêu mấy tiny
+ - = * ? ! < > / " ( ` --
""".split()

WORDS_AT_START = """
Add Subtract Multiply Compare Spell Backwards Insert What How Which Sort Count Is The There If Reverse
Monday Tuesday Wednesday Thursday Friday Saturday Sunday Yes No This They 's --help
""".split() + ["?\n", ".\n", ":\n", ",\n", "\n\n"]


def byte_symbols():
    """GPT-2's table: every byte gets a printable character to stand for it in vocabulary and merges."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(rest)}


SYMBOL = byte_symbols()


def to_symbols(text):
    return "".join(SYMBOL[b] for b in text.encode("utf-8"))


@functools.cache
def vocabulary():
    """Returns the tokens in id order and the merges in rank order, both as symbol strings."""
    words = [to_symbols(" " + w) for w in WORDS_AFTER_SPACE] + [to_symbols(w) for w in WORDS_AT_START]
    merges, longest = {}, max(map(len, words))
    for depth in range(1, longest):
        for word in words:
            if len(word) > depth:
                merges.setdefault((word[:depth], word[depth]), None)
    tokens = SPECIALS + [SYMBOL[b] for b in range(256)] + [a + b for a, b in merges]
    assert len(tokens) == len(set(tokens))
    tokens += [f"<unused{i}>" for i in range(-len(tokens) % 32)]
    return tokens, list(merges)


TOKENS, MERGES = vocabulary()
ID = {t: i for i, t in enumerate(TOKENS)}
RANK = {pair: i for i, pair in enumerate(MERGES)}


@functools.lru_cache(maxsize=100_000)
def encode_piece(piece):
    parts = list(to_symbols(piece))
    while len(parts) > 1:
        rank, i = min((RANK.get(pair, len(RANK)), i) for i, pair in enumerate(zip(parts, parts[1:])))
        if rank == len(RANK):
            break
        parts[i:i + 2] = [parts[i] + parts[i + 1]]
    return [ID[p] for p in parts]


@functools.cache
def piece_pattern():
    """The pre-tokenizer that llama.cpp names `deepseek-r1-qwen`."""
    import regex  # only who encodes needs it, the evaluation does not
    return regex.compile(r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
                         r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def encode(text):
    return [t for piece in piece_pattern().findall(text) for t in encode_piece(piece)]


def prompt_ids(messages):
    """A conversation that ends with a user turn, up to where the model takes over (inside `<think>`).

    Earlier answers appear without their reasoning, as DeepSeek's template has it."""
    ids = [ID[BOS]]
    for message in messages:
        body = encode(message["content"])
        if message["role"] == "system":
            ids += body
        elif message["role"] == "user":
            ids += [ID[USER], *body]
        else:
            ids += [ID[ASSISTANT], *body, ID[EOS]]
    return ids + [ID[ASSISTANT], ID[THINK], *encode("\n")]


def reply_ids(trace, answer):
    return [*encode(trace + "\n"), ID[END_THINK], *encode("\n\n" + answer), ID[EOS]]


if __name__ == "__main__":
    print(len(TOKENS), "tokens,", len(MERGES), "merges")
