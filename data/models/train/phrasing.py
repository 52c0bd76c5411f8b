"""How a question is put, whatever it asks, and which are kept out of training.

A question's key (its numbers or its word) decides by hash whether it belongs to training or to evaluation, so the
evaluation asks only for numbers and words that training never showed.
"""
import zlib
from collections import namedtuple

# lines: the reasoning; value: the number that a follow-up turn may refer to, else None
Question = namedtuple("Question", "skill text lines answer value held_out")

HELD_OUT_SHARE = 12  # one key in so many is kept for the evaluation


def held_out(*key):
    return zlib.crc32(repr(key).encode()) % HELD_OUT_SHARE == 0


def pick_number(rng, max_digits=4):
    digits = rng.choice([d for d in (1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4) if d <= max_digits])
    if max_digits == 4 and rng.random() < 0.04:
        digits = 5
    return rng.randrange(0 if digits == 1 else 10 ** (digits - 1), 10**digits)


def show(rng, number):
    """A number as people write it: now and then with a thousands comma."""
    return f"{number:,}" if number >= 1000 and rng.random() < 0.08 else str(number)


ASK = ["", "", "", "", "", "", "", "", "Hi, ", "Hey, ", "Hello! ", "Please tell me, ", "Tell me: ", "Quick question: ",
       "Question: ", "I wonder, ", "So, ", "OK, ", "Now, ", "Can you tell me: ", "Do you know ", "And "]
ORDER = ["", "", "", "", "", "", "", "Please ", "please ", "Can you ", "Could you ", "Could you please ", "Hi, ",
         "Hey, ",
         "I want you to ", "I need you to ", "Would you ", "OK, ", "Now "]
TAIL = ["", "", "", "", "", "", " please", ", please", " for me", " now", " thanks", ", thank you"]


def phrase(rng, template, **slots):
    """Fill a template and vary what does not matter. A template that begins with `!` is an order, else a question."""
    order = template.startswith("!")
    text = template.lstrip("!").format(**slots)
    start = rng.choice(ORDER if order else ASK)
    first_word = template.lstrip("!").split()[0]
    if "{" not in first_word and (start or rng.random() < 0.35):
        text = text[0].lower() + text[1:]
    text = start + text
    end = text[-1] if text[-1] in "?." else ""
    body = text[:-1] if end else text
    body += rng.choice(TAIL) if rng.random() < (0.5 if order else 0.25) else ""
    if order:
        end = rng.choice(["", "", ".", "?" if start.startswith(("C", "W")) else "."])
    elif rng.random() < 0.3:
        end = ""
    text = body + end
    if rng.random() < 0.04 and "{word}" not in template and "{letter}" not in template:
        text = text.upper() if rng.random() < 0.3 else text.lower()
    return text


def quote(rng, text, chance):
    return rng.choice(['"{}"', '"{}"', "'{}'", "`{}`"]).format(text) if rng.random() < chance else text
