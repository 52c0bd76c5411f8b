"""How good is a checkpoint or GGUF file? Asks the training code itself; ../evaluate.py asks the real daemon.

    python3 probe.py ../tiny-r1.gguf --count 50 --show 3
"""
import argparse
import collections
import pathlib
import sys
import tempfile

import torch

import export
from evaluation import all_questions
from tokenizer import END_THINK, EOS, ID, decode, prompt_ids


def answer_of(reply):
    text = decode(reply)
    return text.split(END_THINK)[-1].removesuffix(EOS).strip() if END_THINK in text else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a .gguf file, or a checkpoint of train.py")
    parser.add_argument("--count", type=int, default=50, help="questions of each skill")
    parser.add_argument("--show", type=int, default=2, help="wrong replies to print for each skill")
    parser.add_argument("--seed", default="probe")
    parser.add_argument("--batch", type=int, default=50)
    args = parser.parse_args()
    torch.set_num_threads(1)
    path = args.model
    if not path.endswith(".gguf"):
        path = pathlib.Path(tempfile.mkdtemp()) / "probe.gguf"
        export.export(args.model, path)
    model = export.load(path)
    questions = sorted(all_questions(args.count, args.seed), key=lambda q: len(prompt_ids(q["messages"])))
    right, asked, shown = collections.Counter(), collections.Counter(), collections.Counter()
    for i in range(0, len(questions), args.batch):
        part = questions[i:i + args.batch]
        replies = model.generate([prompt_ids(q["messages"]) for q in part], ID[EOS])
        for q, reply in zip(part, replies):
            skill, good = q["skill"], answer_of(reply) == q["answer"]
            asked[skill] += 1
            right[skill] += good
            if not good and shown[skill] < args.show:
                shown[skill] += 1
                print(f"--- {skill}: {[m['content'] for m in q['messages']]}\n{decode(reply)}\nshould be {q['answer']}")
    for skill in asked:
        print(f"{skill:20} {right[skill]:5} of {asked[skill]:5} {100 * right[skill] / asked[skill]:6.1f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
