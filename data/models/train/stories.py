"""Word problems: things that somebody has, gets, loses or shares."""
import re

import traces
from phrasing import Question, held_out, pick_number
from words import ITEMS, NAMES

HAVE = ["{N} has {a} {items}.", "{N} has {a} {items}.", "{N} had {a} {items}.", "There are {a} {items} in a box.",
        "I have {a} {items}.",
        "A shop has {a} {items}.", "{N} owns {a} {items}.",
        "{N} starts with {a} {items}.", "There are {a} {items} on the table.", "In the morning there were {a} {items}.",
        "{N} collected {a} {items}."]
GAIN = ["{P} buys {b} more.", "{P} finds {b} more.", "{P} gets {b} more.", "{P} adds {b}.", "{P} gets {b} from {M}.",
        "{M} gives {O} {b} more.", "{P} receives {b} more {items}.",
        "Then {b} more are added.", "{M} brings {b} more.", "Then {P} buys {b} {items}.", "Then {b} more arrive.",
        "{P} makes {b} more.", "{P} wins {b} more."]
LOSE = ["{P} gives {b} to {M}.", "{P} loses {b}.", "{P} sells {b}.", "{P} gives away {b}.", "Then {b} are taken away.",
        "{M} takes {b}.", "{P} uses {b} of them.",
        "Then {b} break.", "{P} throws away {b}.", "{P} gives {b} {items} to {M}.", "Then {P} sells {b} {items}.",
        "{b} of them are sold.", "{P} eats {b}."]
# Only of whoever has the things: `she finds 4` says nothing of those on a table.
OWNER_GAINS = ["{P} finds {b}.", "{P} buys {b}.", "{P} gets {b}.", "{P} wins {b}.", "{P} receives {b}.",
               "{P} picks {b}.", "{P} picks {b} more.", "{P} earns {b}.", "{P} earns {b} more.", "{P} collects {b}.",
               "{P} found {b}.", "{P} found {b} more.", "{P} bought {b} more.", "{P} got {b} more.", "{P} earned {b}.",
               "{M} gave {O} {b}.", "{M} gives {O} {b}."]
OWNER_LOSES = ["{P} lost {b}.", "{P} gave {b} to {M}.", "{P} gave away {b}.", "{P} sold {b}.", "{P} ate {b}.",
               "{P} spends {b}.", "{P} spent {b}.", "{P} drops {b}.", "{P} breaks {b}.", "{M} took {b}.",
               "{P} gives {M} {b}.", "{P} used {b}.", "{P} gives {b} away.", "{P} threw away {b}."]
# What one sentence tells: present and past.
GAIN_VERBS = [("finds", "found"), ("buys", "bought"), ("gets", "got"), ("wins", "won"), ("receives", "received"),
              ("picks", "picked"), ("earns", "earned"), ("collects", "collected")]
LOSE_VERBS = [("loses", "lost"), ("sells", "sold"), ("gives away", "gave away"), ("eats", "ate"), ("spends", "spent"),
              ("uses", "used"), ("drops", "dropped"), ("throws away", "threw away"), ("breaks", "broke")]
NOW = ["How many {items} are there now?", "How many {items} are left?", "How many are left?", "How many are there now?",
       "How many does {P} have now?",
       "How many {items} does {P} have now?", "How many {items} remain?", "What is the total?", "How many in total?",
       "How many {items} does {P} have in the end?"]
TOGETHER = ["{N} has {a} {items} and {M} has {b}. How many do they have together?",
            "{N} has {a} {items}. {M} has {b} {items}. How many {items} do they have in total?",
            "There are {a} {items} in one box and {b} in another. How many {items} are there in total?",
            "{N} ate {a} {items} and {M} ate {b}. How many did they eat together?",
            "A shop sold {a} {items} on Monday and {b} on Tuesday. How many {items} did it sell?",
            "One book costs {a} dollars and another costs {b} dollars. How much do both cost?",
            "{N} walked {a} meters and then {b} meters more. How far did {N} walk?",
            "There are {a} {items} and {b} {items2}. How many are there in total?",
            "{N} has {a} {items} and {b} {items2}. How many things is that?",
            "There are {a} boys and {b} girls in a class. How many children are there?",
            "{N} is {a} years old. {M} is {b} years older. How old is {M}?",
            "{N} is {a}. {M} is {b} years older. How old is {M}?",
            "If I have {a} {items} and buy {b} more, how many do I have?",
            "If {N} has {a} {items} and gets {b} more, how many {items} does {N} have?"]
APART = ["{N} had {a} {items} and lost {b}. How many are left?",
         "{N} had {a} {items} and gave {b} to {M}. How many {items} does {N} have left?",
         "There were {a} {items}, and {b} were sold. How many remain?",
         "If I have {a} {items} and give away {b}, how many do I have left?",
         "{N} has {a} {items} and {M} has {b}. How many more does {N} have?",
         "{N} has {a} dollars and spends {b}. How much money is left?",
         "{N} is {a} years old. {M} is {b} years younger. How old is {M}?",
         "Of {a} {items} {b} are red. How many are not red?",
         "There are {a} children in a class, and {b} of them are boys. How many are girls?",
         "A book has {a} pages. {N} has read {b} pages. How many pages are left?",
         "If {N} has {a} {items} and eats {b}, how many {items} are left?",
         "A train carries {a} people and {b} get off. How many people are still on it?",
         "{N} needs {a} {items} and has {b}. How many more does {N} need?"]

OWNER_NOW = ["How many has {P} now?", "How much does {P} have now?", "How many {items} has {P} now?",
             "How many does {P} have left?"]
