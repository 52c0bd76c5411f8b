"""Splits a GGUF file as gguf-split does: NAME-00001-of-0000N.gguf has all keys, each part has a run of the tensors, and
split.no, split.count and split.tensors.count say how they belong together. Standard library only."""
import os
import struct

U16, I32, STRING, ARRAY = 2, 5, 8, 9
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
ALIGNMENT = 32


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        self.at += n
        return self.data[self.at - n:self.at]

    def unpack(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))

    def string(self):
        return self.take(*self.unpack("Q"))

    def skip_value(self, kind):
        if kind == STRING:
            self.string()
        elif kind == ARRAY:
            kind, n = self.unpack("IQ")
            for _ in range(n) if kind == STRING else ():
                self.string()
            self.take(0 if kind == STRING else n * SIZES[kind])
        else:
            self.take(SIZES[kind])


def read(path):
    """The keys, as one run of bytes and their number, and the tensors: name, the entry between name and offset, data."""
    with open(path, "rb") as f:
        r = Reader(f.read())
    assert r.take(4) == b"GGUF"
    _, n_tensors, n_keys = r.unpack("IQQ")
    start = r.at
    for _ in range(n_keys):
        r.string()
        r.skip_value(*r.unpack("I"))
    keys, tensors = r.data[start:r.at], []
    for _ in range(n_tensors):
        name, begin = r.string(), r.at
        r.take(8 * r.unpack("I")[0] + 4)
        tensors.append((name, r.data[begin:r.at], *r.unpack("Q")))
    base = -(-r.at // ALIGNMENT) * ALIGNMENT
    ends = sorted(offset for _, _, offset in tensors)[1:] + [len(r.data) - base]
    end_of = dict(zip(sorted(offset for _, _, offset in tensors), ends))
    return keys, n_keys, [(name, entry, r.data[base + offset:base + end_of[offset]]) for name, entry, offset in tensors]


def string(b):
    return struct.pack("<Q", len(b)) + b


def padded(b):
    return b + bytes(-len(b) % ALIGNMENT)


def part(keys, n_keys, tensors, no, count, n_tensors):
    keys += (string(b"split.no") + struct.pack("<IH", U16, no) + string(b"split.count") + struct.pack("<IH", U16, count) +
             string(b"split.tensors.count") + struct.pack("<Ii", I32, n_tensors))
    head, data = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), n_keys + 3) + keys, b""
    for name, entry, content in tensors:
        head += string(name) + entry + struct.pack("<Q", len(data))
        data += padded(content)
    return padded(head) + data


def split(path, folder, name, count, tensors_in_first=True):
    """Returns the paths of the parts."""
    keys, n_keys, tensors = read(path)
    n = len(tensors)
    shares = count if tensors_in_first else count - 1
    runs = [tensors[n * i // shares:n * (i + 1) // shares] for i in range(shares)]
    paths = []
    for no, run in enumerate(runs if tensors_in_first else [[]] + runs):
        paths.append(os.path.join(folder, f"{name}-{no + 1:05}-of-{count:05}.gguf"))
        with open(paths[-1], "wb") as f:
            f.write(part(keys if no == 0 else b"", n_keys if no == 0 else 0, run, no, count, n))
    return paths
