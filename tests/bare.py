"""Bare-metal RISC-V programs for tests that need a guest but no operating system, assembled here.

    echo_program().write(path)      # vireo run --firmware none PATH

Encodings: RISC-V unprivileged ISA, chapters RV32I and RV64I. The machine: test finisher at 0x100000,
16550 at 0x10000000."""

import struct

ZERO, T0, T1, T2, A0, T3 = 0, 5, 6, 7, 10, 28
RAM = 0x80000000


class Program:
    def __init__(self):
        self.words = []
        self.labels = {}
        self.fixes = []

    def word(self, value):
        self.words.append(value & 0xFFFFFFFF)

    def label(self, name):
        self.labels[name] = len(self.words)

    def lui(self, rd, imm20):
        self.word(imm20 << 12 | rd << 7 | 0x37)

    def addi(self, rd, rs, imm):
        self.word((imm & 0xFFF) << 20 | rs << 15 | rd << 7 | 0x13)

    def andi(self, rd, rs, imm):
        self.word((imm & 0xFFF) << 20 | rs << 15 | 7 << 12 | rd << 7 | 0x13)

    def slli(self, rd, rs, bits):
        self.word(bits << 20 | rs << 15 | 1 << 12 | rd << 7 | 0x13)

    def srli(self, rd, rs, bits):
        self.word(bits << 20 | rs << 15 | 5 << 12 | rd << 7 | 0x13)

    def csrr(self, rd, csr):
        self.word(csr << 20 | 2 << 12 | rd << 7 | 0x73)

    def csrw(self, csr, rs):
        self.word(csr << 20 | rs << 15 | 1 << 12 | 0x73)

    def amoadd_w(self, rd, rs2, rs1):
        self.word(rs2 << 20 | rs1 << 15 | 2 << 12 | rd << 7 | 0x2F)

    def li(self, rd, value):
        high = (value + 0x800) >> 12
        if high:
            self.lui(rd, high & 0xFFFFF)
        self.addi(rd, rd if high else ZERO, value - (high << 12))

    def lbu(self, rd, off, rs):
        self.word((off & 0xFFF) << 20 | rs << 15 | 4 << 12 | rd << 7 | 0x03)

    def lw(self, rd, off, rs):
        self.word((off & 0xFFF) << 20 | rs << 15 | 2 << 12 | rd << 7 | 0x03)

    def store(self, rs2, off, rs1, kind):
        self.word((off >> 5 & 0x7F) << 25 | rs2 << 20 | rs1 << 15 | kind << 12 | (off & 31) << 7 | 0x23)

    def sb(self, rs2, off, rs1):
        self.store(rs2, off, rs1, 0)

    def sw(self, rs2, off, rs1):
        self.store(rs2, off, rs1, 2)

    def sd(self, rs2, off, rs1):
        self.store(rs2, off, rs1, 3)

    def ld(self, rd, off, rs):
        self.word((off & 0xFFF) << 20 | rs << 15 | 3 << 12 | rd << 7 | 0x03)

    def add(self, rd, rs1, rs2):
        self.word(rs2 << 20 | rs1 << 15 | rd << 7 | 0x33)

    def sub(self, rd, rs1, rs2):
        self.word(0x20 << 25 | rs2 << 20 | rs1 << 15 | rd << 7 | 0x33)

    def auipc(self, rd, imm20):
        self.word(imm20 << 12 | rd << 7 | 0x17)

    def beq(self, rs1, rs2, label):
        self.fixes.append((len(self.words), label, rs1, rs2))
        self.word(0)

    def jump(self, label):
        self.beq(ZERO, ZERO, label)

    def wfi(self):
        self.word(0x10500073)

    def put(self, text):
        self.lui(T0, 0x10000)
        for byte in text.encode():
            self.li(T1, byte)
            self.sb(T1, 0, T0)

    def finish(self, value):
        """Write to the test finisher, and wait for the end."""
        self.lui(T2, 0x100)
        self.li(T1, value)
        self.sw(T1, 0, T2)
        self.word(0x0000006F)  # jal zero, 0

    def elf(self):
        for at, label, rs1, rs2 in self.fixes:
            off = (self.labels[label] - at) * 4
            self.words[at] = ((off >> 12 & 1) << 31 | (off >> 5 & 0x3F) << 25 | rs2 << 20 | rs1 << 15 |
                              (off >> 1 & 15) << 8 | (off >> 11 & 1) << 7 | 0x63)
        code = b"".join(struct.pack("<I", word) for word in self.words)
        head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 243, 1, RAM, 64, 0, 0, 64, 56, 1, 64, 0, 0)
        load = struct.pack("<IIQQQQQQ", 1, 7, 0x1000, RAM, RAM, len(code), len(code), 0x1000)
        return (head + load).ljust(0x1000, b"\0") + code

    def write(self, path):
        path.write_bytes(self.elf())
        return path


