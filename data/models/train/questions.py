"""Questions of every skill in many English phrasings, each with the teacher's trace and answer.

A question's key (its numbers or its word) decides by hash whether it belongs to training or to evaluation, so the
evaluation asks only for numbers and words that training never showed.
"""
import random
import re
import zlib
from collections import namedtuple

import traces
from words import ITEMS, NAMES, random_word

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


MULTIPLY = ["What is {a} x {b}?", "What is {a} * {b}?", "{a} * {b}", "{a} x {b}", "{a}*{b}", "{a} × {b}",
            "What is {a} × {b}?", "{a} times {b}", "{a} times {b}?", "{a} * {b} = ?",
            "What is {a} times {b}?", "What's {a} times {b}?", "How much is {a} times {b}?", "How much is {a} x {b}?",
            "What is {a} multiplied by {b}?", "What is the product of {a} and {b}?",
            "What do you get if you multiply {a} by {b}?",
            "!Multiply {a} by {b}", "!Multiply {a} and {b}", "!Compute {a} * {b}", "!Calculate {a} x {b}",
            "!Compute {a} times {b}",
            "!Calculate {a} * {b}", "!Work out {a} times {b}", "!Calculate {a} times {b}",
            "!Find the product of {a} and {b}"]


def multiplication(rng):
    a, b = rng.randint(1, 99), rng.randint(0, 9)
    lines, answer = traces.multiply(a, b)
    first, second = (a, b) if rng.random() < 0.7 else (b, a)
    return Question("multiplication", phrase(rng, rng.choice(MULTIPLY), a=first, b=second), lines, answer, int(answer),
                    held_out("product", a, b) if a > 9 else held_out("product", *sorted((a, b))))


COMPARE = {
    "larger": ["Which is larger, {a} or {b}?", "Which is bigger, {a} or {b}?", "Which is greater, {a} or {b}?",
               "Which number is larger: {a} or {b}?",
               "Which number is bigger, {a} or {b}?", "What is larger, {a} or {b}?", "What is bigger: {a} or {b}?",
               "What's bigger, {a} or {b}?",
               "What is more, {a} or {b}?", "Which is more, {a} or {b}?", "Which one is higher, {a} or {b}?",
               "Larger: {a} or {b}?",
               "{a} or {b}, which is larger?", "{a} or {b}: which is bigger?", "{a} or {b}, which one is greater?",
               "Is {a} or {b} larger?",
               "Is {a} or {b} bigger?", "What is the larger of {a} and {b}?", "Which of {a} and {b} is larger?",
               "Which of {a} and {b} is the bigger number?",
               "What is the maximum of {a} and {b}?", "!Compare {a} and {b}", "!Tell me which is larger, {a} or {b}",
               "!Compare {a} with {b}",
               "!Give me the larger of {a} and {b}", "!Pick the bigger number: {a} or {b}",
               "!Compare the numbers {a} and {b}"],
    "smaller": ["Which is smaller, {a} or {b}?", "Which is less, {a} or {b}?", "Which number is smaller: {a} or {b}?",
                "What is smaller, {a} or {b}?",
                "What's smaller, {a} or {b}?", "Which one is lower, {a} or {b}?", "Smaller: {a} or {b}?",
                "{a} or {b}, which is smaller?",
                "{a} or {b}: which one is less?", "Is {a} or {b} smaller?", "What is the smaller of {a} and {b}?",
                "Which of {a} and {b} is smaller?",
                "What is the minimum of {a} and {b}?", "!Tell me which is smaller, {a} or {b}",
                "!Give me the smaller of {a} and {b}",
                "!Pick the smaller number: {a} or {b}", "Which of {a} and {b} is the lower number?"],
    ">": ["Is {a} larger than {b}?", "Is {a} bigger than {b}?", "Is {a} greater than {b}?", "Is {a} more than {b}?",
          "Is {a} > {b}?", "{a} > {b}?",
          "Is the number {a} larger than {b}?", "Is it true that {a} is greater than {b}?",
          "{a} is bigger than {b}, right?", "Is {a} higher than {b}?"],
    "<": ["Is {a} smaller than {b}?", "Is {a} less than {b}?", "Is {a} lower than {b}?", "Is {a} < {b}?", "{a} < {b}?",
          "Is it true that {a} is less than {b}?",
          "Is the number {a} smaller than {b}?", "{a} is smaller than {b}, right?"],
}


def comparison(rng):
    a = pick_number(rng)
    near = rng.random()
    if near < 0.35:  # same width, or equal in all but the last digits
        b = rng.randrange(10 ** (len(str(a)) - 1) if a > 9 else 0, 10 ** len(str(a)))
    elif near < 0.55:
        b = max(0, a + rng.choice([-1, 1]) * rng.randrange(1, 12))
    elif near < 0.58:
        b = a
    else:
        b = pick_number(rng)
    want = rng.choice(["larger", "larger", "smaller", ">", "<"])
    lines, answer = traces.compare(a, b, want)
    return Question("comparison", phrase(rng, rng.choice(COMPARE[want]), a=show(rng, a), b=show(rng, b)), lines, answer,
                    None,
                    held_out("compare", a, b))


