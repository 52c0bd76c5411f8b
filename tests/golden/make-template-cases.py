#!/usr/bin/python3
"""Writes templates with what Jinja2 (Debian's python3-jinja2, 3.1.2) makes of them: every filter, method, test and
operator with many kinds of operands and arguments, then statements put together at random.

    make-template-cases.py [--seed=N] [--operands=N] [--statements=N] > cases.jsonl

data/templates/jinja was written so, with the numbers that stand below; others find what these do not. Left out is what
the engine does not do: integers beyond 64 bits, Unicode's special cases of upper and lower case, digits of other scripts,
the addresses in the text of objects, and that Jinja looks up the slices of constants while it compiles.
"""
import argparse
import datetime
import itertools
import json
import random
import re
import sys

import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

VARIABLES = {
    's': 'Hello <World> & "you"', 't': ' grüße, Straße\n\t漢字 🙂 ', 'e': '', 'q': 'a-b_c d.e', 'p': '%s-%d', 'h': '<a href="b">t</a>',
    'm': 'l1\nl2\r\n\nl3', 'g': 'aaa', 'c': 'tEST wORD', 'r': ' 3.7 ', 'x': '-0x1f', 'z': '0007', 'b': '{} {1!r}',
    'i': 7, 'j': -3, 'k': 0, 'f': 2.5, 'u': 1e-7, 'big': 1234567, 'yes': True, 'no': None,
    'l': [3, 1, 2, 2], 'w': ['b', 'A', 'a', 'C'], 'n': [[1, 2], [3]], 'v': [None, 1, 'a'], 'empty': [],
    'd': {'b': 1, 'a': 'x', 'C': None}, 'dd': {'x': {'y': [1, {'z': 'deep'}]}},
    'o': [{'k': 'x', 'v': 1}, {'k': 'y', 'v': 2}, {'k': 'X', 'v': 3}, {'v': 1}], 'oo': [{'k': 'x', 'v': 2}, {'k': 'y', 'v': None}],
}
TEXTS = 's t e q p h m g c r x z b'.split()
OPERANDS = TEXTS + 'i j k f u big yes no l w n v empty d dd o oo nope d.nope'.split() + [
    '(1, 2)', 'range(4)', 'd.items()', "('x' ~ s)", '(s|safe)', "[{'a': 1}, {'a': 2}]", '1.0', "'12'", "'nan'", '3.14159', '(d|dictsort)']

