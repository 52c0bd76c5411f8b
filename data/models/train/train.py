"""Train tiny-r1 on what the teacher writes. Needs Debian's python3-torch and python3-regex, no GPU.

    nice -n 19 python3 train.py --minutes 80
    nice -n 19 python3 train.py --refine 20 --batches 2
    nice -n 19 python3 train.py --start ../tiny-r1.gguf --refine 60 --batches 2

The last teaches a finished model more, from its file instead of a checkpoint.

Two processes with one thread each are twice as fast on two cores as one process with two: the matrices are small. Each
draws its own conversations and adds its gradients into shared memory; the first one then makes the step. The learning
rate follows the clock, so that the run ends when it was planned to. Every checkpoint holds all that a run needs to go
on.
"""
import argparse
import math
import os
import random
import sys
import time

# Both libraries read these when they are loaded, malloc even before: so the script starts itself anew with them.
# Without the last two, large buffers go back to the kernel after each use and have to be paged in again.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "4000000000",
               "MALLOC_TRIM_THRESHOLD_": "8000000000"}
if __name__ == "__main__" and any(key not in os.environ for key in ENVIRONMENT):
    os.execve(sys.executable, [sys.executable, *sys.argv], {**ENVIRONMENT, **os.environ})

import torch
from torch import multiprocessing as mp
from torch.nn import functional as F

from model import Config, Model
from teacher import REFINE_PREFIX_SHARE, REFINE_WEIGHTS, WEIGHTS, training_sample
from tokenizer import TOKENS, prompt_ids, reply_ids
import words

POOL = 384  # conversations that are drawn together and sorted by length, so that little padding is computed
BATCH_TOKENS = 2048
REFINE_RATE = 0.4  # of the learning rate, in the second part of the training
LEARNING_RATE, WARMUP, WEIGHT_DECAY, BETAS, CLIP = 2.5e-3, 150, 0.05, (0.9, 0.98), 1.0


def encode_sample(rng, weights):
    messages, last = training_sample(rng, weights)
    prompt, reply = prompt_ids(messages), reply_ids("\n".join(last.lines), last.answer)
    if last.skill == "refusals" and rng.random() < 0.75:
        reply = reply[:5]  # the rest of a refusal is always the same
    return prompt + reply, len(prompt)