SORT = ["!Sort {n}", "!Sort {n}", "!Sort these numbers: {n}", "!Sort the numbers {n}",
        "!Sort {n} from smallest to largest", "!Put {n} in order",
        "!Order these numbers: {n}", "!Sort {n} in ascending order", "!Arrange {n} in ascending order",
        "!Put these numbers in order: {n}",
        "!Arrange these numbers from smallest to largest: {n}", "!Order {n} from small to large",
        "!Sort from low to high: {n}",
        "!Sort this list: {n}", "!Order {n}", "!List {n} in increasing order", "!Sort ascending: {n}",
        "What is {n} in order?", "What is {n} sorted?",
        "How do you sort {n}?", "!Rank {n} from lowest to highest", "!Put the numbers {n} in ascending order",
        "{n} sorted", "!Arrange {n}"]
SORT_DOWN = ["!Sort {n} from largest to smallest", "!Sort {n} in descending order",
             "!Sort these numbers in descending order: {n}",
             "!Put {n} in order, largest first", "!Order {n} from high to low", "!Arrange {n} from biggest to smallest",
             "!Sort descending: {n}",
             "!Sort {n} backwards, largest first", "!Sort these from largest to smallest: {n}",
             "!Put these in descending order: {n}",
             "!Arrange in descending order: {n}", "!Rank {n} from highest to lowest", "!Sort from high to low: {n}",
             "!Sort {n}, biggest first",
             "!Order these numbers from large to small: {n}", "What is {n} in descending order?"]


def sorting(rng):
    width = rng.randint(1, 4)
    numbers = [pick_number(rng, rng.choice([width, width, 2, 3])) for _ in range(rng.choice([2, 3, 3, 4, 4, 5, 5, 5]))]
    down = rng.random() < 0.3
    joined = rng.choice([", ", ", ", ", ", " ", ","]).join(map(str, numbers))
    if rng.random() < 0.3:
        joined = ", ".join(map(str, numbers[:-1])) + rng.choice([" and ", ", and "]) + str(numbers[-1])
    lines, answer = traces.sort(numbers, down)
    return Question("sorting", phrase(rng, rng.choice(SORT_DOWN if down else SORT), n=joined), lines, answer, None,
                    held_out("sort", *sorted(numbers)))


COUNT = ["How many {letter}'s are in {word}?", "How many {letter}s are in {word}?",
         "How many {letter}'s are there in {word}?", "How many {letter} are in {word}?",
         "How many times does {letter} appear in {word}?", "How many times does the letter {letter} appear in {word}?",
         "How many {letter} in {word}?",
         "How often does {letter} occur in {word}?", "How often is the letter {letter} in {word}?",
         "How many times is {letter} in {word}?",
         "How many letters {letter} does {word} have?", "How many letters {letter} are in {word}?",
         "How many {letter}'s does {word} have?",
         "How many {letter}'s in {word}?", "How many {letter}'s does the word {word} contain?",
         "How many {letter}'s are in the word {word}?",
         "How many of the letter {letter} are in {word}?", "What is the number of {letter}'s in {word}?",
         "!Count the {letter}'s in {word}",
         "!Count the letter {letter} in {word}", "!Count how many {letter}'s are in {word}",
         "!Count {letter} in {word}",
         "!Count the number of {letter}'s in the word {word}", "!Tell me how many {letter}'s are in {word}",
         "In {word}, how many {letter}'s are there?",
         "How many times can you find {letter} in {word}?", "In the word {word}, how many times does {letter} appear?"]


def quote(rng, text, chance):
    return rng.choice(['"{}"', '"{}"', "'{}'", "`{}`"]).format(text) if rng.random() < chance else text


def counting(rng):
    word = random_word(rng)
    letter = rng.choice(word) if rng.random() < 0.8 else rng.choice("abcdefghijklmnopqrstuvwxyz")
    letter = letter.upper() if rng.random() < 0.1 else letter.lower()
    lines, answer = traces.count_letter(word, letter)
    text = phrase(rng, rng.choice(COUNT), letter=quote(rng, letter, 0.25), word=quote(rng, word, 0.5))
    return Question("counting letters", text, lines, answer, int(answer), held_out("word", word.lower()))


