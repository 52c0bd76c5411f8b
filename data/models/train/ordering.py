"""Questions about which number is larger, and lists to sort."""
import traces
from phrasing import Question, held_out, phrase, pick_number, show

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
