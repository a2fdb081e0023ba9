#!/usr/bin/env python3
"""Compares the teacher's answers about one ELF file with the .eh_frame rows as binutils' readelf prints them.

    teacher_rows.py questions FILE [STEP] [--rows]   one question for every STEPth call instruction (return address), and
                                                     with --rows one for the start of every row, as an exact address
    teacher_rows.py check FILE QUESTIONS ANSWERS     one line of counts; what is wrong, line by line; status 1 if anything is

QUESTIONS and ANSWERS are what teacher_ask reads and prints. The rows come from `readelf --debug-dump=frames-interp`; those
that it prints as an expression (`exp`), and what it does not tell apart ("undefined" from "not saved yet"), from the raw
instructions of `readelf --debug-dump=frames`. Whether a row can be held by a rule at all is decided here, from rule.h alone.
"""
import bisect
import re
import subprocess
import sys
from collections import Counter

FAST = 2
STEP, OUTERMOST, NO_TABLE, REFUSED = 1, 2, 3, 4
KINDS = {STEP: "step", OUTERMOST: "outermost", NO_TABLE: "no table", REFUSED: "refused"}
CFA_LOADED, SIGNAL, RA_IN_REGISTER, FULL = 1, 2, 4, 8
SAVED_NONE = -128


class X86_64:
    """What there is to know of a processor; registers in the order of its arch file. "ra" is readelf's column of the return address."""
    tools = ""
    followed = ["rsp", "rbp", "rbx", "r12", "r13", "r14", "r15"]
    bases = ["c", "rbp", "rsp"]
    dwarf = {0: "rax", 1: "rdx", 2: "rcx", 3: "rbx", 4: "rsi", 5: "rdi", 6: "rbp", 7: "rsp", 16: "ra"}
    dwarf.update({i: "r%d" % i for i in range(8, 16)})
    call = re.compile(r"^ *[0-9a-f]+:\t(?:[a-z0-9.]+ )*callq? ")
    link = False


class AArch64:
    tools = "aarch64-linux-gnu-"
    followed = ["sp", "x29", "ra"]
    bases = ["c", "x29", "sp"]
    dwarf = {i: "x%d" % i for i in range(30)}
    dwarf.update({30: "ra", 31: "sp"})
    call = re.compile(r"^ *[0-9a-f]+:\tblr?\s")
    link = True  # calls leave the return address in a register


def processor_of(path):
    with open(path, "rb") as file:
        machine = int.from_bytes(file.read(20)[18:], "little")
    return {62: X86_64, 183: AArch64}[machine]


def lines_of(*command):
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        yield from process.stdout
    if process.returncode:
        sys.exit("%s: exit status %d" % (" ".join(command), process.returncode))


def frames_of(path, how):
    """Lines about .eh_frame; N: not about a separate debug file."""
    wanted = False
    for line in lines_of(processor.tools + "readelf", "-wN" + how, path):
        if line.startswith("Contents of the "):
            wanted = " .eh_frame " in line
        elif wanted:
            yield line


# ---- Rows ----

class Function:
    def __init__(self, start, end, cie, offset):
        self.start, self.end, self.cie, self.offset = start, end, cie, offset
        self.rows = []  # (address, {column: cell}); "CFA" and "ra" are columns too


def read_rows(path):
    """FDEs, and CIEs by their offset: (initial row, augmentation)."""
    functions, cies = [], {}
    current, columns, in_cie = None, None, False
    for line in frames_of(path, "F"):
        words = line.replace(" (", "(").split()  # a register kept in another one is "r10 (r10)"
        if " CIE " in line:
            current, columns, in_cie = int(words[0], 16), None, True
            cies[current] = ({"CFA": "?"}, words[4].strip('"'))
        elif " FDE " in line:
            fields = dict(word.split("=") for word in words if "=" in word)
            start, end = (int(x, 16) for x in fields["pc"].split(".."))
            current, columns, in_cie = Function(start, end, int(fields["cie"], 16), words[0]), None, False
            functions.append(current)
        elif words and words[0] == "LOC":
            columns = words[1:]
        elif columns and len(words) == len(columns) + 1:
            row = dict(zip(columns, words[1:]))
            if in_cie:
                cies[current] = (row, cies[current][1])
            else:
                current.rows.append((int(words[0], 16), row))
    for function in functions:
        if not function.rows:
            function.rows = [(function.start, cies[function.cie][0])]
    functions.sort(key=lambda function: function.start)
    return functions, cies


def raw_instructions(path):
    """FDE and CIE offset -> list of raw instructions, for entries that frames-interp does not tell all about."""
    raw, key, body = {}, None, []
    for line in frames_of(path, "f"):
        if " FDE " in line or " CIE" in line:
            if key:
                raw[key] = body
            key, body = line.split()[0], []
        elif line.startswith("  DW_CFA_"):
            body.append(line.strip())
    if key:
        raw[key] = body
    return {key: body for key, body in raw.items()
            if any(re.match(r"DW_CFA_(\w*expression|undefined|register|same_value)", x) for x in body)}


