"""Just enough GGUF (version 3) to write a small model and to read it back."""
import struct

import numpy as np

MAGIC, VERSION, ALIGNMENT = 0x46554747, 3, 32
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
SCALARS = {U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}
TYPE_F32, TYPE_Q8_0, BLOCK = 0, 8, 32


def string(text):
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def scalar(kind, value):
    return string(value) if kind == STRING else struct.pack(SCALARS[kind], value)


def padding(size):
    return b"\0" * (-size % ALIGNMENT)


def quantize_q8_0(matrix):
    """Rows of blocks of 32 weights: one float16 scale, then 32 signed bytes."""
    blocks = np.ascontiguousarray(matrix, dtype=np.float32).reshape(-1, BLOCK)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / 127
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    packed = np.empty(len(blocks), dtype=[("scale", "<f2"), ("values", "i1", BLOCK)])
    packed["scale"] = scale[:, 0]
    packed["values"] = np.rint(blocks * inverse)
    return packed.tobytes()


def dequantize_q8_0(data, shape):
    packed = np.frombuffer(data, dtype=[("scale", "<f2"), ("values", "i1", BLOCK)])
    return (packed["values"] * packed["scale"].astype(np.float32)[:, None]).reshape(shape)


class Writer:
    def __init__(self):
        self.metadata, self.tensors = [], []

    def add(self, key, kind, value):
        self.metadata.append(string(key) + struct.pack("<I", kind) + scalar(kind, value))

    def add_array(self, key, kind, values):
        body = b"".join(scalar(kind, v) for v in values)
        self.metadata.append(string(key) + struct.pack("<IIQ", ARRAY, kind, len(values)) + body)

    def add_tensor(self, name, array):
        """Matrices become Q8_0, vectors stay F32. GGUF counts dimensions from the fastest one."""
        kind = TYPE_Q8_0 if array.ndim == 2 else TYPE_F32
        data = quantize_q8_0(array) if kind == TYPE_Q8_0 else np.ascontiguousarray(array, dtype="<f4").tobytes()
        self.tensors.append((name, array.shape[::-1], kind, data))

    def save(self, path):
        head = struct.pack("<IIQQ", MAGIC, VERSION, len(self.tensors), len(self.metadata)) + b"".join(self.metadata)
        offset = 0
        for name, shape, kind, data in self.tensors:
            head += string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
            offset += len(data) + len(padding(len(data)))
        with open(path, "wb") as file:
            file.write(head + padding(len(head)))
            for *_, data in self.tensors:
                file.write(data + padding(len(data)))


class Reader:
    """Reads what Writer writes: `metadata` by key, `tensors` by name as float32 arrays."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data, self.at = file.read(), 0
        magic, version, tensors, entries = self.take("<IIQQ")
        assert (magic, version) == (MAGIC, VERSION)
        self.metadata = {self.text(): self.value(self.take("<I")[0]) for _ in range(entries)}
        infos = [(self.text(), self.take(f"<{self.take('<I')[0]}Q"), *self.take("<IQ")) for _ in range(tensors)]
        start = self.at + len(padding(self.at))
        self.tensors = {name: self.tensor(shape[::-1], kind, start + offset) for name, shape, kind, offset in infos}

    def take(self, layout):
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def text(self):
        size, = self.take("<Q")
        self.at += size
        return self.data[self.at - size:self.at].decode("utf-8")

    def value(self, kind):
        if kind == ARRAY:
            inner, count = self.take("<IQ")
            return [self.value(inner) for _ in range(count)]
        return self.text() if kind == STRING else self.take(SCALARS[kind])[0]

    def tensor(self, shape, kind, at):
        count = int(np.prod(shape))
        if kind == TYPE_F32:
            return np.frombuffer(self.data, "<f4", count, at).reshape(shape)
        return dequantize_q8_0(self.data[at:at + count // BLOCK * (2 + BLOCK)], shape)
