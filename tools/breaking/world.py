"""A world with faults for programs: a small library that is loaded before the C library's own.

It sets the wall clock, fills disks, makes them slow, and fills shared memory, at once and for as long as it is told to.
No right is needed for that, and no other program of the machine is touched.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from egostream.errors import EgostreamError

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct world { volatile long long clock_s, disk_is_full, disk_delay_ms, memory_is_full; };

static struct world *world(void) {
    static struct world *shared, calm;
    if (!shared) {
        int file = open(getenv("EGOSTREAM_WORLD"), O_RDONLY | O_CLOEXEC);
        void *map = file < 0 ? MAP_FAILED : mmap(0, sizeof *shared, PROT_READ, MAP_SHARED, file, 0);
        if (file >= 0) close(file);
        shared = map == MAP_FAILED ? &calm : map;
    }
    return shared;
}

#define REAL(name) ({ static typeof(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name); real; })

int clock_gettime(clockid_t clock, struct timespec *at) {
    int result = REAL(clock_gettime)(clock, at);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) at->tv_sec += world()->clock_s;
    return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

static int is_on_disk(int file) {
    struct stat about;
    return (world()->disk_is_full || world()->disk_delay_ms) && !fstat(file, &about) && S_ISREG(about.st_mode);
}

static void dawdle(void) {
    struct timespec pause = {world()->disk_delay_ms / 1000, world()->disk_delay_ms % 1000 * 1000000};
    nanosleep(&pause, 0);
}

ssize_t write(int file, const void *data, size_t size) {
    if (is_on_disk(file)) {
        if (world()->disk_is_full) { errno = ENOSPC; return -1; }
        dawdle();
    }
    return REAL(write)(file, data, size);
}

ssize_t read(int file, void *data, size_t size) {
    if (world()->disk_delay_ms && is_on_disk(file)) dawdle();
    return REAL(read)(file, data, size);
}

int posix_fallocate(int file, off_t offset, off_t size) {
    return world()->memory_is_full ? ENOSPC : REAL(posix_fallocate)(file, offset, size);
}
"""
LAYOUT = "4q"


class World:
    """The world of programs that are started with ``environment``; calm at first.

    Raises EgostreamError where it cannot be made: it needs Linux and gcc.
    """

    def __init__(self, folder: Path):
        self.clock_s = self.disk_is_full = self.disk_delay_ms = self.memory_is_full = 0
        source, library, self.state = folder / "world.c", folder / "world.so", folder / "world"
        source.write_text(SOURCE)
        self.state.write_bytes(bytes(struct.calcsize(LAYOUT)))
        compiler = shutil.which("gcc")
        if compiler is None:
            raise EgostreamError("clocks and disks are broken by a library that gcc compiles: apt-get install gcc")
        command = [compiler, "-shared", "-fPIC", "-O1", "-w", "-o", str(library), str(source), "-ldl"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise EgostreamError(f"the library that breaks clocks and disks cannot be compiled: {done.stderr[:200]}")
        self.environment = {"LD_PRELOAD": str(library), "EGOSTREAM_WORLD": str(self.state)}

    def change(self, **values: int) -> None:
        """Change it, for all its programs at once.

        clock_s: how far ahead of the true time the wall clock is. disk_is_full, memory_is_full: 0 or 1.
        disk_delay_ms: how long each reading and writing of a file takes more.
        """
        vars(self).update(values)
        with open(self.state, "r+b") as file:  # in place: it is mapped
            data = struct.pack(LAYOUT, self.clock_s, self.disk_is_full, self.disk_delay_ms, self.memory_is_full)
            file.write(data)


def world_or_none() -> World | None:
    """A world, where one can be made here."""
    try:
        return World(Path(tempfile.mkdtemp(prefix="egostream-world-")))
    except (EgostreamError, OSError):
        return None