def raw_cells(body, address):
    """Cells that instructions set last up to `address`: expressions, and registers said to be undefined."""
    cells, stack = {}, []
    for x in body:
        advance = re.match(r"DW_CFA_(?:advance_loc\w*: \d+ to|set_loc:) ([0-9a-f]+)", x)
        register = re.match(r"DW_CFA_\w+: r(\d+)", x)
        expression = re.search(r"\((DW_OP_.*)\)$", x)
        name = processor.dwarf.get(int(register.group(1)), "?") if register else None
        if advance:
            if int(advance.group(1), 16) > address:
                break
        elif x.startswith("DW_CFA_remember_state"):
            stack.append(dict(cells))
        elif x.startswith("DW_CFA_restore_state"):
            cells = stack.pop()
        elif x.startswith("DW_CFA_def_cfa_expression"):
            cells["CFA"] = ("exp", expression.group(1))
        elif x.startswith("DW_CFA_def_cfa"):
            cells.pop("CFA", None)
        elif x.startswith("DW_CFA_val_expression"):
            cells[name] = ("vexp", expression.group(1))
        elif x.startswith("DW_CFA_expression"):
            cells[name] = ("exp", expression.group(1))
        elif x.startswith("DW_CFA_undefined"):
            cells[name] = ("undefined", None)
        elif name:
            cells.pop(name, None)
    return cells


# ---- What a rule should say about a row: None if no rule can ----

def expression_address(text, address):
    """(register, offset) of an expression that is an address; ("load", register, offset, add) if it is loaded."""
    if text.endswith("(rip): 0; DW_OP_lit15; DW_OP_and; DW_OP_lit11; DW_OP_ge; DW_OP_lit3; DW_OP_shl; DW_OP_plus"):
        return ("rsp", 8 + (8 if address & 15 >= 11 else 0))  # lazy binding's stubs, as every linker describes them
    match = re.fullmatch(r"DW_OP_breg\d+ \((\w+)\): (-?\d+)(?:; (DW_OP_deref))?(?:; DW_OP_plus_uconst: (\d+))?", text)
    if not match:
        return None
    register, offset, add = match.group(1), int(match.group(2)), int(match.group(4) or 0)
    return ("load", register, offset, add) if match.group(3) else (register, offset + add)


def relative(address, cfa):
    """An address said from the CFA where it can be."""
    if cfa[0] != "load" and address[0] == cfa[0]:
        return ("c", address[1] - cfa[1])
    return address


def cell_address(name, row, raw, cfa, at):
    """Where a register is: ("c" or register, offset), "same", "undefined", or None for what a rule has no word for."""
    cell = row.get(name, "u")
    if cell == "exp":
        address = expression_address(raw[name][1], at)
        return relative(address, cfa) if address and address[0] != "load" else None
    if cell == "u":
        return "undefined" if raw.get(name) == ("undefined", None) or (name == "ra" and not processor.link) else "same"
    if cell == "s":
        return "same"
    match = re.fullmatch(r"c([+-]\d+)", cell)
    return ("c", int(match.group(1))) if match else None


def fits(address, cfa, base, low, high):
    """Can a rule say this address from `base`, in words from low to high?"""
    if address[0] == "c" and base == cfa[0]:
        address = (base, address[1] + cfa[1])
    return address[0] == base and address[1] % 8 == 0 and low <= address[1] // 8 <= high


def expected(row, raw, at, signal, exact):
    """("outermost",), (cfa, ra, saved, flags) or None. A return address is in its register only before the first call."""
    text = row["CFA"]
    if text == "exp":
        cfa = expression_address(raw["CFA"][1], at)
    else:
        match = re.fullmatch(r"([a-z0-9]+)([+-]\d+)", text)
        cfa = (match.group(1), int(match.group(2)))
    ra = cell_address("ra", row, raw, cfa or ("?", 0), at)
    if ra == "undefined":
        return ("outermost",)
    shift = 0
    if processor.link and ra == ("c", 8) and not signal:
        # Outside the frame: behind it lies what the PLT pushed, which glibc's _dl_runtime_resolve does not count.
        shift = 16
        cfa, ra = (cfa[0], cfa[1] + shift), ("c", 8 - shift)
    elif processor.link and ra and ra[0] == "c" and ra[1] >= 0 and not signal:
        return None
    register = cfa and (cfa[1] if cfa[0] == "load" else cfa[0])
    if register not in processor.followed or not ra or (ra == "same" and not (processor.link and exact)):
        return None
    if ra != "same" and not any(fits(ra, cfa, base, -32768, 32767) for base in processor.bases):
        return None
    # The caller's stack pointer is the CFA and nothing else.
    pointer = processor.followed[0]
    sp = row.get(pointer, "u")
    if sp == "exp":
        where = expression_address(raw[pointer][1], at)
        if not (cfa[0] == "load" and where == cfa[1:3] and cfa[3] == 0):
            return None
    elif sp not in ("u", "s", "v+0"):
        return None
    saved = {name: cell_address(name, row, raw, cfa, at) for name in processor.followed[1:]}
    if None in saved.values() or "undefined" in saved.values():
        return None
    saved = {name: place if place == "same" or place[0] != "c" else ("c", place[1] - shift) for name, place in saved.items()}
    places = [address for address in saved.values() if address != "same"]
    if not any(all(any(fits(address, cfa, either, -127, 127) for either in (base, "c")) for address in places) for base in processor.bases):
        return None
    flags = (CFA_LOADED if cfa[0] == "load" else 0) | (SIGNAL if signal else 0) | (RA_IN_REGISTER if ra == "same" else 0)
    return (cfa, ra, saved, flags | (FULL if processor.followed.index(register) >= FAST else 0))


