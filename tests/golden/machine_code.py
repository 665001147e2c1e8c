# SPDX-License-Identifier: Apache-2.0
"""Reads a function of an x86-64 ELF file and finds the ways through it that make no call.

A path is a list of instructions from the function's entry to a ret. Each instruction is reduced to its kind: the
mnemonic with its operands, where a register is "reg", a constant "imm", and memory is named for what it holds:

    [tls]       the calling thread's data
    [global]    the library's own data, also through the global offset table
    [table]     what a pointer in global data points to
    [block-1]   relative to a block: the argument of free, the head that malloc took from the thread's data
    [memory]    anything else

To name memory, the values of registers are followed along the path. Nothing is executed.
"""

import re
import subprocess

REGISTERS = {}
for _letter in "abcd":
    for _name in ("r%sx", "e%sx", "%sx", "%sl", "%sh"):
        REGISTERS[_name % _letter] = "r%sx" % _letter
for _word in ("si", "di", "bp", "sp"):
    for _name in ("r%s", "e%s", "%s", "%sl"):
        REGISTERS[_name % _word] = "r" + _word
for _number in range(8, 16):
    for _suffix in ("", "d", "w", "b"):
        REGISTERS["r%d%s" % (_number, _suffix)] = "r%d" % _number

CONDITIONAL_JUMP = re.compile(r"j(?!mp)[a-z]+$")
MEMORY = re.compile(r"(?:(?P<width>[A-Z]+) PTR )?(?:(?P<segment>[a-z]s):)?"
                    r"(?:\[(?P<inside>[^\]]*)\]|(?P<absolute>0x[0-9a-f]+))$")
INSTRUCTION = re.compile(r"\s*([0-9a-f]+):\t(.*)$")
PREFIXES = {"bnd", "notrack", "rep", "repz", "repnz", "data16", "cs", "ds", "lock"}
MOVES = {"mov", "movzx", "movsx", "movsxd", "movabs"}
# The destination of these is not written.
COMPARISONS = {"cmp", "test", "bt"}
MAX_PATHS = 1000


class CodeError(Exception):
    """What the file holds is not what can be checked; the text says what."""


class Instruction:
    def __init__(self, address, text):
        self.address = address
        # Where an operand relative to the instruction leads: objdump says so in a comment.
        resolved = re.search(r"# (?:0x)?([0-9a-f]+)", text)
        self.resolved = int(resolved.group(1), 16) if resolved else 0
        text = text.split("#")[0].split("<")[0].strip()
        words = text.split(None, 1)
        while len(words) == 2 and words[0] in PREFIXES and words[1].split()[0].isalpha():
            words = words[1].split(None, 1)
        self.mnemonic = words[0]
        self.operands = words[1].split(",") if len(words) == 2 else []
        self.is_jump = self.mnemonic == "jmp"
        self.is_conditional = CONDITIONAL_JUMP.match(self.mnemonic) is not None
        self.target = None
        if (self.is_jump or self.is_conditional) and re.match(r"(0x)?[0-9a-f]+$", self.operands[0]):
            self.target = int(self.operands[0], 16)


def run(*command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, check=False)
    if result.returncode != 0:
        raise CodeError("%s: %s" % (" ".join(command), result.stderr.strip()))
    return result.stdout


def symbol_names(path):
    """All names in the symbol table, those of static functions among them."""
    return {line.split()[-1] for line in run("nm", path).splitlines() if line.split()}


def disassemble(path, function):
    """The instructions of a function by address, and its entry."""
    for line in run("nm", "--print-size", "--defined-only", path).splitlines():
        fields = line.split()
        if len(fields) == 4 and fields[3] == function and fields[2] in "TtWwi":
            start, size = int(fields[0], 16), int(fields[1], 16)
            break
    else:
        raise CodeError("%s defines no function %s" % (path, function))
    listing = run("objdump", "--disassemble", "--no-show-raw-insn", "-M", "intel", "--start-address=%d" % start,
                  "--stop-address=%d" % (start + size), "--section=.text", path)
    code = {}
    for line in listing.splitlines():
        match = INSTRUCTION.match(line)
        if match:
            address = int(match.group(1), 16)
            code[address] = Instruction(address, match.group(2))
    if start not in code:
        raise CodeError("%s: %s is not in .text" % (path, function))
    return code, start


