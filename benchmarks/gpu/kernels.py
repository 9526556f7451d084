"""How many kernels a compiled program starts, by its text."""

import re
from functools import cache

__all__ = ["kernels"]

_NO_KERNEL = (
    "parameter",
    "constant",
    "tuple",
    "get-tuple-element",
    "bitcast",
    "while",
    "conditional",
    "call",
    "after-all",
)


def kernels(program: str) -> int:
    """Kernels in one iteration of the longest loop of a compiled program, by its text.

    Of a choice the shorter side counts: the other one is what comes before each epoch.
    """
    parts: dict[str, list[str]] = {}
    for line in program.splitlines():
        if begun := re.match(r"(?:ENTRY )?%?([\w.-]+) .*\{$", line):
            own = parts.setdefault(begun[1], [])
        elif line.startswith("  ") and " = " in line:
            own.append(line)

    @cache
    def within(name: str) -> int:
        total = 0
        for line in parts.get(name, []):
            made = re.search(r" = .*?\s([a-z][\w-]*)\(", line)
            if made is None:
                continue
            if made[1] in ("while", "call"):
                total += sum(map(within, re.findall(r"(?:body|to_apply)=%?([\w.-]+)", line)))
            elif made[1] == "conditional":
                sides = re.findall(r"_computation=%?([\w.-]+)", line)
                if several := re.search(r"branch_computations=\{([^}]*)\}", line):
                    sides = re.findall(r"[\w.-]+", several[1])
                total += min(map(within, sides))
            else:
                total += made[1] not in _NO_KERNEL
        return total

    return max(map(within, re.findall(r"\sbody=%?([\w.-]+)", program)), default=0)
