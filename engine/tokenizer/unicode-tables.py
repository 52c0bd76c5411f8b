#!/usr/bin/python3
"""Prints unicode-tables.c from Python's own copy of the Unicode database: unicode-tables.py > unicode-tables.c"""
import sys
import unicodedata

CLASSES = {"P": "UNICODE_PUNCTUATION", "M": "UNICODE_MARK", "C": "UNICODE_CONTROL"}
HANGUL = range(0xAC00, 0xD7A4)  # decomposed by arithmetic


def class_of(c):
    category = unicodedata.category(chr(c))
    return None if category == "Cn" else CLASSES.get(category[0])


def base(c):
    first = ord(unicodedata.normalize("NFD", chr(c))[0])
    return first if first != c and c not in HANGUL else None


def lower(c):
    first = ord(chr(c).lower()[0])
    return first if first != c else None


def runs(function):
    """(first, last, value) of neighbours with equal values."""
    found = []
    for c in range(0x110000):
        value = function(c)
        if value is None:
            continue
        if found and found[-1][1] == c - 1 and found[-1][2] == value:
            found[-1][1] = c
        else:
            found.append([c, c, value])
    return found


def steps(function):
    """(first, last, value of the first, step): values that rise with their keys, every code point or every other one."""
    found = []
    for c in range(0x110000):
        value = function(c)
        if value is None:
            continue
        if found:
            run = found[-1]
            step = c - run[1]
            if step in (1, 2) and value - run[2] == c - run[0] and (run[0] == run[1] or run[3] == step):
                run[1], run[3] = c, step
                continue
        found.append([c, c, value, 1])
    return found


def table(declaration, rows):
    print(f"\nconst {declaration}[] = {{")
    line = "   "
    for row in rows:
        if len(line) + len(row) + 2 > 120:
            print(line)
            line = "   "
        line += " " + row + ","
    print(line)
    print("};")


print(f"""/* Made by unicode-tables.py from Unicode {unicodedata.unidata_version}. */
#include "unicode-tables.h"

/* clang-format off */""")
rows = ["{0x%X, 0x%X, %s}" % tuple(r) for r in runs(class_of)]
table("UnicodeClassRange unicode_classes", rows)
print("const size_t n_unicode_classes = %d;" % len(rows))
rows = ["{0x%X, 0x%X, 0x%X}" % tuple(r) for r in runs(base)]
table("UnicodeBaseRange unicode_bases", rows)
print("const size_t n_unicode_bases = %d;" % len(rows))
rows = ["{0x%X, 0x%X, 0x%X, %d}" % tuple(r) for r in steps(lower)]
table("UnicodeLowerRange unicode_lowers", rows)
print("const size_t n_unicode_lowers = %d;" % len(rows))
