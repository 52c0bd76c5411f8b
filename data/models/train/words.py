"""Words, names and things for the questions."""
import pathlib

from tokenizer import MERGES

REAL = pathlib.Path(__file__).with_name("words.txt").read_text().split()
# Known prefixes of the vocabulary: words that begin like them show the model which letters such a token stands for.
PREFIXES = sorted({(a + b)[1:].lower() for a, b in MERGES if a[0] == "Ġ" and (a + b)[1:].isascii()
                   and (a + b)[1:].isalpha()})

NAMES = [(n, "she", "her")
         for n in """Anna Maria Lisa Emma Julia Sarah Laura Alice Mary Eva Nina Clara Sofia Mia Ella Lucy Jane Kate Hannah
Lily Rosa Helen Linda Olga Ruth Vera Zoe Amy Carol Diana Fatima Grace Ida Lan Mai""".split()]
NAMES += [(n, "he", "him")
          for n in """Tom Tim Ben Max Paul John Peter Sam Jack David Leo Adam Bob Carl Dan Erik Frank George Henry Ivan
James Karl Luke Mark Nick Oscar Omar Ravi Simon Victor Will Minh Ali Chen""".split()]
NAMES += [("My friend", "she", "her"), ("My brother", "he", "him"), ("My sister", "she", "her"),
          ("The teacher", "she", "her"), ("The farmer", "he", "him")]

ITEMS = """apples pears plums oranges bananas lemons cherries grapes eggs cakes cookies candies sweets nuts potatoes
tomatoes carrots books pens pencils stamps coins cards marbles balls toys dolls cars bikes boats kites stickers
photos shells stones flowers roses trees birds cats dogs ducks hens cows sheep horses fish rabbits chairs tables
cups plates spoons bottles boxes bags hats shirts socks shoes buttons keys lamps files emails tickets dollars
euros points games songs letters bricks nails screws chocolates peaches melons sandwiches pizzas seeds leaves
paintings magazines crayons""".split()

# How many of the words begin with such a prefix; the second part of the training raises it.
prefix_share = 0.2

VOWELS, CONSONANTS, LETTERS = "aeiou", "bcdfghjklmnprstvwyz", "abcdefghijklmnopqrstuvwxyz"


def random_word(rng):
    kind = rng.random()
    if kind < 0.5:
        word = rng.choice(REAL)
    elif kind < 0.5 + prefix_share:
        word = rng.choice(PREFIXES)[:9]
        word += "".join(rng.choice(LETTERS) for _ in range(rng.randint(max(0, 3 - len(word)), max(2, 8 - len(word)))))
    else:
        word = "".join(rng.choice(CONSONANTS if (i % 2 == 0) != (rng.random() < 0.2) else VOWELS)
                       for i in range(rng.randint(3, 10)))
        if rng.random() < 0.4:  # repeated letters are what makes counting hard
            word = word[:5] + rng.choice(word) + word[-3:]
    return word.capitalize() if rng.random() < 0.08 else word