def end_program(value):
    """Writes @value to the finisher: 0x5555 passes, 0x7777 resets, 0x3333 | code << 16 fails."""
    p = Program()
    p.finish(value)
    return p


def idle_program():
    """Says that it is there, then waits for interrupts that never come."""
    p = Program()
    p.put("idle\n")
    p.label("again")
    p.wfi()
    p.jump("again")
    return p


def echo_program():
    """Sends back what it receives; "q" powers off."""
    p = Program()
    p.put("ready\n")
    p.li(T3, ord("q"))
    p.label("poll")
    p.lbu(T1, 5, T0)
    p.andi(T1, T1, 1)
    p.beq(T1, ZERO, "poll")
    p.lbu(T1, 0, T0)
    p.beq(T1, T3, "off")
    p.sb(T1, 0, T0)
    p.jump("poll")
    p.label("off")
    p.finish(0x5555)
    return p


def writer_program(mib, turns=0):
    """Writes @mib MiB over and over, a number a page, each by one larger than the last, with @turns of an empty loop
    between two. Echoes what it receives, but "?" with "+" if memory holds what it wrote, or "-"; "q" powers off."""
    at, base, size, page, number, want, here = 8, 9, 18, 19, 20, 21, 22
    p = Program()
    p.auipc(base, 0x100)
    p.lui(size, mib << 8)
    p.lui(page, 1)
    p.li(number, 0)
    p.li(at, 0)
    p.label("fill")
    p.add(here, base, at)
    p.sd(number, 0, here)
    p.addi(number, number, 1)
    p.add(at, at, page)
    p.beq(at, size, "filled")
    p.jump("fill")
    p.label("filled")
    p.put("ready\n")
    p.label("sweep")
    p.li(at, 0)
    p.label("again")
    p.beq(at, size, "sweep")
    p.add(here, base, at)
    p.sd(number, 0, here)
    p.addi(number, number, 1)
    p.add(at, at, page)
    if turns:
        p.li(T3, turns)
        p.label("turn")
        p.addi(T3, T3, -1)
        p.beq(T3, ZERO, "turned")
        p.jump("turn")
        p.label("turned")
    p.lbu(T1, 5, T0)
    p.andi(T1, T1, 1)
    p.beq(T1, ZERO, "again")
    p.lbu(T1, 0, T0)
    p.li(T3, ord("q"))
    p.beq(T1, T3, "off")
    p.li(T3, ord("?"))
    p.beq(T1, T3, "check")
    p.label("say")
    p.sb(T1, 0, T0)
    p.jump("again")
    p.label("check")  # backwards from the page that was written last
    p.addi(want, number, -1)
    p.add(here, base, at)
    p.sub(here, here, page)
    p.add(T3, base, ZERO)
    p.label("next")
    p.ld(T2, 0, here)
    p.beq(T2, want, "good")
    p.li(T1, ord("-"))
    p.jump("say")
    p.label("good")
    p.addi(want, want, -1)
    p.beq(here, base, "wrap")
    p.sub(here, here, page)
    p.jump("more")
    p.label("wrap")
    p.add(here, base, size)
    p.sub(here, here, page)
    p.label("more")
    p.add(T2, base, at)
    p.sub(T2, T2, page)
    p.beq(here, T2, "whole")
    p.jump("next")
    p.label("whole")
    p.li(T1, ord("+"))
    p.jump("say")
    p.label("off")
    p.finish(0x5555)
    return p