EACH = ["There are {b} boxes with {a} {items} in each. How many {items} are there?",
        "{N} has {b} bags with {a} {items} each. How many {items} does {N} have?",
        "{N} buys {b} boxes of {a} {items}. How many {items} is that?",
        "One box holds {a} {items}. How many {items} are in {b} boxes?",
        "A ticket costs {a} dollars. How much do {b} tickets cost?",
        "{N} reads {a} pages a day. How many pages does {N} read in {b} days?",
        "There are {b} rows of {a} chairs. How many chairs are there in total?",
        "{b} friends have {a} {items} each. How many {items} do they have together?",
        "{N} saves {a} dollars a week. How much is that after {b} weeks?"]
SHARED = ["{N} shares {a} {items} equally among {b} friends. How many does each get?",
          "{N} puts {a} {items} into {b} boxes. How many {items} are in each box?",
          "{b} friends share {a} {items}. How many {items} does each get?",
          "If {a} {items} are shared by {b} people, how many does each person get?",
          "{a} {items} are split equally between {b} children. How many does each child get?",
          "{b} tickets cost {a} dollars. How much does one ticket cost?",
          "{N} reads {a} pages in {b} days, the same each day. How many pages are that a day?",
          "There are {a} {items} in {b} equal rows. How many {items} are in each row?"]

FIRST_PERSON = """lose give sell eat buy find get throw use make win receive pick add earn collect take spend drop
break""".split()


def equal_parts(rng):
    """A story of so many parts of one size: one number is asked for, the other two are told."""
    items, name = rng.choice(ITEMS), rng.choice(NAMES)[0]
    b, a = rng.randint(2, 9), rng.choice([rng.randint(2, 12), rng.randint(2, 99)])
    shared = rng.random() < 0.5
    told = a * b if shared else a
    lines, answer = (traces.divide if shared else traces.multiply)(told, b)
    text = rng.choice(SHARED if shared else EACH).format(N=name, items=items, a=told, b=b)
    return Question("word problems", text, lines, answer, int(answer), held_out("story", told, "/" if shared else "*", b))


def draw_steps(rng, value, numbers):
    """Gains and losses, of which none takes more than there is."""
    steps = []
    for number in numbers:
        lose = rng.random() < 0.5 and value > 0
        number = number if not lose or number <= value else rng.randint(0, value)
        steps.append(("-" if lose else "+", number))
        value += -number if lose else number
    return steps


def one_sentence(rng):
    (name, person, _), items = rng.choice(NAMES), rng.choice(ITEMS)
    past, wide = rng.random() < 0.5, rng.choice([1, 2, 2, 3, 3, 4])
    first_person = past and rng.random() < 0.2
    subject, person = ("I", "I") if first_person else (name, rng.choice([person, person, name]))
    a, *numbers = (pick_number(rng, wide) for _ in range(rng.choice([2, 2, 3])))
    a = max(a, 2)
    steps = draw_steps(rng, a, numbers)
    told = []
    for sign, number in steps:
        verb = rng.choice(GAIN_VERBS if sign == "+" else LOSE_VERBS)[past]
        told.append(f"{verb} {number}{' more' if sign == '+' and rng.random() < 0.3 else ''}")
    text = f"{subject} {'had' if past else 'has'} {a} {items}"
    text += f" and {told[0]}" if len(told) == 1 else f", {told[0]} and {rng.choice(['', 'then '])}{told[1]}"
    text += ". " + rng.choice(NOW if first_person else NOW + OWNER_NOW).format(P=person, items=items)
    lines, answer = traces.chain(a, steps)
    return Question("word problems", re.sub(r"\bdoes I\b", "do I", text), lines, answer, int(answer),
                    held_out("story", a, *steps))


def several_sentences(rng):
    (name, person, obj), (other, *_) = rng.sample(NAMES, 2)
    items, items2 = rng.sample(ITEMS, 2)
    wide = rng.choice([1, 2, 2, 3, 3, 4])
    a, b, c = (pick_number(rng, wide) for _ in range(3))
    a = max(a, 2)
    slots = {"N": name, "M": other, "items": items, "items2": items2, "P": rng.choice([person, person, name]), "O": obj}
    if rng.random() < 0.35:
        plus = rng.random() < 0.5
        a, b = (a, b) if plus else (max(a, b), min(a, b))
        text = rng.choice(TOGETHER if plus else APART).format(a=a, b=b, **slots)
        steps = [("+" if plus else "-", b)]
    else:
        have = rng.choice(HAVE)
        if "{N}" not in have:
            slots["P"] = "I" if have.startswith("I") else rng.choice([name, "someone"])
            slots["O"] = "me" if have.startswith("I") else name
        owner = "{N}" in have or have.startswith("I ")
        gains, losses = (GAIN + OWNER_GAINS, LOSE + OWNER_LOSES) if owner else (GAIN, LOSE)
        text, steps = have.format(a=a, **slots), draw_steps(rng, a, [b, c][:rng.choice([1, 1, 2, 2, 2])])
        for sign, number in steps:
            event = rng.choice(gains if sign == "+" else losses).format(b=number, **slots)
            event = re.sub(r"\bI (%s)s\b" % "|".join(FIRST_PERSON), r"I \1", event)
            text += " " + event[0].upper() + event[1:]
        text += " " + rng.choice(NOW + OWNER_NOW if "{N}" in have else NOW).format(**slots)
        text = re.sub(r"\bdoes I\b", "do I", text).replace("does someone", "do we")
    if rng.random() < 0.05:
        text = text.rstrip("?")
    lines, answer = traces.chain(a, steps)
    return Question("word problems", text, lines, answer, int(answer), held_out("story", a, *steps))


def story(rng):
    kind = rng.random()
    return equal_parts(rng) if kind < 0.15 else one_sentence(rng) if kind < 0.3 else several_sentences(rng)
