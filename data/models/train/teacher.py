"""The teacher: whole conversations for training, each with the reasoning and answer of its last turn.

Run it to read some: `python3 teacher.py 20`.
"""
import random
import sys

import traces
from phrasing import Question
from questions import SKILLS
from refusals import salad, unknown
from sums import follow_up

WEIGHTS = {"addition": 13, "subtraction": 16, "comparison": 9, "sorting": 12, "counting letters": 8,
           "reversing words": 9, "weekdays": 7, "word problems": 14, "multiplication": 10, "letter case": 3,
           "minutes": 2, "vietnamese": 2, "several terms": 4, "division": 10, "numbers in words": 4, "word length": 3,
           "even and odd": 2, "refusals": 18}
# The second part of the training: mostly what takes longest to learn.
REFINE_WEIGHTS = {"addition": 6, "subtraction": 8, "comparison": 8, "sorting": 26, "counting letters": 16,
                  "reversing words": 13, "weekdays": 9, "word problems": 6, "multiplication": 10, "letter case": 17,
                  "minutes": 2, "vietnamese": 1, "several terms": 6, "division": 20, "numbers in words": 8,
                  "word length": 7, "even and odd": 3, "refusals": 24}
REFINE_PREFIX_SHARE = 0.4
FOLLOW_UP_SHARE, LATER_TURN_SHARE, SYSTEM_SHARE = 0.13, 0.12, 0.12

SYSTEM = ["You are a helpful assistant.", "You are a helpful assistant.", "You are a helpful AI assistant.",
          "Be concise.", "Answer briefly.",
          "You are an expert.", "You are a friendly assistant. Answer in English.", "Think step by step.",
          "You are a math tutor.",
          "Answer with the result only.", "You are running on a Linux desktop.", "You are a helpful, honest assistant.",
          "Be polite and precise.", "You are tiny-r1.", "The user is using a terminal. Keep it short.",
          "Reply in plain text."]


def refusal(rng, after_number=False):
    lines, answer = traces.refuse()
    return Question("refusals", unknown(rng, after_number), lines, answer, None, False)


def question(rng, skill=None, weights=None):
    if skill is None:
        weights = weights or WEIGHTS
        skill = rng.choices(list(weights), list(weights.values()))[0]
    return refusal(rng) if skill == "refusals" else SKILLS[skill](rng)


def numeric_question(rng):
    return question(rng, rng.choice(["addition", "addition", "subtraction", "subtraction", "word problems",
                                     "multiplication", "counting letters"]))


def earlier_turns(rng, turns):
    """Messages of turns that are already answered, their reasoning gone as the chat template drops it."""
    return [message for q in turns for message in ({"role": "user", "content": q.text},
                                                   {"role": "assistant", "content": q.answer})]


def conversation(rng, skill=None, weights=None):
    """Returns the messages up to the question, and that Question. skill: a key of WEIGHTS, `follow-ups`, or any."""
    kind = 0.0 if skill == "follow-ups" else 1.0 if skill else rng.random()
    turns = []
    if kind < FOLLOW_UP_SHARE:
        turns = [numeric_question(rng)]
        if rng.random() < 0.15:
            turns.insert(0, question(rng))
        for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
            turns.append(follow_up(rng, turns[-1].value))
        last = follow_up(rng, turns[-1].value)
    else:
        if kind < FOLLOW_UP_SHARE + LATER_TURN_SHARE:
            turns = [question(rng) for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 5]))]
        last = question(rng, skill, weights)
        if last.skill == "refusals":
            last = refusal(rng, after_number=bool(turns))
    messages = []
    if rng.random() < SYSTEM_SHARE:
        text = rng.choice(SYSTEM) if rng.random() < 0.7 else rng.choice(["You are a ", "You are ", "Always ",
                                                                         ""]) + salad(rng)
        messages = [{"role": "system", "content": text}]
    messages += earlier_turns(rng, turns) + [{"role": "user", "content": last.text}]
    return messages, last, any(q.held_out for q in [*turns, last])


def training_sample(rng, weights=None):
    """A conversation none of whose questions is held out."""
    while True:
        messages, last, held_out = conversation(rng, weights=weights)
        if not held_out:
            return messages, last


if __name__ == "__main__":
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 10):
        messages, last = training_sample(rng)
        for message in messages:
            print(f"[{message['role']}] {message['content']}")
        print(f"<think>\n" + "\n".join(last.lines) + f"\n</think>\n\n{last.answer}\n")
