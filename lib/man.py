#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The man pages of a library from its header, which says everything once: man.py HEADER VERSION DIR.

millrace.h makes libmillrace.3, which has what the header says at its head, and the types; each function
has a page with the comment above it. One whose comment begins "The same" is on the page of the one before.
"""

import pathlib
import re
import sys

SECTION = 3


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(['.])", r"\\&\1", text, flags=re.M)


def roman(text):
    """A comment's words, its names in bold, its drawings and lists as they stand."""
    out = []
    for paragraph in text.split("\n\n"):
        lines = paragraph.split("\n")
        if all(line.startswith("  ") for line in lines):
            out.append(f".EX\n{escape(paragraph)}\n.EE")
            continue
        words = escape(" ".join(line.strip() for line in lines))
        words = re.sub(r"\b((?:millrace|MILLRACE)_\w+)(\(\))?", r"\\fB\1\\fR\2", words)
        out.append(".PP\n" + re.sub(r"(?<=[.:;]) (?=[A-Z(])", "\n", words))
    return "\n".join(out)


def uncomment(lines):
    return "\n".join(re.sub(r"^// ?", "", line) for line in lines).strip("\n")


def head_of(source):
    """What stands at the head of the file, behind the licence."""
    found = re.search(r"#pragma once\n\n((?://.*\n)+)", source)
    return uncomment(found[1].splitlines())


def blocks_of(source):
    """Declarations with the comment above each: (comment, code)."""
    body = source[source.index('extern "C" {\n#endif') + len('extern "C" {\n#endif'):]
    body = body[:body.rindex("#ifdef __cplusplus")]
    for block in re.split(r"\n\n+", body.strip()):
        lines = block.split("\n")
        code, comment = [], []
        for line in lines:
            if line.startswith("//"):
                comment.append(line)
                continue
            code.append(line)
            if re.search(r"[;}]\s*(//.*)?$", line) and not line.startswith((" ", "\t")):
                yield uncomment(comment), "\n".join(code)
                code, comment = [], []
        if code or comment:
            yield uncomment(comment), "\n".join(code)


def function_of(code):
    found = re.match(r"(?!typedef)[a-z][\w ]*[ *](millrace_\w+)\(", code)
    return found[1] if found else None


def page(name, version, sections):
    out = [f'.TH {name.upper()} {SECTION} "" "millrace {version}" "Library Functions Manual"', ".nh"]
    for title, text in sections:
        out.append(f".SH {title}\n{text}")
    return "\n".join(out) + "\n"


def library_of(header):
    return header.stem.replace("_", "-")


def synopsis(header, codes):
    joined = "\n".join(codes).expandtabs(8)
    return (f".nf\n.B #include <{header.name}>\n.PP\n{escape(joined)}\n.PP\n"
            f"Link with \\fI\\-l{escape(library_of(header))}\\fP.\n.fi")


def brief(comment, name):
    first = re.split(r"(?<=[.:]) |\n\n", comment.replace("\n", " "))[0].rstrip(".:")
    return f"{name} \\- {escape(first[0].lower() + first[1:])}"


class Pages:
    def __init__(self, header, version, directory):
        self.header, self.source = header, header.read_text()
        self.library = "lib" + library_of(header)
        self.version = version
        self.directory = directory
        self.types = []
        self.functions = []  # [names, comment, codes]

    def read(self):
        for comment, code in blocks_of(self.source):
            name = function_of(code)
            if name is None:
                self.types.append((comment, code))
            elif comment.startswith("The same"):
                self.functions[-1][0].append(name)
                self.functions[-1][1] += "\n\n" + re.sub(r"^The same", f"{name}() is the same", comment)
                self.functions[-1][2].append(code)
            else:
                self.functions.append([[name], comment, [code]])

    def write(self, name, text):
        (self.directory / f"{name}.{SECTION}").write_text(text)

    def write_overview(self):
        types = "\n".join(
            (roman(comment) + "\n" if comment else "") + f".PP\n.EX\n{escape(code.expandtabs(8))}\n.EE"
            for comment, code in self.types if code.strip())
        every = ", ".join(f"\\fB{n}\\fP({SECTION})" for names, _, _ in self.functions for n in names)
        head = head_of(self.source)
        what = re.match(r"[\w-]+: (.*?)\.\s", head, flags=re.S)[1].replace("\n", " ")
        self.write(self.library, page(self.library, self.version, [
            ("NAME", f"{escape(self.library)} \\- {escape(what)}"),
            ("SYNOPSIS", synopsis(self.header, [])),
            ("DESCRIPTION", roman(head)),
            ("TYPES", types),
            ("SEE ALSO", every + ", \\fBmillrace\\-send\\fP(1)"),
        ]))

    def write_functions(self):
        for names, comment, codes in self.functions:
            self.write(names[0], page(names[0], self.version, [
                ("NAME", brief(comment, ", ".join(names))),
                ("SYNOPSIS", synopsis(self.header, codes)),
                ("DESCRIPTION", roman(comment)),
                ("SEE ALSO", f"\\fB{escape(self.library)}\\fP({SECTION})"),
            ]))
            for other in names[1:]:
                self.write(other, f".so man{SECTION}/{names[0]}.{SECTION}\n")


def main():
    header, version, directory = sys.argv[1:]
    pages = Pages(pathlib.Path(header), version, pathlib.Path(directory))
    pages.directory.mkdir(exist_ok=True)
    pages.read()
    pages.write_overview()
    pages.write_functions()


main()