FILTERS = {
    'abs': [''], 'attr': ["('upper')", "('k')", "('items')"],
    'batch': ['(2)', "(3, '-')", '(linecount=2, fill_with=0)', '(0)'], 'capitalize': [''],
    'center': ['', '(10)', '(width=25)', '(3)'], 'count': [''],
    'default': ['', "('D')", "('D', true)", '(default_value=1, boolean=true)'], 'd': ["('')"],
    'dictsort': ['', '(true)', "(by='value')", '(reverse=true)', "(false, 'key', true)", "(by='?')"], 'e': [''],
    'escape': [''], 'filesizeformat': ['', '(true)'], 'first': [''], 'float': ['', "(default='?')"], 'forceescape': [''],
    'format': ['(1)', "('a', 2)", '(x=1)', "('é', 'ü')"],
    'groupby': ["('k')", "('v')", "('k', default='?')", "('k', case_sensitive=true)", '(0)'],
    'indent': ['', '(2)', "('>>')", '(width=3, first=true)', '(2, true, true)', '(4, blank=true)'],
    'int': ['', '(5)', '(0, 16)', '(base=8)', '(0, 0)'], 'items': [''],
    'join': ['', "(', ')", "('-', attribute='k')", "(', ', 'v')"], 'last': [''], 'length': [''], 'list': [''], 'lower': [''],
    'map': ["('upper')", "(attribute='v')", "(attribute='k', default='?')", "('default', 'x')", "('int')", "('join', ',')",
            "('length')", "('replace', 'a', 'b')", "('first')", '(attribute=0)', "(attribute='x.y')", "('nope')", '()'],
    'max': ['', "(attribute='v')", '(true)'], 'min': ['', "(attribute='v')", '(case_sensitive=true)'],
    'reject': ['', "('odd')", "('none')", "('lt', 2)"], 'rejectattr': ["('k')", "('v', 'gt', 1)", "('k', 'undefined')", '()'],
    'replace': ["('a', 'b')", "('l', 'LL', 1)", "('', '-')", "('', '-', 2)", "('a', 'b', count=1)", '(1, 2)', "('x')"],
    'reverse': [''], 'round': ['', '(1)', "(0, 'floor')", "(2, 'ceil')", '(-1)', "(method='?')"], 'safe': [''],
    'select': ['', "('odd')", "('string')", "('equalto', 2)", "('gt', 1)", "('in', [1, 'a'])", "('divisibleby', 2)"],
    'selectattr': ["('k')", "('v', 'gt', 1)", "('k', 'equalto', 'x')", "('k', 'defined')", "('v', 'odd')", "('a')"],
    'slice': ['(2)', "(3, '-')", '(slices=2)', '(-1)'],
    'sort': ['', '(true)', '(case_sensitive=true)', "(attribute='k')", "(attribute='v')", "(attribute='v,k')",
             '(false, true)', '(attribute=0)'],
    'string': [''], 'striptags': [''], 'sum': ['', "(attribute='v')", '(start=10)', "('v', 1)"], 'title': [''],
    'tojson': ['', '(indent=2)', '(sort_keys=true)', "(separators=(',', ':'))", '(ensure_ascii=true)', '(indent=0)',
               "(indent='\\t')"],
    'trim': ['', "('a')", "('<H>')", '(none)', "(chars=' x')"],
    'truncate': ['', '(5)', '(10, true)', "(8, true, '..')", "(length=6, killwords=false, end='!')", "(9, false, '…', 0)",
                 '(2)', '(5, leeway=3)'],
    'unique': ['', '(true)', "(attribute='k')"], 'upper': [''], 'urlencode': [''], 'wordcount': [''],
    'wordwrap': ['', '(5)', '(10, false)', "(4, true, '|')", '(7, break_on_hyphens=false)', "(3, wrapstring='~')", '(0)'],
    'xmlattr': ['', '(false)', '(autospace=false)'], 'nope': [''],
}
LAZY = ['batch', 'groupby', 'items', 'map', 'reject', 'rejectattr', 'reverse', 'select', 'selectattr', 'slice', 'unique']
METHODS = {
    'capitalize': ['()'], 'casefold': ['()'], 'center': ['(30)', "(9, '*')", "(10, 'ab')", '(-1)', '(3)'],
    'count': ["('l')", "('')", "('l', 3)", "('aa')", '(2)', "('l', 9, 1)"],
    'endswith': ["('c')", "('\"')", "(('e', 'D'))", "('l', 0, 3)", "('')"], 'expandtabs': ['()', '(4)', '(0)', '(tabsize=2)'],
    'find': ["('l')", "('l', 4)", "('', 99)", "('', 3)", "('o', -8)", "('z')"],
    'format': ['(1, 2)', "('a')", '(x=1)', '(l, d)'], 'index': ["('l')", "('zz')"], 'isalnum': ['()'], 'isalpha': ['()'],
    'isascii': ['()'], 'isdecimal': ['()'], 'isdigit': ['()'], 'islower': ['()'], 'isnumeric': ['()'], 'isspace': ['()'],
    'istitle': ['()'], 'isupper': ['()'], 'join': ["(['a', 'b'])", '(w)', "('abc')", '(l)', '([])'],
    'ljust': ['(20)', "(9, '*')"], 'lower': ['()'], 'lstrip': ['()', "(' aH')"], 'partition': ["('l')", "('zz')", "('')"],
    'removeprefix': ["('a')", "('He')", "('')"], 'removesuffix': ["('e')", "('')"],
    'replace': ["('l', 'L')", "('l', 'L', 1)", "('', '.')", "('a', '', -1)"], 'rfind': ["('l')", "('l', 0, 3)", "('')"],
    'rindex': ["('l')", "('zz')"], 'rjust': ['(20)', "(9, '*')"], 'rpartition': ["('l')", "('zz')"],
    'rsplit': ['()', "(' ', 1)", '(none, 1)', "('l', 1)", "('')"], 'rstrip': ['()', "('u\"')"],
    'split': ['()', "(',')", "(' ', 1)", '(none, 1)', '(maxsplit=1)', "(sep='l')", "('')", "(',', -1)", "('l', 0)"],
    'splitlines': ['()', '(true)', '(keepends=true)'],
    'startswith': ["('a')", "('He')", "(('a', 'H'))", "('l', 2)", "('', 99)"], 'strip': ['()', "('a')", "(' H')", '(none)'],
    'swapcase': ['()'], 'title': ['()'], 'upper': ['()'], 'zfill': ['(8)', '(0)', '(3)'],
}
DICT_METHODS = {'get': ["('a')", "('zz')", "('zz', 1)", '()'], 'items': ['()'], 'keys': ['()'], 'values': ['()'], 'copy': ['()']}
TESTS = ['defined', 'undefined', 'none', 'true', 'false', 'boolean', 'integer', 'float', 'number', 'string', 'mapping',
         'iterable', 'sequence', 'callable', 'escaped', 'lower', 'upper', 'even', 'odd', 'divisibleby(2)', 'divisibleby 3',
         'eq 7', 'equalto("aaa")', '== 1', 'ne 1', '!= 1', 'lt 3', 'lessthan(3)', '< 3', 'le 2.5', 'gt 1', 'greaterthan 1',
         '> 1', 'ge 7', '>= 7', 'in [1, 2, 7, "aaa"]', 'in "Hello aaa"', 'in d', 'sameas none', 'sameas yes', 'filter',
         'test', 'nope']
