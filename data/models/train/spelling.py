"""Questions about the letters of a word."""
import traces
from phrasing import Question, held_out, phrase, quote
from words import random_word

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


LENGTH = ["How many letters are in {word}?", "How many letters does {word} have?", "How many letters in {word}?",
          "How many letters are there in {word}?", "How many letters are in the word {word}?", "How long is {word}?",
          "How long is the word {word}?", "How many letters does the word {word} have?",
          "How many characters are in {word}?", "What is the length of {word}?", "!Count the letters in {word}",
          "!Count the letters of {word}", "!Count all letters in the word {word}"]


def length(rng):
    word = random_word(rng)
    template = rng.choice(LENGTH)
    # without quotes `how long is` asks about a thing
    text = phrase(rng, template, word=quote(rng, word, 1.0 if template == "How long is {word}?" else 0.5))
    lines, answer = traces.length(word)
    return Question("word length", text, lines, answer, int(answer), held_out("word", word.lower()))


UPPER = ["!Write {word} in {case}", "!Convert {word} to {case}", "!Put {word} in {case} letters",
         "What is {word} in {case}?", "{word} in {case}",
         "!Make {word} {case}", "!Change {word} to {case}", "!Turn {word} into {case}",
         "!Write the word {word} in {case} letters", "!Spell {word} in {case}"]
CAPITALS = ["!Write {word} in capitals", "!Write {word} in all caps", "!Put {word} in capitals", "{word} in capitals",
            "What is {word} in capitals?", "!Write the word {word} in capitals", "!Capitalize every letter of {word}"]


def case(rng):
    word, upper = random_word(rng).lower(), rng.random() < 0.6
    shown = (word if rng.random() < 0.8 else word.capitalize()) if upper else (word.upper() if rng.random() < 0.8
                                                                               else word.capitalize())
    lines, answer = traces.change_case(shown, upper)
    names = ["upper case", "uppercase", "upper-case", "capital"] if upper else ["lower case", "lowercase", "lower-case",
                                                                                "small"]
    template = rng.choice(CAPITALS if upper and rng.random() < 0.25 else UPPER)
    name = rng.choice(names if "letters" in template else names[:3])
    return Question("letter case", phrase(rng, template, word=quote(rng, shown, 0.4), case=name), lines, answer, None,
                    held_out("word", word))