REVERSE = ["!Reverse {word}", "!Reverse the word {word}", "!Spell {word} backwards", "!Write {word} backwards",
           "!Reverse the letters of {word}",
           "What is {word} backwards?", "What is {word} reversed?", "What's {word} spelled backwards?",
           "How do you spell {word} backwards?",
           "How is {word} written backwards?", "What is the reverse of {word}?", "{word} backwards",
           "{word} in reverse?", "!Turn {word} around",
           "!Flip the word {word}", "!Say {word} backwards", "!Spell the word {word} in reverse",
           "!Write the letters of {word} in reverse order",
           "!Give me {word} backwards", "!Reverse the string {word}", "!Write the word {word} in reverse",
           "What does {word} look like backwards?",
           "!Print {word} backwards", "{word} spelled backwards?", "!Reverse this word: {word}",
           "How do you write {word} backwards?"]


def reversing(rng):
    word = random_word(rng)
    lines, answer = traces.reverse(word)
    text = phrase(rng, rng.choice(REVERSE), word=quote(rng, word, 0.5))
    return Question("reversing words", text, lines, answer, None, held_out("word", word.lower()))


UPPER = ["!Write {word} in {case}", "!Convert {word} to {case}", "!Put {word} in {case} letters",
         "What is {word} in {case}?", "{word} in {case}",
         "!Make {word} {case}", "!Change {word} to {case}", "!Turn {word} into {case}",
         "!Write the word {word} in {case} letters", "!Spell {word} in {case}"]


def case(rng):
    word, upper = random_word(rng).lower(), rng.random() < 0.6
    shown = (word if rng.random() < 0.8 else word.capitalize()) if upper else (word.upper() if rng.random() < 0.8
                                                                               else word.capitalize())
    lines, answer = traces.change_case(shown, upper)
    names = ["upper case", "uppercase", "upper-case", "capital"] if upper else ["lower case", "lowercase", "lower-case",
                                                                                "small"]
    template = rng.choice(UPPER)
    name = rng.choice(names if "letters" in template else names[:3])
    return Question("letter case", phrase(rng, template, word=quote(rng, shown, 0.4), case=name), lines, answer, None,
                    held_out("word", word))


WEEKDAY = ["What day is {n} days after {day}?", "What weekday is {n} days after {day}?",
           "Which day is {n} days after {day}?", "What day comes {n} days after {day}?",
           "Today is {day}. What day is it in {n} days?", "Today is {day}. What day will it be in {n} days?",
           "If today is {day}, what day is it in {n} days?",
           "If today is {day}, what day will it be {n} days from now?",
           "If it is {day} today, which day is it {n} days later?",
           "It is {day}. What weekday is it {n} days later?", "{n} days after {day}?", "{day} plus {n} days?",
           "What is {day} plus {n} days?", "{day} + {n} days",
           "What day of the week is {n} days after {day}?", "Which weekday comes {n} days after {day}?",
           "In {n} days from {day}, what day is it?",
           "It's {day} today, what day is it in {n} days?", "!Tell me the day {n} days after {day}",
           "!Find the weekday {n} days after {day}",
           "!Name the weekday {n} days after {day}", "Today is {day}. In {n} days it will be?",
           "What day is it {n} days from {day}?",
           "Starting on {day}, what day is it after {n} days?", "What will be the weekday {n} days after {day}?",
           "!Add {n} days to {day}"]
TOMORROW = ["Today is {day}. What day is tomorrow?", "If today is {day}, what day is tomorrow?",
            "What day comes after {day}?", "What day follows {day}?",
            "What is the day after {day}?"]


def weekdays(rng):
    day, days = rng.choice(traces.WEEKDAYS), rng.choice([rng.randint(1, 14), rng.randint(1, 99)])
    template = rng.choice(WEEKDAY)
    if rng.random() < 0.03:
        days, template = 1, rng.choice(TOMORROW)
    lines, answer = traces.weekday(day, days)
    text = phrase(rng, template, n=days, day=day if rng.random() < 0.8 else day.lower())
    text = text.replace(" 1 days", " 1 day").replace("1 days", "1 day") if days == 1 else text
    return Question("weekdays", text, lines, answer, None, held_out("weekday", day, days))


HOURS = ["How many minutes are in {h} hours?", "How many minutes are {h} hours?", "How many minutes is {h} hours?",
         "{h} hours in minutes", "{h} hours in minutes?",
         "!Convert {h} hours to minutes", "How many minutes do {h} hours have?", "What is {h} hours in minutes?",
         "How many minutes in {h} hours?"]
HOURS_AND = ["How many minutes are {h} hours and {m} minutes?", "{h} hours and {m} minutes in minutes",
             "!Convert {h} hours and {m} minutes to minutes",
             "How many minutes is {h} hours {m} minutes?", "What is {h} hours and {m} minutes in minutes?",
             "How many minutes are in {h} hours and {m} minutes?"]