OPERATORS = ['+', '-', '*', '/', '//', '%', '**', '~', '==', '!=', '<', '<=', '>', '>=', 'in', 'not in', 'and', 'or']
ITEMS = ['0', '-1', '1:', '::-1', ':2', '1:3', '::2', '"a"', '5', '-2:', 'i', 'no', '1.0', 'yes', '::0', '"k"', ':-1',
         '3:1:-1', '"x"']
OTHERS = ["dict(a=1, b=l)", 'dict(d, z=1)', "dict([('a', 1)])", 'dict([1])', 'dict(1, 2)', 'namespace(a=1).a',
          'namespace(d).b', 'range(5, 0, -2)', 'range(0)', 'range()', 'range(1, 5, 0)', 'range(2.5)',
          "strftime_now('%d %B %Y')", "strftime_now('%H:%M:%S %j %y %A %a %b %% %I %p %U %w')", "strftime_now('%Z%z')",
          'strftime_now(1)', "raise_exception('no')", "cycler('a', 'b').next()", 'cycler()', "cycler('a').current",
          "joiner('|')()", "'%s %5.2f %-5d| %05d %x %r %c' % ('a', 3.14159, 42, 7, 255, 'q', 'z')",
          "'%+d % d %o %X %e %g' % (1, 2, 8, 255, 1234.5, 0.0001)", "'%(a)s %(a)r' % {'a': 1}",
          "'%5s|%-5s|%.2s' % ('a', 'b', 'xyz')", "'%d%%' % 50.7", "'%s' % (l,)", "'%s %s' % (1,)", "'%d' % 'a'", "'%q' % 1",
          "'%' % 1", "'%*d' % (5, 1)",
          "'{:>8} {:<5}| {:^7} {:05d} {:.2f} {!r} {:x} {:,}'.format('a', 'b', 'c', 42, 3.14159, 'q', 255, 1234567)",
          "'{0[1]} {1[a]} {0}'.format(l, d)", "'{a.b}'.format(a=dd)", "'{'.format()", "'{}'.format()", "'{{}}'.format()",
          "'{:d}'.format('a')", "'{:%}'.format(0.5)", "'{:e} {:g} {:b} {:o} {:+}'.format(12.5, 1e9, 5, 8, 3)",
          '{1: 2}|xmlattr', "{'a b': 1}|xmlattr", "{'a': none, 'b': '<'}|xmlattr", "[{'v': 1}, {}]|sum('v')",
          "l|map('nope')|list", "'a' 'b'", '1 if nope', '(1, )', '-l', '+i', '-s', 'not l', '1 < 2 < 3', '3 > 2 > 2',
          'l[l[1]]', 'd["a"]', 'd.a', "dd.x.y[1].z", 'dd.nope.x', 'nope.x', 'nope()', 'i()', "'x'.nope()",
          "'{:010,} {:,}'.format(big * 1e308, big * 1e308 - big * 1e308)",
          "'\\u00e9\\x41\\n'|tojson", '1e3', '1_000', '0x1f', '0b11', '0o17', '1.5e-7', '10 ** 20', '2 ** -1', '2 ** 0.5',
          '0 ** -1', '7 // 0', '7 % 0', '-7 // 2', '-7 % 3', '7.5 // 2', '-7.5 % 2', 'i / 2', "s * 2", 'l * 2', "'a' * -1"]

NUMBERS = ['1', '-7', '0', '255', '1234567', '3.14159', '-0.5', '12.0', '1e16', '1e-7', '123456.789', 'true', "'abc'", "'é漢'", 'none', '[1]']
BRACES = ['d', 'f', 'e', 'g', 'x', '#X', 'o', 'b', 'c', 's', 'n', '%', '8', '<8', '^8', '*>8', '=+8', '08', '+08', ',', '_', '012,',
          '015_x', '=015_', ',x', '_n', '+c', '.2', '.0', '.1e', '8.3f', '+.2%', ' d', '-', '012,.2f', '=08_.2e', 'é^9', '.', 'q', '8q']
