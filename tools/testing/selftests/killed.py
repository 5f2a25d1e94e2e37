#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Make an extended SA with a program again and again, and kill it each time one step later.

    killed.py SPI PROGRAM WORD...

A step is the entry or the exit of a sendmsg(): the kernel does in it all that it is asked
for. A word that is SPI is one more in each run, and so is the beginning of a key that is made
of it (lib.sh's key_for()). Ends with the run that ends by itself, and
prints how many there were, and in how many an announcement was left alone (it is taken back).
The SA is to 10.0.0.2.
"""

import ctypes
import os
import signal
import sys

from genl import Family, Refused

PTRACE_TRACEME, PTRACE_PEEKUSER, PTRACE_SYSCALL, PTRACE_SETOPTIONS = 0, 3, 24, 0x4200
PTRACE_O_EXITKILL = 0x100000
ORIG_RAX, SENDMSG = 15 * 8, 46

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, pid=0, address=0, data=0):
    result = libc.ptrace(request, pid, address, data)
    if result == -1:
        raise OSError(ctypes.get_errno(), "ptrace")
    return result


def killed(words, step):
    """Whether it came to that step, counted from 0."""
    pid = os.fork()
    if not pid:
        ptrace(PTRACE_TRACEME)
        os.execvp(words[0], words)
    os.waitpid(pid, 0)
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL)
    seen = -1
    while seen < step:
        ptrace(PTRACE_SYSCALL, pid)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            return False
        seen += ptrace(PTRACE_PEEKUSER, pid, ORIG_RAX) == SENDMSG
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True


def renumbered(word, spi, now):
    """Of another SPI."""
    first = f"0x{int(spi):08x}"
    if word.startswith(first):
        return f"0x{int(now):08x}" + word.removeprefix(first)
    return now if word == spi else word


def withdrawn(module, spi):
    """Whether there was an announcement to be taken back."""
    try:
        list(module.request(["withdraw", "family=2", "daddr=10.0.0.2", f"spi={spi}"]))
    except Refused:
        return False
    return True


def main():
    spi, *words = sys.argv[1:]
    module = Family()
    runs = pending = 0
    while True:
        now = str(int(spi) + runs)
        runs += 1
        there = killed([renumbered(word, spi, now) for word in words], runs - 1)
        pending += withdrawn(module, now)
        if not there:
            break
    print(runs, pending)


main()