def call_free_paths(code, start):
    """Every way from the entry to a ret without a call, a jump out of the function or a loop.

    A path is a list of (instruction, taken). A call anywhere on the way ends the way.
    """
    following = dict(zip(sorted(code), sorted(code)[1:]))
    paths, pending = [], [(start, [], frozenset())]
    while pending:
        address, path, seen = pending.pop()
        if address not in code or address in seen:
            continue
        instruction, seen = code[address], seen | {address}
        if instruction.mnemonic.startswith("ret"):
            paths.append(path + [(instruction, False)])
            if len(paths) > MAX_PATHS:
                raise CodeError("more than %d ways through the function" % MAX_PATHS)
        elif instruction.is_jump:
            if instruction.target is not None:
                pending.append((instruction.target, path + [(instruction, True)], seen))
        elif instruction.is_conditional:
            pending.append((instruction.target, path + [(instruction, True)], seen))
            pending.append((following.get(address), path + [(instruction, False)], seen))
        elif instruction.mnemonic not in ("call", "ud2", "hlt", "syscall"):
            pending.append((following.get(address), path + [(instruction, False)], seen))
    # The predicted path first: the one that takes the fewest branches.
    return sorted(paths, key=lambda p: (sum(taken for i, taken in p if i.is_conditional), len(p)))


class Access:
    """One memory access.

    index: in the path. space: as in the module's comment. place: the address as a sum. offset: within a block.
    value: the sum that a plain store writes. read, written: an arithmetic instruction may do both.
    """

    def __init__(self, **fields):
        self.__dict__.update(fields)


def add_sums(left, right, factor=1):
    """The sum of two values, the second times a factor."""
    atoms = dict(left[0])
    for atom, count in right[0]:
        atoms[atom] = atoms.get(atom, 0) + count * factor
    constant = (left[1] + right[1] * factor + (1 << 63)) % (1 << 64) - (1 << 63)
    return tuple(sorted((item for item in atoms.items() if item[1]), key=repr)), constant


def atom_of(*atom):
    return ((atom, 1),), 0


def constant_of(number):
    return (), number


# Atoms that have a meaning of their own; others are ("load", space, place, index) and ("unknown", number).
ARGUMENT = atom_of("argument")
THREAD_POINTER = atom_of("thread pointer")
IMAGE = atom_of("image")  # where the file is loaded: what an address relative to the instruction is relative to
# An absolute address, as in a program that is not position-independent, is no smaller than this.
LEAST_ADDRESS = 0x10000


