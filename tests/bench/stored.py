#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""usage: stored.py DIR STAGE VOLUME...

How many blocks of 4 KiB the files of these volumes have, and in how many blocks of
the device they are. DIR has of each volume, all for one stage: the output of xfs_io's
fsmap -m, the inode numbers of the files, and, unless the file system is on the device
itself, the output of daxcow map --bytes. What is not mapped there is stored nowhere.
Prints JSON.
"""
import array
import json
import os
import sys

SECTORS = 8


def pool_blocks(name):
    """Of each block of a volume, where it is in the pool."""
    place = array.array("q")
    with open(name, encoding="ascii") as text:
        next(text)
        for line in text:
            offset, length, block = map(int, line.split())
            offset, length = offset // 4096, length // 4096
            place.extend([-1] * (offset - len(place)))
            place.extend(range(block, block + length))
    return place


def file_extents(fsmap, inodes):
    """Blocks of the file system: where, how many."""
    with open(fsmap, encoding="ascii") as text:
        next(text)
        for line in text:
            f = line.strip().split(",")
            owner = f[5].split("_")
            if owner[0] == "inode" and owner[2] == "data" and owner[1] in inodes:
                start, end = int(f[3]), int(f[4]) + 1
                yield start // SECTORS, (end - start) // SECTORS


def main(directory, stage, volumes):
    files = 0
    stored = set()
    for v in volumes:
        name = os.path.join(directory, "{}." + f"{stage}.{v}")
        with open(name.format("inodes"), encoding="ascii") as text:
            inodes = {line.strip() for line in text}
        place = None
        if os.path.exists(name.format("map")):
            place = pool_blocks(name.format("map"))
        for start, nr in file_extents(name.format("fsmap"), inodes):
            files += nr
            if place is None:
                stored.update(range(start, start + nr))
            else:
                stored.update(place[start:start + nr])
    stored.discard(-1)
    print(json.dumps({"files": files, "stored": len(stored)}))


main(sys.argv[1], sys.argv[2], sys.argv[3:])