def batches(seed, weights):
    """Yields inputs [rows, time], and the targets with -100 wherever the model is not the one who speaks."""
    rng = random.Random(seed)
    while True:
        pool = sorted((encode_sample(rng, weights) for _ in range(POOL)), key=lambda s: len(s[0]))
        pool = [s for s in pool if len(s[0]) <= 640]
        chunks = []
        while pool:
            rows = max(1, BATCH_TOKENS // len(pool[-1][0]))
            chunks.append(pool[-rows:])
            del pool[-rows:]
        rng.shuffle(chunks)
        for chunk in chunks:
            width = max(len(ids) for ids, _ in chunk) - 1
            inputs = torch.zeros(len(chunk), width, dtype=torch.long)
            targets = torch.full((len(chunk), width), -100)
            for row, (ids, start) in enumerate(chunk):
                inputs[row, :len(ids) - 1] = torch.tensor(ids[:-1])
                targets[row, start - 1:len(ids) - 1] = torch.tensor(ids[start:])
            yield inputs, targets


class Shared:
    """What the processes share: flat weights, one flat gradient each, the work counter."""

    def __init__(self, model, workers):
        self.shapes = [p.shape for p in model.parameters()]
        self.weights = torch.cat([p.data.flatten() for p in model.parameters()]).share_memory_()
        self.decayed = torch.cat([torch.full((p.numel(),), float(p.dim() == 2)) for p in model.parameters()])
        self.gradients = torch.zeros(workers, len(self.weights)).share_memory_()
        self.stats = torch.zeros(workers, 3, dtype=torch.float64).share_memory_()  # loss sum, reply tokens, all tokens
        self.barrier, self.counter, self.stop = mp.Barrier(workers), mp.Value("i", 0), mp.Value("i", 0)

    def views(self, flat):
        offset = 0
        for shape in self.shapes:
            yield flat[offset:offset + shape.numel()].view(shape)
            offset += shape.numel()


def save(path, model, shared, state):
    names = [name for name, _ in model.named_parameters()]
    ema = {n: t.clone() for n, t in zip(names, shared.views(state["ema"]))}
    torch.save({"config": vars(model.config), "ema": ema, "weights": shared.weights.clone(),
                "state": {k: v for k, v in state.items()}}, path + ".part")
    os.replace(path + ".part", path)


def step(shared, state, rate, average):
    """AdamW on the flat weights, with an exponential average that the export uses."""
    count = float(shared.stats[:, 1].sum())
    gradient = shared.gradients.sum(0) / count
    norm = float(gradient.norm())
    gradient *= min(1.0, CLIP / (norm + 1e-6))
    state["step"] += 1
    n, (b1, b2) = state["step"], BETAS
    state["m"].mul_(b1).add_(gradient, alpha=1 - b1)
    state["v"].mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
    update = (state["m"] / (1 - b1**n)) / ((state["v"] / (1 - b2**n)).sqrt_() + 1e-9)
    shared.weights.mul_(1 - rate * WEIGHT_DECAY * shared.decayed).add_(update, alpha=-rate)
    state["ema"].lerp_(shared.weights, 1 - min(average, n / (n + 20)))
    return norm


def schedule(progress, number):
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return LEARNING_RATE * min(1.0, number / WARMUP) * (0.02 + 0.98 * cosine)


def worker(index, args, model, shared, state):
    torch.set_num_threads(1)
    for p, w, g in zip(model.parameters(), shared.views(shared.weights), shared.views(shared.gradients[index])):
        p.data, p.grad = w, g
    refine = state["refine"] is not None
    if refine:
        words.prefix_share = REFINE_PREFIX_SHARE
    source = batches(f"{args.seed}/{index}/{state['step']}", REFINE_WEIGHTS if refine else WEIGHTS)
    start, length, scale = (state["refine"], args.refine, REFINE_RATE) if refine else (0.0, args.minutes, 1.0)
    begin, said, saved, seen = time.time() - state["elapsed"], time.time(), time.time(), torch.zeros(3).double()
    while not shared.stop.value:
        while True:
            with shared.counter.get_lock():
                taken, shared.counter.value = shared.counter.value, shared.counter.value + 1
            if taken >= args.batches:
                break
            inputs, targets = next(source)
            spoken = targets.flatten() != -100
            with torch.autocast("cpu", dtype=torch.bfloat16):  # half as much time again without it
                logits = model.output(model.hidden(inputs).flatten(0, 1)[spoken])
            loss = F.cross_entropy(logits.float(), targets.flatten()[spoken], reduction="sum")
            loss.backward()
            shared.stats[index] += torch.tensor([float(loss.detach()), float(spoken.sum()), float(inputs.numel())],
                                                dtype=torch.float64)
        shared.barrier.wait()
        if index == 0:
            state["elapsed"] = time.time() - begin
            rate = scale * schedule((state["elapsed"] - start) / (60 * length), state["step"] + 1)
            norm = step(shared, state, rate, 0.98 if refine else 0.998)
            seen += shared.stats.sum(0)
            state["tokens"] += int(shared.stats[:, 2].sum())
            shared.stats.zero_()
            shared.gradients.zero_()
            shared.counter.value = 0
            if time.time() - said > 30:
                state["loss"] = float(seen[0] / seen[1])
                print(f"{state['elapsed'] / 60:6.1f} min, step {state['step']}, loss {state['loss']:.4f}, "
                      f"rate {rate:.5f}, gradient {norm:.2f}, {float(seen[2]) / (time.time() - said):.0f} tokens/s",
                      flush=True)
                said = time.time()
                seen.zero_()
            finished = state["elapsed"] > start + 60 * length
            if finished or time.time() - saved > 180:
                save(args.checkpoint, model, shared, state)
                saved = time.time()
            shared.stop.value = finished
        shared.barrier.wait()


def read_start(path, shared, model, state):
    """Begins with a GGUF file's weights, and counts on from its tokens, steps and minutes."""
    import export
    start, facts = export.load(path), export.training_facts(path)
    if [p.shape for p in start.parameters()] != shared.shapes:
        sys.exit(f"train.py: the weights in {path} are not of the shape that model.py has now")
    shared.weights.copy_(torch.cat([p.data.flatten() for p in start.parameters()]))
    state["ema"].copy_(shared.weights)
    state["before"] = facts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=80, help="length of the whole run")
    parser.add_argument("--refine", type=float,
                        help="go on from a finished checkpoint for so many minutes, at a lower rate, "
                        "with more of what takes longest to learn")
    parser.add_argument("--start", metavar="GGUF", help="without a checkpoint, begin with the weights of this file")
    parser.add_argument("--batches", type=int, default=4, help="batches of about 2,000 tokens in one step")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint", default="tiny-r1.pt",
                        help="written every 3 minutes; a run goes on from it when it exists")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    model = Model(Config(vocab=len(TOKENS)))
    shared = Shared(model, args.workers)
    state = {"step": 0, "elapsed": 0.0, "tokens": 0, "refine": None, "m": torch.zeros_like(shared.weights),
             "v": torch.zeros_like(shared.weights),
             "ema": shared.weights.clone()}
    if os.path.exists(args.checkpoint):
        stored = torch.load(args.checkpoint)
        shared.weights.copy_(stored["weights"])
        state = {"refine": None, **stored["state"]}
        print(f"going on from {args.checkpoint}{', not from ' + args.start if args.start else ''}", flush=True)
    elif args.start:
        read_start(args.start, shared, model, state)
    if args.refine and state["refine"] is None:
        state["refine"] = state["elapsed"]  # where the second part began
    if state["refine"] is not None and not args.refine:
        parser.error("the second part of this checkpoint's training has begun: say --refine")
    print(f"{len(shared.weights)} parameters, {len(TOKENS)} tokens, from step {state['step']}", flush=True)
    others = [mp.Process(target=worker, args=(i, args, model, shared, state)) for i in range(1, args.workers)]
    for process in others:
        process.start()
    worker(0, args, model, shared, state)
    for process in others:
        process.join()


if __name__ == "__main__":
    sys.exit(main())