PERCENTS = ['d', 'i', 'f', 'e', 'g', 'G', 'x', '#X', 'o', 's', 'r', 'a', 'c', '5d', '-5d|', '05d', '+d', ' d', '.3d', '8.2f', '+08.1f',
            '.2s', '6s', '-6s|', '%', 'q', '5']

HEADS = ['i in l', 'i in o', 'i in range(3)', 'k, v in d.items()', 'i in w if i != "A"', 'i in [1, [2, [3]]] recursive',
         'i in []', 'i in l if loop is defined', 'i, y in [(1, 2), (3, 4)]', 'i in s[:3]', 'i in d', 'i in nope',
         '(k, v) in d|dictsort', 'i in j']
SMALL = ['s', 'l', 'd', 'w', 'a', 'b', 'ns.x', 'i', 'y', 'k', 'v', 'i.k', 'loop.index', 'loop.index0', 'loop.last',
         'loop.first', 'loop.length', 'loop.revindex', 'loop.revindex0', 'loop.previtem', 'loop.nextitem', 'loop.depth',
         'loop.nope', "loop.cycle('A', 'B')", 'loop.changed(i)', 'loop(i)', "'lit'", '0', '[1, 2]', "{'q': 1}", 'none', "''",
         'a is defined', 'i == a', "i ~ '-' ~ a", "m1('z')", 'm1()', 'm2(1, 2, 3, p=4)', 'm2(1, q=2)', 'm1(1, 2)',
         'm1(nope=1)', 'm1(*l[:1])', "m2(**{'p': 1})", 'm3()', "caller()", "caller('c')", 'varargs', 'kwargs', 'm1.name',
         'm2.arguments', 'cyc.next()', 'cyc.current', 'joined()', 'a|upper']
PRELUDE = ["{% set ns = namespace(x=1, y='q') %}", "{% macro m1(a='dflt') %}[{{ a }}{{ caller() if caller }}]{% endmacro %}",
           "{% set joined = joiner('|') %}", '{% macro m2(a, b=2) %}<{{ a }}{{ b }}{{ varargs }}{{ kwargs }}>{% endmacro %}',
           "{% macro m3() %}{{ caller('arg') }}{% endmacro %}", "{%- set cyc = cycler('x', 'y') -%}"]
TEXT = ['', ' ', '\n', 'a', '  b\n', '\n  ', 'c\n\n', '<t> ', '{', '}', '%', '#', '\t', 'é', '{{ "{{" }}', '\n\n   ', '- ']


