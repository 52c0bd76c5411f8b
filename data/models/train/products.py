"""Questions about products, quotients and what is even, and sums and products whose numbers are words."""
import traces
from phrasing import Question, held_out, phrase, pick_number, show
from sums import ADD, SUBTRACT

MULTIPLY = ["What is {a} x {b}?", "What is {a} * {b}?", "{a} * {b}", "{a} x {b}", "{a}*{b}", "{a} × {b}",
            "What is {a} × {b}?", "{a} times {b}", "{a} times {b}?", "{a} * {b} = ?",
            "What is {a} times {b}?", "What's {a} times {b}?", "How much is {a} times {b}?", "How much is {a} x {b}?",
            "What is {a} multiplied by {b}?", "What is the product of {a} and {b}?",
            "What do you get if you multiply {a} by {b}?",
            "!Multiply {a} by {b}", "!Multiply {a} and {b}", "!Compute {a} * {b}", "!Calculate {a} x {b}",
            "!Compute {a} times {b}",
            "!Calculate {a} * {b}", "!Work out {a} times {b}", "!Calculate {a} times {b}",
            "!Find the product of {a} and {b}"]
SQUARE = ["What is {a} squared?", "{a} squared", "{a}^2", "What is {a}^2?", "What is the square of {a}?", "!Square {a}"]
TWICE = ["What is twice {a}?", "What is double {a}?", "!Double {a}", "How much is twice {a}?", "Twice {a}?"]


def product_key(a, b):
    """Either order is the same question, but for longer numbers times a digit, which have one."""
    return ("product", a, b) if b < 10 <= a else ("product", *sorted((a, b)))


def multiplication(rng):
    """Up to four digits times one, up to three times two."""
    a, b = rng.randint(1, 99), rng.randint(0, 9)
    if rng.random() < 0.6:
        a, b = rng.choice([(pick_number(rng), b), (rng.randint(10, 99), rng.randint(10, 99)),
                           (rng.randint(10, 999), rng.randint(10, 99))])
    first, second = (a, b) if rng.random() < 0.7 else (b, a)
    template, kind = rng.choice(MULTIPLY), rng.random()
    if kind < 0.05:
        first = second = a = b = rng.randint(2, 99)
        template = rng.choice(SQUARE)
    elif kind < 0.08:
        first, second, b, template = a, 2, 2, rng.choice(TWICE)
    elif a < 100 and 9 < b:
        a, b = first, second  # of two numbers of one width the reasoning keeps the order
    lines, answer = traces.multiply(a, b)
    return Question("multiplication", phrase(rng, template, a=show(rng, first), b=second), lines, answer, int(answer),
                    held_out(*product_key(a, b)))


DIVIDE = ["What is {a} / {b}?", "{a} / {b}", "{a}/{b}", "{a} / {b} = ?", "{a} ÷ {b}", "What is {a} ÷ {b}?", "{a} : {b}",
          "What is {a} divided by {b}?", "What's {a} divided by {b}?", "{a} divided by {b}", "{a} divided by {b}?",
          "How much is {a} divided by {b}?", "How much is {a} / {b}?", "What do you get if you divide {a} by {b}?",
          "How many times does {b} go into {a}?", "How often does {b} go into {a}?", "What is {a} over {b}?",
          "!Divide {a} by {b}", "!Compute {a} / {b}", "!Calculate {a} / {b}", "!Calculate {a} divided by {b}",
          "!Compute {a} divided by {b}", "!Work out {a} / {b}", "!Work out {a} divided by {b}", "!Solve {a} / {b}"]
HALF = ["What is half of {a}?", "Half of {a}?", "!Halve {a}", "How much is half of {a}?", "What's half of {a}?"]


def division(rng):
    """Up to four digits by 1 to 12, more often without a remainder than chance would have it."""
    b = rng.choice([rng.randint(2, 9), rng.randint(2, 9), rng.randint(1, 12), rng.randint(10, 12)])
    a = pick_number(rng, rng.choice([2, 3, 4]))
    template = rng.choice(DIVIDE)
    if rng.random() < 0.08:
        b, template = 2, rng.choice(HALF)
    if rng.random() < 0.4 and a >= b:
        a -= a % b
    lines, answer = traces.divide(a, b)
    return Question("division", phrase(rng, template, a=show(rng, a), b=b), lines, answer,
                    None if a % b else int(answer), held_out("quotient", a, b))


ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen""".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def in_words(number, hyphen):
    """A number below 100 as it is said."""
    if number < 20:
        return ONES[number]
    tens, ones = TENS[number // 10 - 2], number % 10
    return f"{tens}{hyphen}{ONES[ones]}" if ones else tens


def spelled(rng):
    """Numbers below 100 in words, both or one of them."""
    small = rng.choice([10, 20, 100])
    a, b = rng.randrange(small), rng.randrange(small)
    sign, templates, compute = rng.choice([("sum", ADD, traces.add), ("difference", SUBTRACT, traces.subtract),
                                           ("product", MULTIPLY, traces.multiply)])
    if sign == "product":
        a, b = max(a, b), min(a, b) % 10
    elif sign == "difference" and a < b:
        a, b = b, a
    template = rng.choice([t for t in templates if "{a} + {b}" not in t and "{a}+{b}" not in t and "-{b}" not in t])
    first, second = (b, a) if sign == "sum" and template.index("{b}") < template.index("{a}") else (a, b)
    lines, answer = compute(first, second)
    words = [in_words(number, rng.choice("--- ")) for number in (a, b)]
    shown = rng.choice([words] * 3 + [(a, words[1]), (words[0], b)])
    text = phrase(rng, template, a=shown[0], b=shown[1])
    text = text[0].upper() + text[1:] if rng.random() < 0.3 else text
    key = {"sum": ("sum", *sorted((a, b))), "difference": ("difference", a, b), "product": product_key(a, b)}[sign]
    return Question("numbers in words", text, lines, answer, int(answer), held_out(*key))


PARITY = ["Is {a} {kind}?", "Is {a} an {kind} number?", "Is the number {a} {kind}?", "{a} is {kind}, right?",
          "Is it true that {a} is {kind}?", "!Tell me if {a} is {kind}", "!Check if {a} is {kind}"]
PARITY_EITHER = ["Is {a} even or odd?", "Is {a} odd or even?", "Even or odd: {a}?", "Is the number {a} even or odd?",
                 "{a}: even or odd?", "!Tell me whether {a} is even or odd"]


def parity(rng):
    a, asked = pick_number(rng), rng.choice(["even", "even", "odd", "odd", None])
    lines, answer = traces.parity(a, asked)
    text = phrase(rng, rng.choice(PARITY if asked else PARITY_EITHER), a=show(rng, a), kind=asked)
    return Question("even and odd", text, lines, answer, None, held_out("parity", a))