class Walk:
    """Follows the values along a path; kinds and accesses are the results.

    A value is a sum: atoms with their factors, and a constant. So an address is the same however it was put together.
    Widths are not followed: a register and its lower half hold the same value.
    """

    def __init__(self, path, argument_is_block):
        self.argument_is_block = argument_is_block
        self.values = {"rdi": ARGUMENT}
        self.kinds, self.accesses, self.unknowns = [], [], 0
        for index, (instruction, taken) in enumerate(path):
            self.kinds.append(self.step(index, instruction, taken))

    def unknown(self):
        self.unknowns += 1
        return atom_of("unknown", self.unknowns)

    def value(self, register):
        return self.values.setdefault(REGISTERS[register], self.unknown())

    def address(self, operand, resolved):
        """(address as a sum, width) of a memory operand."""
        match = MEMORY.match(operand)
        if match is None:
            raise CodeError("operand not understood: %s" % operand)
        total = THREAD_POINTER if match.group("segment") == "fs" else constant_of(0)
        for sign, term in re.findall(r"([+-]?)([a-z0-9*]+)", match.group("inside") or match.group("absolute")):
            name, _, scale = term.partition("*")
            if name == "rip":
                return add_sums(IMAGE, constant_of(resolved)), (match.group("width") or "").lower()
            if name in REGISTERS:
                total = add_sums(total, self.value(name), int(scale or "1", 16))
            elif name not in ("riz", "eiz"):
                total = add_sums(total, constant_of(int(term, 16)), -1 if sign == "-" else 1)
        return total, (match.group("width") or "").lower()

    def is_block(self, atom):
        if self.argument_is_block:
            return atom == ARGUMENT[0][0][0]
        return atom[0] == "load" and atom[1] == "tls" and atom[4] == "qword"

    def space(self, address):
        atoms = [atom for atom, _ in address[0]]
        if THREAD_POINTER[0][0][0] in atoms:
            return "tls"
        if IMAGE[0][0][0] in atoms or not atoms or abs(address[1]) >= LEAST_ADDRESS:
            return "global"
        if len(atoms) == 1 and address[0][0][1] == 1 and self.is_block(atoms[0]):
            return "block"
        return "table" if any(atom[0] == "load" and atom[1] == "global" for atom in atoms) else "memory"

    def step(self, index, instruction, taken):
        """Follows one instruction and returns its kind."""
        name, operands = instruction.mnemonic, instruction.operands
        if instruction.is_conditional:
            return "%s %s" % (name, "taken" if taken else "not taken")
        if instruction.is_jump or not operands or name == "nop":
            return name
        shown, memory = [], None
        for position, operand in enumerate(operands):
            if "[" in operand or "PTR" in operand:
                address, width = self.address(operand, instruction.resolved)
                space = self.space(address)
                offset = address[1] if space == "block" else 0
                memory = Access(index=index, position=position, space=space, place=address, offset=offset, width=width)
                shown.append("%s [%s%s]" % (width, space, "%+d" % offset if offset else ""))
            elif operand in REGISTERS:
                shown.append("reg")
            elif re.match(r"-?(0x)?[0-9a-f]+$", operand):
                shown.append("imm")
            else:
                shown.append(operand)
        if name == "lea":
            self.values[REGISTERS[operands[0]]] = memory.place
            return "lea reg, [%s]" % (memory.space if memory.space in ("tls", "global") else "sum")
        self.record(index, name, operands, memory)
        if operands[0] in REGISTERS and name not in COMPARISONS and name != "push":
            self.values[REGISTERS[operands[0]]] = self.result(index, name, operands, memory)
        if name in MOVES and memory:
            return "%s %s" % (name, "store " + shown[0] if memory.position == 0 else "load " + shown[1])
        return "%s %s" % (name, ", ".join(shown))

    def record(self, index, name, operands, memory):
        if name == "push":
            self.accesses.append(Access(index=index, space="stack", place=None, offset=0, width="qword", written=True,
                                        read=False, value=None))
        if memory is None:
            return
        memory.written = memory.position == 0 and name not in COMPARISONS and name not in ("push", "mul", "div")
        memory.read = not (memory.written and name in MOVES)
        memory.value = None
        if memory.written and name in MOVES and operands[1] in REGISTERS:
            memory.value = self.value(operands[1])
        self.accesses.append(memory)

    def loaded(self, index, memory):
        if memory.place == THREAD_POINTER:  # fs:0 holds its own address
            return THREAD_POINTER
        # Global data is the same at every load: nothing on a fast path writes it.
        return atom_of("load", memory.space, memory.place, 0 if memory.space == "global" else index, memory.width)

    def result(self, index, name, operands, memory):
        """What the first operand, a register, holds after the instruction."""
        old = self.value(operands[0])
        if len(operands) == 1:
            return add_sums(old, constant_of({"inc": 1, "dec": -1}[name])) if name in ("inc", "dec") else self.unknown()
        if len(operands) > 2:
            return self.unknown()
        if memory:
            source = self.loaded(index, memory)
        elif operands[1] in REGISTERS:
            source = self.value(operands[1])
        else:
            source = constant_of(int(operands[1], 16) if operands[1].lstrip("-").startswith("0x") else 0)
        if name in MOVES:
            return source
        if name in ("add", "sub"):
            return add_sums(old, source, 1 if name == "add" else -1)
        if name == "shl" and not source[0]:
            return add_sums(constant_of(0), old, 1 << source[1])
        if name == "xor" and operands[0] == operands[1]:
            return constant_of(0)
        return self.unknown()