class Statements:
    """Draws nested statements."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def one_of(self, *choices):
        return self.random.choice(choices)

    def tag(self, text):
        return f"{{%{self.one_of('', '', '-', '+')} {text} {self.one_of('', '', '', '-', '+')}%}}"

    def block(self, depth):
        text = lambda: self.one_of(*TEXT)
        return ''.join(text() + self.statement(depth) for _ in range(self.one_of(0, 1, 1, 2, 3))) + text()

    def statement(self, depth):
        small = lambda: self.one_of(*SMALL)
        body = lambda: self.block(depth - 1)
        kind = self.one_of('print', 'print', 'set', 'set block', 'for', 'for', 'if', 'if', 'macro', 'call', 'filter', 'with', 'comment', 'raw')
        if depth <= 0 or kind == 'print':
            return f"{{{{{self.one_of('', '-', '+')} {small()} {self.one_of('', '-')}}}}}"
        if kind == 'set':
            return self.tag(f"set {self.one_of('a', 'b', 'ns.x', 'ns.y', 'a, b')} = {small()}")
        if kind == 'set block':
            return self.tag('set ' + self.one_of('a', 'b|upper', "a | replace('a', 'A')|trim", 'ns.x')) + body() + self.tag('endset')
        if kind == 'for':
            stop = self.tag('if ' + small()) + self.tag(self.one_of('break', 'continue')) + self.tag('endif') if self.random.random() < .25 else ''
            other = self.tag('else') + body() if self.random.random() < .25 else ''
            return self.tag('for ' + self.one_of(*HEADS)) + body() + stop + other + self.tag('endfor')
        if kind == 'if':
            other = self.tag('elif ' + small()) + body() if self.random.random() < .3 else ''
            other += self.tag('else') + body() if self.random.random() < .4 else ''
            return self.tag('if ' + small()) + body() + other + self.tag('endif')
        if kind == 'comment':
            return self.one_of('{# c #}', '{#- c -#}', '{# {{ x }} #}')
        if kind == 'raw':
            return self.tag('raw') + self.one_of('{{ x }}', ' {% if %} ', '{#', '\n a \n') + self.tag('endraw')
        heads = {'macro': ['m1(a)', "m1(a, b='B')", 'm2(a, b=2, c=a)', 'm3()', 'm1(x=s)', 'm2()'],
                 'call': ['m1(1)', 'm2(a=3)', 'm3()', 'm1(1, 2)'], 'filter': ['upper', 'trim', 'indent(2)', 'upper|trim', 'nope'],
                 'with': ['a=1', 'a=1, b=a', '']}
        head = ' '.join([kind + ('(y)' if kind == 'call' and self.random.random() < .5 else ''), self.one_of(*heads[kind])])
        return self.tag(head) + body() + self.tag('end' + kind)


def to_json(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def environment():
    """As Hugging Face transformers sets it up."""
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])
    env.filters['tojson'] = to_json
    env.globals['raise_exception'] = raise_exception
    env.globals['strftime_now'] = lambda f: datetime.datetime(2026, 1, 2).strftime(f)
    return env


def some(operands, n, at):
    """n of the operands, others for every `at`."""
    return [operands[(at * 5 + i * len(operands) // n) % len(operands)] for i in range(min(n, len(operands)))]


def expressions(n):
    at = itertools.count()
    for name, forms in FILTERS.items():
        for form in forms:
            for x in some(OPERANDS, n, next(at)):
                yield name, f"{x}|{name}{form}{'|list' if name in LAZY else ''}"
    for methods, operands in ((METHODS, TEXTS), (DICT_METHODS, ['d', 'dd', 'i', 'nope'])):
        for name, forms in methods.items():
            for form in forms:
                for x in some(operands, n, next(at)):
                    yield name, f'{x}.{name}{form}'
    for test in TESTS:
        for x in some(OPERANDS, n, next(at)):
            yield 'is_' + re.sub(r'\W.*', '', test), f"{x} is {'not ' * (next(at) % 3 == 0)}{test}"
    for operator in OPERATORS:
        for x in some(OPERANDS, 2 * n, next(at)):
            for y in some(OPERANDS, 2, next(at)):
                yield 'operator', f'{x} {operator} {y}'
    for item in ITEMS:
        for x in some([x for x in OPERANDS if not x[0].isdigit()], n, next(at)):
            yield 'item', f'{x}[{item}]'
    for spec in BRACES:
        for x in some(NUMBERS, n + 2, next(at)):
            yield 'braces', f"'{{:{spec}}}'.format({x})"
    for spec in PERCENTS:
        for x in some(NUMBERS, n + 2, next(at)):
            yield 'percent', f"'%{spec}' % ({x},)"
    for x in OTHERS:
        yield 'other', x


def templates(args):
    for name, expression in expressions(args.operands):
        yield name, '{{ ' + expression + ' }}'
    draw = Statements(args.seed)
    for _ in range(args.statements):
        yield 'statements', ''.join(p for p in PRELUDE if draw.random.random() < .6) + draw.block(3) + draw.one_of('', '\n', '\n\n')


OBJECTS = re.compile(r' at 0x|<function|<built-in|<Macro|<class|LoopContext|generator object', re.I)


def case(env, name, template):
    """None: what comes out is not the same everywhere, or beyond the engine's integers."""
    variables = {k: v for k, v in VARIABLES.items() if re.search(rf'\b{k}\b', template)}
    c = {'name': name, 'template': template, 'vars': variables}
    try:
        c['expect'] = env.from_string(template).render(**variables)
    except RecursionError:
        return None
    except Exception as e:  # pylint: disable=broad-except
        c.update(error=str(e), error_type=type(e).__name__, must_fail=True)
        return c
    return None if OBJECTS.search(c['expect']) or re.search(r'\d{19}', c['expect']) or len(c['expect']) > 2000 else c


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--operands', type=int, default=6)
    p.add_argument('--statements', type=int, default=600)
    args = p.parse_args()
    env, numbers, seen = environment(), {}, set()
    for name, template in templates(args):
        c = case(env, name, template) if template not in seen else None
        seen.add(template)
        if c:
            numbers[name] = n = numbers.get(name, 0) + 1
            c['name'] = f'{name}_{n}'
            json.dump(c, sys.stdout, ensure_ascii=False, separators=(',', ':'))
            print()


main()