def answered(fields):
    """The same from a line of teacher_ask."""
    kind, flags, register, offset, add, ra_base, ra, saved_base, at_cfa = fields[:9]
    if kind == OUTERMOST:
        return ("outermost",)
    name, bases = processor.followed[register], processor.bases
    cfa = ("load", name, offset, add) if flags & CFA_LOADED else (name, offset + add)
    saved = {name: "same" if slot == SAVED_NONE else relative(("c" if at_cfa >> i & 1 else bases[saved_base], slot * 8), cfa)
             for i, (name, slot) in enumerate(zip(processor.followed[1:], fields[9:]))}
    return (cfa, "same" if flags & RA_IN_REGISTER else relative((bases[ra_base], ra * 8), cfa), saved, flags)


# ---- The two commands ----

def questions(path, step, rows):
    was_call, number = False, 0
    for line in lines_of(processor.tools + "objdump", "-d", "--no-show-raw-insn", path):
        if was_call and line.startswith(" "):
            number += 1
            if number % step == 0:
                print("c", line.split(":")[0].strip())
        was_call = processor.call.match(line) is not None
    if rows:
        for function in read_rows(path)[0]:
            for at, _ in function.rows:
                print("e %x" % at)


def reason_refused(row):
    return "CFA on " + re.sub(r"[+-].*", "", row["CFA"]) if row["CFA"] != "exp" else "CFA by expression"


def check(path, questions_path, answers_path):
    functions, cies = read_rows(path)
    starts = [function.start for function in functions]
    raw = raw_instructions(path)
    count, refused, wrong, ns = Counter(), Counter(), [], "?"
    with open(questions_path) as asked, open(answers_path) as answers:
        for question, answer in zip(asked, answers):
            how, address = question.split()
            fields = answer.split()
            if fields[0] != address:
                sys.exit("the answer to %s is %s" % (question, answer))
            fields = [int(x) for x in fields[1:]]
            count["questions"] += 1
            at = int(address, 16) - (how == "c")
            i = bisect.bisect_right(starts, at) - 1
            function = functions[i] if i >= 0 and at < functions[i].end else None
            if function is None:
                count["no table"] += 1
                if fields[0] != NO_TABLE:
                    wrong.append((address, "no row", KINDS[fields[0]]))
                continue
            j = max(bisect.bisect_right(function.rows, at, key=lambda row: row[0]) - 1, 0)
            row = function.rows[j][1]
            cells = raw_cells(raw[function.offset], at) if function.offset in raw else {}
            should = expected(row, cells, at, "S" in cies[function.cie][1], how == "e")
            if should is None and fields[0] == REFUSED:
                count["refused"] += 1
                refused[reason_refused(row)] += 1
            elif should is not None and fields[0] in (STEP, OUTERMOST) and should == answered(fields):
                count["equal"] += 1
                count["loaded"] += bool(fields[1] & CFA_LOADED)
                count["full"] += bool(fields[1] & FULL)
                count["outermost"] += fields[0] == OUTERMOST
                count["signal"] += bool(fields[1] & SIGNAL)
                count["link"] += bool(fields[1] & RA_IN_REGISTER)
            else:
                wrong.append((address, "%s %s" % (row, cells or ""), "%s %s" % (KINDS[fields[0]], fields)))
        last = answers.readline().split()
        if len(last) == 2 and last[0] == "ns":
            ns = last[1]
        else:
            sys.exit("fewer questions than answers, or the last line is missing")
    for entry in wrong[:20]:
        print("wrong at %s: readelf says %s, the teacher %s" % entry)
    because = "".join(", %s %d" % entry for entry in refused.most_common())
    print("%s: questions %d, equal %d (outermost %d, CFA loaded %d, full walk %d, signal %d, link %d), no table %d, refused %d%s, wrong %d; "
          "%s ns a question" % (path.split("/")[-1], count["questions"], count["equal"], count["outermost"], count["loaded"],
                                    count["full"], count["signal"], count["link"], count["no table"], count["refused"], because, len(wrong), ns))
    return 1 if wrong or not count["questions"] else 0


if __name__ == "__main__":
    arguments = [x for x in sys.argv[1:] if x != "--rows"]
    processor = processor_of(arguments[1])
    if arguments[0] == "questions":
        questions(arguments[1], int(arguments[2]) if len(arguments) > 2 else 1, "--rows" in sys.argv)
    else:
        sys.exit(check(*arguments[1:4]))
