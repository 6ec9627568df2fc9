#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks REQUIREMENTS.md: each row is whole, and each function and each test that it names exists.

   requirements.py [--complete]

A row is open while its Test is `?`, save where the code is MISSING or WRONG: it is printed, and with
--complete it is a failure. The last line counts the rows."""
import re
import sys
from pathlib import Path

COLUMNS = ['ID', 'Level', 'Section', 'Requirement', 'Where in the code', 'Test']
MATRIX = Path(__file__).resolve().parent / 'REQUIREMENTS.md'
TESTS = MATRIX.parent.parent
SRC = TESTS.parent / 'src'
PLACE = re.compile(r'((?:\w+/)*\w+\.[ch]):([A-Za-z_]\w*)')  # file:function


def rows():
    """Line number, section and cells of each row."""
    section, in_table = '', False
    for number, line in enumerate(MATRIX.read_text(encoding='utf-8').splitlines(), 1):
        if line.startswith('## '):
            section = line[3:]
        cells = [cell.strip() for cell in re.split(r'(?<!\\)\|', line)]
        if not line.startswith('|'):
            in_table = False
        elif cells[1:-1] == COLUMNS:
            in_table = True
        elif in_table and not set(line) <= set('|-: '):
            yield number, section, cells[1:-1] if cells[-1] == '' else cells[1:]
        elif section and not in_table:
            yield number, section, cells[1:-1]  # a table with another head


def unit_test_exists(name):
    """`FILE:FUNCTION`: defined there, and listed for CUnit there."""
    file, _, function = name.partition(':')
    path = TESTS / 'unit' / file
    text = path.read_text(encoding='utf-8') if path.is_file() else ''
    defined = re.search(r'^(static )?void %s\(void\)\n\{' % re.escape(function), text, re.M)
    added = re.search(r'(\{[^{};]*,|CU_add_test\([^;]*,)\s*%s\s*[})]' % re.escape(function), text)
    return function != '' and defined and added


def e2e_test_exists(name):
    """`FILE:FUNCTION`, with or without .py."""
    file, _, function = name.partition(':')
    path = TESTS / 'e2e' / (file if file.endswith('.py') else file + '.py')
    text = path.read_text(encoding='utf-8') if path.is_file() else ''
    return function != '' and re.search(r'^\s*def %s\(' % re.escape(function), text, re.M)


def test_exists(name):
    kind, slash, rest = name.partition('/')
    if name == 'sim':
        return (TESTS / 'sim').is_dir()
    if not slash:
        return (TESTS / 'tcp/scenarios' / (name + '.scenario')).is_file()
    if kind == 'fuzz':
        return (TESTS / 'fuzz' / (rest + '.c')).is_file()
    return {'unit': unit_test_exists, 'e2e': e2e_test_exists}.get(kind, lambda _: False)(rest)


def place_exists(file, name):
    """In src/tcp, unless a folder is named."""
    path = SRC / file if '/' in file else SRC / 'tcp' / file
    return path.is_file() and re.search(r'\b%s\b' % name, path.read_text(encoding='utf-8'))


def faults(cells):
    """What is wrong with the row, and what it counts as."""
    if len(cells) != len(COLUMNS):
        return ['%d columns instead of %d' % (len(cells), len(COLUMNS))], 'bad'
    where, test = cells[4], cells[5]
    undone = where.startswith(('MISSING:', 'WRONG:'))
    gone = ['there is no %s in %s' % (name, file)
            for file, name in PLACE.findall(where) if not place_exists(file, name)]
    if re.match(r'n/a: \S', test):
        return gone, 'n/a'
    if test == '?':
        return gone, 'undone' if undone else 'open'
    names = re.findall(r'`([^`]+)`', test)
    if test != ', '.join('`%s`' % name for name in names) or not names:
        return ['neither tests, nor `n/a: …`, nor `?`: "%s"' % test], 'bad'
    gone += ['there is no test `%s`' % name for name in names if not test_exists(name)]
    return gone, 'partly' if undone else 'tested'


def main():
    if sys.argv[1:] not in ([], ['--complete']):
        sys.exit(__doc__)
    counts = dict.fromkeys(['bad', 'open', 'n/a', 'undone', 'partly', 'tested'], 0)
    deliberate = 0
    seen = {}
    for number, section, cells in rows():
        found, kind = faults(cells)
        first = seen.setdefault((section, cells[0]), number)
        if first != number:
            found.append('stands in line %d already' % first)
        if kind == 'open':
            print('%s:%d: %s: open' % (MATRIX.name, number, cells[0]))
        for fault in found:
            print('%s:%d: %s: %s' % (MATRIX.name, number, cells[0], fault))
        counts['bad' if found else kind] += 1
        deliberate += kind in ('undone', 'partly') and 'deliberate' in cells[4]
    failed = counts['bad'] + (counts['open'] if sys.argv[1:] else 0)
    undone = counts['partly'] + counts['undone']
    passed = counts['tested'] + counts['n/a'] + undone
    print('%d passed, %d failed (%d hold, %d n/a, %d open, %d missing or wrong: %d of these '
          'deliberate, %d without a test)' % (passed, failed, counts['tested'], counts['n/a'], counts['open'],
                                  undone, deliberate, counts['undone']))
    sys.exit(failed > 0 or passed == 0)


if __name__ == '__main__':
    main()
