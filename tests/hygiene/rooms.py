"""Who may include whom: the rooms of the house, and the include lines of a source tree held against them."""

import re
from pathlib import Path

# A room and the rooms that it may include directly; it may include theirs, too.
ROOMS = {
    "core": (),
    "token": ("core",),
    "seq": ("token",),
    "nn": ("seq",),
    "optim": ("core",),
    "dist": ("core",),
    "train": ("seq", "nn", "optim", "dist"),
    "text": ("token",),
    "env": ("seq",),
    "data": ("seq", "text", "env"),
    "act": ("nn", "data", "env"),
    "run": ("train", "data", "act"),
    "tools": ("run",),
}
# Rooms of mugato::core: they know LibTorch and header-only libraries, and nothing that has to be linked beside it.
CORE_ROOMS = {"core", "token", "seq", "nn", "optim", "dist", "train"}
LINKED_LIBRARIES = ("opencv2/", "gif_lib.h", "jpeglib.h", "png.h", "archive.h", "sentencepiece", "CLI/")

SOURCE_SUFFIXES = {".h", ".cpp", ".cu"}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


def allowed(room):
    """The rooms that `room` may include, itself among them."""
    reached, waiting = set(), [room]
    while waiting:
        if (next_room := waiting.pop()) not in reached:
            reached.add(next_room)
            waiting.extend(ROOMS[next_room])
    return reached


def room_of(path):
    """The room of a file, given relative to the root: src/nn/agent.cpp is in nn. None for files of no room."""
    parts = path.parts
    if parts[:2] == ("include", "mugato"):
        return parts[2] if len(parts) > 3 else None
    if parts[0] == "src":
        return parts[1] if len(parts) > 2 else None
    return "tools" if parts[0] == "tools" else None


def source_files(root, folders=("include", "src", "tools")):
    return sorted(p for f in folders for p in (root / f).rglob("*") if p.suffix in SOURCE_SUFFIXES)


def included_room(root, file, name):
    """The room that an include line reaches into; None for headers from outside of the project."""
    if name.startswith("mugato/"):
        return room_of(Path("include") / name)
    for base in (file.parent, root / "src"):
        if (target := (base / name).resolve()).is_file() and target.is_relative_to(root.resolve()):
            return room_of(target.relative_to(root.resolve()))
    return None


def violations(root):
    """One line for every include that the table forbids, and for every room that it does not know."""
    found = []
    for file in source_files(root):
        relative = file.relative_to(root)
        room = room_of(relative)
        if room is None:
            continue
        if room not in ROOMS:
            found.append(f"{relative}: there is no room '{room}'")
            continue
        for name in INCLUDE.findall(file.read_text()):
            target = included_room(root, file, name)
            if target is not None and target not in allowed(room):
                found.append(f"{relative} includes {name}: {room} may not include {target}")
            if room in CORE_ROOMS and name.startswith(LINKED_LIBRARIES):
                found.append(f"{relative} includes {name}: mugato::core links LibTorch alone")
    return found
