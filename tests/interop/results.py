"""What was checked, and what came of it: one line for each check as it is made."""

passed = 0
failed = 0


def expect(what, wanted, found):
    """A check of one value."""
    if wanted == found:
        succeed(f"{what} = {found}")
    else:
        fail(f"{what}: expected {wanted}, found {found}")


def check(what, condition):
    """A check whose text says what was found."""
    if condition:
        succeed(what)
    else:
        fail(what)


def succeed(what):
    global passed
    passed += 1
    print(f"ok    {what}", flush=True)


def fail(what):
    global failed
    failed += 1
    print(f"FAIL  {what}", flush=True)


def print_table(rows):
    """Rows of equally many texts, the first one a heading, in aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    print()
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths))
        print("  ".join(cells).rstrip())


def print_counts():
    """CI reads this line."""
    print(f"\n{passed} passed, {failed} failed", flush=True)
