"""The teacher's reasoning: one short, checkable algorithm per skill.

Each function returns the trace as lines and the final answer. Numbers are padded to one width so that the digits
stand at fixed distances, and every line ends with the part of the result that is known so far.
"""
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def digits_from_right(number, width):
    return [number // 10**i % 10 for i in range(width)]


def add(a, b):
    if a < 0 or b < 0:
        return rewrite_signed(a, "+", b)
    width = max(len(str(a)), len(str(b)))
    lines, known, carry = [f"Add {a:0{width}} + {b:0{width}}:"], "", 0
    for x, y in zip(digits_from_right(a, width), digits_from_right(b, width)):
        total = x + y + carry
        known = str(total % 10) + known
        lines.append(f"{x}+{y}{'+1' if carry else ''}={total}: {known}")
        carry = total // 10
    if carry:
        lines.append(f"carry 1: 1{known}")
    return lines, str(a + b)


def compare_digits(a, b):
    """Returns the comparison written digit by digit from the left, such as `5=5, 2<7`."""
    width = max(len(str(a)), len(str(b)))
    steps = []
    for x, y in zip(f"{a:0{width}}", f"{b:0{width}}"):
        steps.append(x + ("=" if x == y else "<" if x < y else ">") + y)
        if x != y:
            break
    return ", ".join(steps)


def subtract(a, b):
    if a < 0 or b < 0:
        return rewrite_signed(a, "-", b)
    width = max(len(str(a)), len(str(b)))
    lines = [f"Subtract {a:0{width}} - {b:0{width}}:"]
    if a == b:
        return lines + [compare_digits(a, b) + ", equal: 0"], "0"
    lines.append(compare_digits(a, b) + ("." if a > b else f", so minus the reverse: {b:0{width}} - {a:0{width}}"))
    sign, high, low = ("", a, b) if a > b else ("-", b, a)
    known, borrow = "", 0
    for x, y in zip(digits_from_right(high, width), digits_from_right(low, width)):
        lend = x - y - borrow < 0
        x += 10 * lend
        known = str(x - y - borrow) + known
        lines.append(f"{x}-{y}{'-1' if borrow else ''}={known[0]}{' borrow' if lend else ''}: {known}")
        borrow = lend
    answer = f"{sign}{high - low}"
    if answer != known:
        lines.append(f"{known} is {answer}")
    return lines, answer


def rewrite_signed(a, sign, b):
    """Sums with a negative left side (only follow-up turns make them), as a sum of two plain numbers."""
    assert a < 0
    if b < 0:  # a negative number doubled
        lines, answer = add(-a, -b)
        return [f"{a} + {b} is minus the sum."] + lines + [f"{answer} is -{answer}"], "-" + answer
    if sign == "+":
        lines, answer = subtract(b, -a)
        return [f"{a} + {b} is {b} - {-a}."] + lines, answer
    lines, answer = add(-a, b)
    return [f"{a} - {b} is minus the sum."] + lines + [f"{answer} is -{answer}"], "-" + answer


def multiply(a, b):
    if b > 9:
        return multiply_by_digits(a, b)
    lines, known, carry = [f"Multiply {a} * {b}:"], "", 0
    for x in digits_from_right(a, len(str(a))):
        # the product by itself: with the carry in the same step, many steps would have held-out numbers alone
        total = b * x + carry
        more = f", +{carry}={total}" if carry else ""
        lines.append(f"{b}*{x}={b * x}{more}: {total % 10}{known}")
        known, carry = f"{total % 10}{known}", total // 10
    if carry:
        known = f"{carry}{known}"
        lines.append(f"carry {carry}: {known}")
    if known != str(a * b):
        lines.append(f"{known} is {a * b}")
    return lines, str(a * b)


def multiply_by_digits(a, b):
    """By each digit from the right, and the products, with a zero more each, added up."""
    lines, result = [f"Multiply {a} * {b}:"], "0"
    for i, digit in enumerate(digits_from_right(b, len(str(b)))):
        more, product = multiply(a, digit)
        lines += more
        if i == 0:
            result = product
            continue
        more, result = add(int(result), int(product) * 10**i)
        lines += more
    return lines, result


def divide(a, b):
    """Long division from the left; the answer names what is left over."""
    lines, known, rest = [f"Divide {a} / {b}:"], "", 0
    for digit in str(a):
        value = 10 * rest + int(digit)
        known, rest = f"{known}{value // b}".lstrip("0"), value % b
        lines.append(f"{value}/{b}={value // b} rest {rest}: {known or 0}")
    return lines, f"{known or 0} remainder {rest}" if rest else known or "0"


def chain(start, steps):
    """steps: pairs of sign and number; each sum is written out, on from the result of the one before."""
    lines, value = [], start
    for sign, number in steps:
        more, answer = (add if sign == "+" else subtract)(value, number)
        lines, value = lines + more, int(answer)
    return lines, str(value)


def compare(a, b, want):
    """want: `larger`, `smaller`, or a relation (`>` or `<`) that is answered with Yes or No."""
    width = max(len(str(a)), len(str(b)))
    head = f"Compare {a:0{width}} and {b:0{width}}:"
    if a == b:
        return [head, compare_digits(a, b) + ", equal."], "No" if want in "<>" else "They are equal"
    name = "smaller" if want in ("smaller", "<") else "larger"
    winner = min(a, b) if name == "smaller" else max(a, b)
    answer = ("Yes" if winner == a else "No") if want in "<>" else str(winner)
    return [head, f"{compare_digits(a, b)}, so {winner} is {name}."], answer


def sort(numbers, descending):
    done, lines = [], ["Insert one by one:" if not descending else "Insert, largest first:"]
    for number in numbers:
        done = sorted(done + [number], reverse=descending)
        lines.append(", ".join(map(str, done)))
    return lines, lines[-1]


def count_letter(word, letter):
    seen, spelled = 0, ""
    for char in word:
        spelled += " " + char
        if char.lower() == letter.lower():
            seen += 1
            spelled += str(seen)
    return [f"Count {letter}:{spelled}.", f"So {seen}."], str(seen)


def spell(word):
    return [f"{char}{i}" for i, char in enumerate(word, 1)]


def length(word):
    return [f"Spell: {' '.join(spell(word))}", f"So {len(word)}."], str(len(word))


def reverse(word):
    numbered = spell(word)
    return [f"Spell: {' '.join(numbered)}", f"Backwards: {' '.join(reversed(numbered))}"], word[::-1]


def change_case(word, upper):
    answer = word.upper() if upper else word.lower()
    pairs = " ".join(f"{a} {b}" for a, b in zip(word, answer))
    return [f"Letter by letter: {pairs}"], answer


def weekday(start, days, direction=1):
    """direction: 1 for days after `start`, -1 for days before."""
    weeks, rest = divmod(days, 7)
    names = [WEEKDAYS[(WEEKDAYS.index(start) + direction * i) % 7] for i in range(rest + 1)]
    steps = "".join(f", {name} {i}" for i, name in enumerate(names[1:], 1))
    lines = divide(days, 7)[0] if days > 99 else []
    back = " Back:" if direction < 0 else ""
    return lines + [f"{days} days are {weeks} weeks and {rest} days.{back}", f"{start}{steps}."], names[-1]


def parity(number, asked=None):
    """asked: `even` or `odd`, which is answered with Yes or No; else the answer is one of them."""
    kind = "odd" if number % 2 else "even"
    lines = [f"{number} ends in {number % 10}, which is {kind}."]
    if not asked:
        return lines, kind
    return lines + [f"Is {kind} {asked}?"], "Yes" if kind == asked else "No"


def minutes(hours, extra):
    lines, answer = multiply(60, hours)
    if extra:
        more, answer = add(int(answer), extra)
        lines = lines + more
    return lines, answer


def refuse():
    return ["This is not one of the things that I learned."], (
        "I am tiny-r1, the small model built into inferd: I can only add, subtract, multiply, divide, "
        "compare and sort numbers, count and reverse letters, and name weekdays. For this question install a larger "
        "model: run `infer models --help`.")
