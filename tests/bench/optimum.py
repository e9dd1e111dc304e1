#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""usage: optimum.py TAR...

What can be freed of the files in these tars together, when they are cut into
blocks of 4 KiB as a file system stores them: the tail filled up with zeroes. A
block of zeroes is freed, of the others one of each content stays. Prints JSON.
"""
import collections
import hashlib
import json
import sys
import tarfile

BLOCK = 4096
CHUNK = 512 * BLOCK
OWNERS = 256
ZERO = hashlib.blake2b(bytes(BLOCK), digest_size=16).digest()


def digests(data):
    """Of each block of a file."""
    whole = len(data) // BLOCK * BLOCK
    for at in range(0, whole, BLOCK):
        yield hashlib.blake2b(data[at:at + BLOCK], digest_size=16).digest()
    if whole < len(data):
        tail = data[whole:].ljust(BLOCK, b"\0")
        yield hashlib.blake2b(tail, digest_size=16).digest()


def files(names):
    for name in names:
        with tarfile.open(name) as tar:
            for member in tar:
                if member.isreg():
                    yield tar.extractfile(member).read()


def main(names):
    blocks = collections.Counter()
    chunks = collections.Counter()
    nr_files = 0
    for data in files(names):
        nr_files += 1
        blocks.update(digests(data))
        for at in range(0, len(data) // CHUNK * CHUNK, CHUNK):
            piece = hashlib.blake2b(data[at:at + CHUNK], digest_size=16)
            chunks[piece.digest()] += 1
    zeroes = blocks.pop(ZERO, 0)
    total = zeroes + blocks.total()
    kept = sum(-(-n // OWNERS) for n in blocks.values())
    print(json.dumps({
        "files": nr_files,
        "blocks": total,
        "zeroes": zeroes,
        "optimum": total - len(blocks),
        "optimum_cap": total - kept,
        "most_owners": max(blocks.values(), default=0),
        "by_2m": 512 * (chunks.total() - len(chunks)),
    }))


main(sys.argv[1:])