def minutes(rng):
    hours, extra = rng.randint(1, 9), rng.choice([0, rng.randint(1, 59), rng.randint(1, 59)])
    lines, answer = traces.minutes(hours, extra)
    text = phrase(rng, rng.choice(HOURS_AND if extra else HOURS), h=hours, m=extra)
    text = text.replace("1 hours", "1 hour") if hours == 1 else text
    return Question("minutes", text, lines, answer, int(answer), held_out("minutes", hours, extra) and extra > 0)


HAVE = ["{N} has {a} {items}.", "{N} has {a} {items}.", "There are {a} {items} in a box.", "I have {a} {items}.",
        "A shop has {a} {items}.", "{N} owns {a} {items}.",
        "{N} starts with {a} {items}.", "There are {a} {items} on the table.", "In the morning there were {a} {items}.",
        "{N} collected {a} {items}."]
GAIN = ["{P} buys {b} more.", "{P} finds {b} more.", "{P} gets {b} more.", "{P} gets {b} from {M}.",
        "{M} gives {O} {b} more.", "{P} receives {b} more {items}.",
        "Then {b} more are added.", "{M} brings {b} more.", "Then {P} buys {b} {items}.", "Then {b} more arrive.",
        "{P} makes {b} more.", "{P} wins {b} more."]
LOSE = ["{P} gives {b} to {M}.", "{P} loses {b}.", "{P} sells {b}.", "{P} gives away {b}.", "Then {b} are taken away.",
        "{M} takes {b}.", "{P} uses {b} of them.",
        "Then {b} break.", "{P} throws away {b}.", "{P} gives {b} {items} to {M}.", "Then {P} sells {b} {items}.",
        "{b} of them are sold.", "{P} eats {b}."]
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
            "If I have {a} {items} and buy {b} more, how many do I have?",
            "If {N} has {a} {items} and gets {b} more, how many {items} does {N} have?"]
APART = ["{N} had {a} {items} and lost {b}. How many are left?",
         "{N} had {a} {items} and gave {b} to {M}. How many {items} does {N} have left?",
         "There were {a} {items}, and {b} were sold. How many remain?",
         "If I have {a} {items} and give away {b}, how many do I have left?",
         "{N} has {a} {items} and {M} has {b}. How many more does {N} have?",
         "{N} has {a} dollars and spends {b}. How much money is left?",
         "A book has {a} pages. {N} has read {b} pages. How many pages are left?",
         "If {N} has {a} {items} and eats {b}, how many {items} are left?",
         "A train carries {a} people and {b} get off. How many people are still on it?",
         "{N} needs {a} {items} and has {b}. How many more does {N} need?"]

FIRST_PERSON = "lose give sell eat buy find get throw use make win receive".split()


def story(rng):
    (name, person, obj), (other, *_) = rng.sample(NAMES, 2)
    items = rng.choice(ITEMS)
    wide = rng.choice([1, 2, 2, 3, 3, 4])
    a, b, c = (pick_number(rng, wide) for _ in range(3))
    a = max(a, 2)
    slots = {"N": name, "M": other, "items": items, "P": rng.choice([person, person, name]), "O": obj}
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
        text, steps, value = have.format(a=a, **slots), [], a
        for number in [b, c][:rng.choice([1, 1, 2, 2, 2])]:
            lose = rng.random() < 0.5 and value > 0
            number = number if not lose or number <= value else rng.randint(0, value)
            steps.append(("-" if lose else "+", number))
            value += -number if lose else number
            event = rng.choice(LOSE if lose else GAIN).format(b=number, **slots)
            if event.startswith("I "):
                event = re.sub(r"\bI (%s)s\b" % "|".join(FIRST_PERSON), r"I \1", event)
            text += " " + event[0].upper() + event[1:]
        text += " " + rng.choice(NOW).format(**slots).replace("does I", "do I").replace("does someone", "do we")
    if rng.random() < 0.05:
        text = text.rstrip("?")
    lines, answer = traces.chain(a, steps)
    return Question("word problems", text, lines, answer, int(answer), held_out("story", a, *steps))


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
    if kind < 0.08 and value >= 0:
        lines, answer = traces.add(value, value)
        return Question("follow-ups", rng.choice(THEN_DOUBLE), lines, answer, int(answer), False)
    plus = kind < 0.56
    lines, answer = (traces.add if plus else traces.subtract)(value, b)
    text = rng.choice(THEN_ADD if plus else THEN_SUBTRACT).format(b=b)
    key = ("sum", *sorted((value, b))) if plus else ("difference", value, b)
    return Question("follow-ups", text, lines, answer, int(answer), held_out(*key))


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


SKILLS = {"addition": addition, "subtraction": subtraction, "comparison": comparison, "sorting": sorting,
          "counting letters": counting,
          "reversing words": reversing, "weekdays": weekdays, "word problems": story, "multiplication": multiplication,
          "letter case": case, "minutes": minutes, "vietnamese": vietnamese, "several terms": several_terms}
