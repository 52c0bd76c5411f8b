"""Questions about sums and differences, alone, in rows, and in the turn after an answer."""
import traces
from phrasing import Question, held_out, phrase, pick_number, show

ADD = ["What is {a} + {b}?", "What is {a} + {b}?", "{a} + {b}", "{a}+{b}", "{a} + {b} = ?", "{a}+{b}=", "{a} + {b} =",
       "{a} + {b}?", "What's {a} + {b}?", "What is {a}+{b}?", "How much is {a} + {b}?", "How much is {a} plus {b}?",
       "What is {a} plus {b}?", "What's {a} plus {b}?", "{a} plus {b}", "{a} plus {b}?", "{a} plus {b} equals?",
       "{a} plus {b} is what?", "{a} and {b} make how much?", "What is {a} and {b} together?",
       "How much do {a} and {b} make?",
       "What does {a} + {b} equal?", "What does {a} plus {b} make?", "What do you get if you add {a} and {b}?",
       "What do you get when you add {b} to {a}?", "If I add {b} to {a}, what do I get?",
       "What is the sum of {a} and {b}?",
       "What's the total of {a} and {b}?", "Sum of {a} and {b}?", "What is the result of {a} + {b}?",
       "What is {a} added to {b}?", "{a} added to {b}?", "How many are {a} and {b}?", "What is {b} more than {a}?",
       "I have {a} and then {b} more. How much is that?", "{b} more than {a}?",
       "!Add {a} and {b}", "!Add {b} to {a}", "!Add {a} + {b}", "!Add up {a} and {b}", "!Compute {a} + {b}",
       "!Compute {a} plus {b}",
       "!Calculate {a} + {b}", "!Calculate the sum of {a} and {b}", "!Sum {a} and {b}", "!Work out {a} + {b}",
       "!Work out {a} plus {b}", "!Solve {a} + {b}", "!Evaluate {a} + {b}", "!Find the sum of {a} and {b}",
       "!Find {a} + {b}",
       "!Tell me {a} + {b}", "!Tell me what {a} plus {b} is", "!Give me the sum of {a} and {b}", "!Do {a} + {b}",
       "!Calculate {a}+{b}", "!Compute the total of {a} and {b}", "!Add the numbers {a} and {b}",
       "!Figure out {a} + {b}"]
ADD_VIETNAMESE = ["{a} cộng {b} bằng mấy?", "{a} cộng {b} bằng bao nhiêu?", "{a} + {b} bằng mấy?",
                  "{a} + {b} bằng bao nhiêu?",
                  "{a} cộng {b} là bao nhiêu?", "Tính {a} + {b}", "Hãy tính {a} cộng {b}"]
SUBTRACT_VIETNAMESE = ["{a} trừ {b} bằng mấy?", "{a} trừ {b} bằng bao nhiêu?", "{a} - {b} bằng mấy?",
                       "{a} trừ {b} là bao nhiêu?",
                       "{a} - {b} bằng bao nhiêu?", "Tính {a} - {b}", "Hãy tính {a} trừ {b}"]
SUBTRACT = ["What is {a} - {b}?", "What is {a} - {b}?", "{a} - {b}", "{a}-{b}", "{a} - {b} = ?", "{a}-{b}=",
            "{a} - {b} =", "{a} - {b}?",
            "What's {a} - {b}?", "What is {a}-{b}?", "How much is {a} - {b}?", "How much is {a} minus {b}?",
            "What is {a} minus {b}?",
            "What's {a} minus {b}?", "{a} minus {b}", "{a} minus {b}?", "{a} minus {b} equals?",
            "{a} minus {b} is what?",
            "What does {a} - {b} equal?", "What does {a} minus {b} make?",
            "What do you get if you subtract {b} from {a}?",
            "What do you get when you take {b} away from {a}?", "If I take {b} from {a}, what is left?",
            "What is {a} less {b}?",
            "What is left of {a} if I take away {b}?", "What remains when {b} is taken from {a}?", "{a} take away {b}?",
            "What is {a} take away {b}?", "What is the result of {a} - {b}?", "What is {b} subtracted from {a}?",
            "How much is left when you remove {b} from {a}?", "What is {b} less than {a}?",
            "!Subtract {b} from {a}", "!Subtract {a} - {b}", "!Take {b} away from {a}", "!Take {b} from {a}",
            "!Compute {a} - {b}",
            "!Compute {a} minus {b}", "!Calculate {a} - {b}", "!Calculate {a} minus {b}", "!Work out {a} - {b}",
            "!Solve {a} - {b}",
            "!Evaluate {a} - {b}", "!Find {a} - {b}", "!Tell me {a} - {b}", "!Tell me what {a} minus {b} is",
            "!Deduct {b} from {a}",
            "!Do {a} - {b}", "!Calculate {a}-{b}", "!Remove {b} from {a}", "!Figure out {a} - {b}",
            "!Work out {a} minus {b}"]
DIFFERENCE = ["What is the difference between {a} and {b}?", "!Find the difference between {a} and {b}",
              "Difference between {a} and {b}?", "How much more is {a} than {b}?"]


