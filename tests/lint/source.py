"""Reads the C source as far as the rules need it: comments, functions, includes. No parser, but our style is regular."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("common", "producer", "consumer")


def tracked(*patterns):
    """Files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / line for line in sorted(set(listed.stdout.splitlines())) if (ROOT / line).exists()]


def c_files():
    return [path for path in tracked("*.c", "*.h") if path.relative_to(ROOT).parts[0] in FOLDERS]


def blank(match):
    return re.sub(r"[^\n]", " ", match[0])


def without_comments_and_text(code):
    """The same lines, with blanks where comments, strings and characters were."""
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, code, flags=re.DOTALL)


def functions(code):
    """Name, first line, number of lines, parameters, complexity and depth of each function that is defined."""
    clean = without_comments_and_text(code)
    for match in re.finditer(r"^(?!static const|struct \w+ \{|enum|union|typedef|#)[a-zA-Z_][^;{}=#]*?(\w+)\(([^;{}]*?)\)\n\{\n(.*?)^\}", clean,
                             flags=re.MULTILINE | re.DOTALL):  # fmt: skip
        name, parameters, body = match[1], match[2], match[3]
        depth = deepest = 0
        for brace in re.findall(r"[{}]", body):
            depth += 1 if brace == "{" else -1
            deepest = max(deepest, depth)
        yield {
            "name": name,
            "line": clean.count("\n", 0, match.start()) + 1,
            "lines": match[0].count("\n") + 1,
            "parameters": 0 if parameters.strip() in ("void", "") else parameters.count(",") + 1,
            "complexity": 1 + len(re.findall(r"\b(?:if|for|while|case)\b|&&|\|\||\?", body)),
            "depth": deepest + 1,
        }


def includes(path):
    """Files of ours that a file includes."""
    return [ROOT / name for name in re.findall(r'^#include "([^"]+)"', path.read_text(), re.MULTILINE)]