def addition(rng):
    a, b = pick_number(rng), pick_number(rng)
    templates = ADD_VIETNAMESE if rng.random() < 0.05 else ADD
    template = rng.choice(templates)
    first, second = (a, b) if template.index("{a}") < template.index("{b}") else (b, a)
    lines, answer = traces.add(first, second)
    return Question("addition", phrase(rng, template, a=show(rng, a), b=show(rng, b)), lines, answer, int(answer),
                    held_out("sum", *sorted((a, b))))


def subtraction(rng):
    a, b = pick_number(rng), pick_number(rng)
    if a < b and rng.random() < 0.7:
        a, b = b, a
    template = rng.choice(SUBTRACT_VIETNAMESE if rng.random() < 0.05 else SUBTRACT)
    if rng.random() < 0.05:
        a, b, template = max(a, b), min(a, b), rng.choice(DIFFERENCE)
    lines, answer = traces.subtract(a, b)
    return Question("subtraction", phrase(rng, template, a=show(rng, a), b=show(rng, b)), lines, answer, int(answer),
                    held_out("difference", a, b))


def vietnamese(rng):
    a, b = pick_number(rng), pick_number(rng)
    plus = rng.random() < 0.5
    if a < b and not plus and rng.random() < 0.7:
        a, b = b, a
    lines, answer = (traces.add if plus else traces.subtract)(a, b)
    text = rng.choice(ADD_VIETNAMESE if plus else SUBTRACT_VIETNAMESE).format(a=a, b=b)
    text = text.rstrip("?") if rng.random() < 0.3 else text
    key = ("sum", *sorted((a, b))) if plus else ("difference", a, b)
    return Question("vietnamese", text, lines, answer, int(answer), held_out(*key))


CHAIN = ["What is {n}?", "{n}", "{n} = ?", "{n}?", "How much is {n}?", "What's {n}?", "{n} =", "!Compute {n}",
         "!Calculate {n}", "!Work out {n}", "!Solve {n}"]
SPOKEN = {"+": " plus ", "-": " minus "}


def several_terms(rng):
    wide = rng.choice([1, 2, 2, 3, 4])
    value = first = pick_number(rng, wide)
    steps, spoken, spaced = [], rng.random() < 0.25, rng.random() < 0.8
    text = str(first)
    for _ in range(rng.choice([2, 2, 2, 3])):
        sign, number = rng.choice("++-"), pick_number(rng, wide)
        if sign == "-" and number > value:
            sign = "+"
        value += number if sign == "+" else -number
        steps.append((sign, number))
        text += (SPOKEN[sign] if spoken else f" {sign} " if spaced else sign) + str(number)
    lines, answer = traces.chain(first, steps)
    return Question("several terms", phrase(rng, rng.choice(CHAIN), n=text), lines, answer, int(answer),
                    held_out("story", first, *steps))


THEN_ADD = ["now add {b}", "Now add {b}.", "add {b}", "and add {b}", "Add {b} to that.", "plus {b}", "plus {b}?",
            "+ {b}", "+{b}", "and plus {b}?", "and {b} more?", "Add {b} more.",
            "now add {b} to it", "What if I add {b}?", "and if you add {b}?", "then add {b}", "Now plus {b}?",
            "please add {b} to the result", "Add {b} to the last answer.",
            "what is that plus {b}?", "and + {b}?", "Increase it by {b}", "{b} more", "ok, add {b}", "add another {b}"]
THEN_SUBTRACT = ["now subtract {b}", "Now subtract {b}.", "subtract {b}", "and subtract {b}", "Subtract {b} from that.",
                 "minus {b}", "minus {b}?", "- {b}", "-{b}", "and minus {b}?",
                 "and {b} less?", "Take away {b}.", "take away {b} now", "now take {b} from it",
                 "What if I subtract {b}?", "and if you take away {b}?", "then subtract {b}", "Now minus {b}?",
                 "please subtract {b} from the result", "Subtract {b} from the last answer.", "what is that minus {b}?",
                 "and - {b}?", "Decrease it by {b}", "ok, take away {b}", "{b} less"]
THEN_DOUBLE = ["double it", "Double that.", "now double it", "and double that?", "double", "Now double the result.",
               "and doubled?", "what is the double of that?", "double it please"]


def follow_up(rng, value):
    kind = rng.random()
    b = pick_number(rng, rng.choice([1, 2, 3, 4]))
    if kind < 0.08:
        lines, answer = traces.add(value, value)
        return Question("follow-ups", rng.choice(THEN_DOUBLE), lines, answer, int(answer), False)
    plus = kind < 0.56
    lines, answer = (traces.add if plus else traces.subtract)(value, b)
    text = rng.choice(THEN_ADD if plus else THEN_SUBTRACT).format(b=b)
    key = ("sum", *sorted((value, b))) if plus else ("difference", value, b)
    return Question("follow-ups", text, lines, answer, int(answer), held_out(*key))
