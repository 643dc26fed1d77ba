"""Checks the tables by which HDF5 finds objects, before HDF5 reads them.

HDF5 trusts these tables: a cycle in the free list of a local heap uses up the memory, a cycle in a B-tree the stack.
`check_structure` walks them within the file's bounds and visits every block once, so its time and memory are
proportional to the file.  It does not check values and attributes.

The layouts are those of the HDF5 File Format Specification, version 3.0, sections II to IV.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from struct import error as StructError  # noqa: N812 -- beside `StructureError`
from typing import BinaryIO, NamedTuple

UNDEFINED = (1 << 64) - 1
MAX_DEPTH = 32  # of groups in groups
GROUP_TREE, CHUNK_TREE = 0, 1
OLD_GROUP, SOFT_LINK = 1, 2  # what an entry of a symbol table caches

_SUPERBLOCK_0 = Struct("<8sBBBxBBBxHHI QQQQ QQI4xQQ")
_SUPERBLOCK_2 = Struct("<8sBBBBQQQQ")
_TREE = Struct("<4sBBHQQ")
_SYMBOLS = Struct("<4sBxH")
_SYMBOL = Struct("<QQI4xQQ")
_HEAP = Struct("<4sB3xQQQ")
_PAIR = Struct("<QQ")
_PREFIX_1 = Struct("<BxHII4x")
_MESSAGE_1 = Struct("<HHB3x")
_MESSAGE_2 = Struct("<BHB")

Tables = tuple[int, int]
"""Addresses of the B-tree and the local heap of a group in the older layout."""


class StructureError(OSError):
    """A table of an HDF5 file is damaged."""


class UnreadLayoutError(OSError):
    """An HDF5 file uses a layout that is not supported here."""


class _Group(NamedTuple):
    tables: Tables | None
    links: list[tuple[str, int]]  # in the newer layout: names and addresses


def check_structure(file: BinaryIO) -> None:
    """Raise `StructureError` if a table leads out of the file or in a circle, `UnreadLayoutError` for other layouts."""
    try:
        _Walk(file).run()
    except (StructError, IndexError, OverflowError) as error:
        raise StructureError(f"a table is cut off: {error}") from error


class _Walk:
    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = file.seek(0, 2)
        self.seen: set[int] = set()  # addresses of tables; each may have one owner
        self.objects: set[int] = set()  # addresses of groups, and of datasets whose header has several blocks

    def run(self) -> None:
        """Walk from the root group to everything that a hard link leads to."""
        root, cached = self.superblock()
        top = self.group(root, "")
        if top and cached and top.tables not in (None, cached):  # HDF5 falls back to the cached ones
            raise StructureError("the links of its root group are in two places")
        pending = [("", top)] if top else []
        while pending:
            path, group = pending.pop()
            for name, address in self.links(group):
                below = f"{path}/{name}"
                if address not in self.objects and (found := self.group(address, below)):
                    if below.count("/") > MAX_DEPTH:
                        raise StructureError(f"groups lie more than {MAX_DEPTH} deep: {below[:60]}...")
                    pending.append((below, found))

    def at(self, address: int, n_bytes: int) -> bytes:
        if address + n_bytes > self.size:
            raise StructureError(f"a table of {n_bytes:,} bytes lies at {address:,}, beyond the end")
        self.file.seek(address)
        return self.file.read(n_bytes)

    def once(self, address: int) -> int:
        """Return an address; raise StructureError if another table led to it before."""
        if address in self.seen:
            raise StructureError(f"two tables lead to the one at {address:,}")
        self.seen.add(address)
        return address

    def superblock(self) -> tuple[int, Tables | None]:
        """Return the address of the root group, and its tables if they are cached."""
        version = self.at(8, 1)[0]
        driver, extension, cached, n_chunks = UNDEFINED, UNDEFINED, None, 32
        if version in (0, 1):
            data = self.at(0, _SUPERBLOCK_0.size + 4 * version)
            if version == 1:  # has four more bytes: children of chunk B-trees
                n_chunks, data = int.from_bytes(data[24:26], "little"), data[:24] + data[28:]
            (*_, offsets, lengths, leaf, internal, _, base, _, end, driver, _, root, cache, tree, heap) = (
                _SUPERBLOCK_0.unpack(data)
            )
            cached = (tree, heap) if cache == OLD_GROUP else None
        elif version in (2, 3):
            _, _, offsets, lengths, _, base, extension, end, root = _SUPERBLOCK_2.unpack(self.at(0, 44))
            leaf, internal = 4, 16  # HDF5's defaults, for groups in the older layout
        else:
            raise UnreadLayoutError(f"its superblock has the unknown version {version}")
        if not (offsets and lengths):
            raise StructureError("its addresses have no bytes")
        if (offsets, lengths) != (8, 8) or base or (driver, extension) != (UNDEFINED, UNDEFINED):
            raise UnreadLayoutError("its superblock asks for a driver, an extension, a user block or unusual addresses")
        if end > self.size:
            raise StructureError(f"truncated: it has {self.size:,} bytes and should have {end:,}")
        self.max_symbols, self.max_children = 2 * leaf, {GROUP_TREE: 2 * internal, CHUNK_TREE: 2 * n_chunks}
        return root, cached

    # -- object headers ----------------------------------------------------------------------------------------------

    def group(self, address: int, path: str) -> _Group | None:
        """Check an object's header; return the places of its links if it is a group."""
        tables: list[Tables] = []
        links: list[tuple[str, int]] = []
        is_group = False
        for kind, flags, body in self.messages(address):
            if flags & 2:
                raise UnreadLayoutError(f"{path}: it shares its type with another object")
            if kind == 0x11:
                tables.append(_PAIR.unpack_from(body))
            elif kind == 0x06:
                links += _hard_link(body)
            elif kind == 0x02:
                is_group = True
                if _PAIR.unpack_from(body, 2 + 8 * (body[1] & 1))[0] != UNDEFINED:
                    raise UnreadLayoutError(f"{path or '/'}: its links are in a fractal heap")
            elif kind == 0x07:
                raise UnreadLayoutError(f"{path}: found a dataset that is kept in other files")
            elif kind == 0x08:
                self.layout(body, path)
            elif kind == 0x0C and body[0] > 1 and body[1] & 3:
                raise UnreadLayoutError(f"{path}: an attribute shares its type with an object")
            elif kind == 0x15 and _PAIR.unpack_from(body, 2 + 2 * (body[1] & 1))[0] != UNDEFINED:
                raise UnreadLayoutError(f"{path or '/'}: its attributes are in a fractal heap")
        if tables or links or is_group:
            self.objects.add(address)
            if len(tables) > 1:
                raise StructureError(f"{path or '/'}: its links are in two places")
            return _Group(tables[0] if tables else None, links)
        return None

    def messages(self, address: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield type, flags and content of the messages in an object's header."""
        head = self.at(address, 16)
        new = head.startswith(b"OHDR")
        if new:
            flags = head[5]
            start = address + 6 + 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
            width = 1 << (flags & 3)
            blocks = [(start + width, int.from_bytes(self.at(start, width), "little"))]
            prefix = _MESSAGE_2.size + 2 * bool(flags & 4)
        else:
            version, _, _, n_bytes = _PREFIX_1.unpack(head)
            if version != 1:
                raise StructureError(f"no object lies at {address:,}, where a link leads")
            blocks, prefix = [(address + 16, n_bytes)], _MESSAGE_1.size
        while blocks:
            start, n_bytes = blocks.pop()
            block = self.at(start, n_bytes)
            place = 0
            while place + prefix <= n_bytes:
                if new:
                    kind, n, flags = _MESSAGE_2.unpack_from(block, place)
                else:
                    kind, n, flags = _MESSAGE_1.unpack_from(block, place)
                place += prefix
                if kind == 0x10:
                    where, n_more = _PAIR.unpack_from(block, place)
                    self.objects.add(address)
                    blocks.append((self.once(where) + 4, n_more - 8) if new else (self.once(where), n_more))
                else:
                    yield kind, flags, block[place : place + n]
                place += n

    def layout(self, body: bytes, path: str) -> None:
        """Check the place of a dataset's values."""
        version = body[0]
        kind, ndim, where = (body[2], body[1], 8) if version < 3 else (body[1], body[2], 3)
        if version > 3 and kind == 3:
            raise UnreadLayoutError(f"{path}: found a dataset that is kept in other files")
        if version > 3 and kind == 2:
            raise UnreadLayoutError(f"{path}: its chunks are indexed in HDF5's newer layout")
        if kind == 2 and (tree := int.from_bytes(body[where : where + 8], "little")) != UNDEFINED:
            for key, chunk in self.leaves(tree, CHUNK_TREE, 8 + 8 * ndim):
                self.at(chunk + int.from_bytes(key[:4], "little"), 0)

    # -- links -------------------------------------------------------------------------------------------------------

    def links(self, group: _Group) -> Iterator[tuple[str, int]]:
        """Yield the hard links of a group: name and address."""
        yield from group.links
        if group.tables is None:
            return
        tree, heap = group.tables
        names = self.heap(heap)
        left = len(names)  # names lie side by side
        for _, node in self.leaves(tree, GROUP_TREE, 8):
            signature, version, n = _SYMBOLS.unpack(self.at(self.once(node), _SYMBOLS.size))
            if signature != b"SNOD" or version != 1 or n > self.max_symbols:
                raise StructureError(f"no symbol table lies at {node:,}, where a B-tree leads")
            for place, address, cache, _, _ in _SYMBOL.iter_unpack(self.at(node + 8, n * _SYMBOL.size)):
                end = names.find(b"\0", place, place + left)
                if end < 0:
                    raise StructureError(f"a name lies beyond the end of its heap at {heap:,}")
                left -= end - place
                if cache != SOFT_LINK:
                    yield names[place:end].decode("utf-8", "replace"), address

    def leaves(self, root: int, kind: int, key_bytes: int) -> Iterator[tuple[bytes, int]]:
        """Yield keys and addresses from the leaves of a B-tree of version 1."""
        pending: list[tuple[int, int | None]] = [(root, None)]
        while pending:
            address, expected = pending.pop()
            signature, found, level, n, _, _ = _TREE.unpack(self.at(self.once(address), _TREE.size))
            if signature != b"TREE" or found != kind or expected not in (None, level) or n > self.max_children[kind]:
                raise StructureError(f"no B-tree lies at {address:,}, where one should")
            entry = key_bytes + 8
            body = self.at(address + _TREE.size, n * entry + key_bytes)
            for start in range(0, n * entry, entry):
                key, child = body[start : start + key_bytes], body[start + key_bytes : start + entry]
                if level:
                    pending.append((int.from_bytes(child, "little"), level - 1))
                else:
                    yield key, int.from_bytes(child, "little")

    def heap(self, address: int) -> bytes:
        """Return the names of a local heap, after checking that its list of free blocks ends."""
        signature, version, n_bytes, free, where = _HEAP.unpack(self.at(self.once(address), _HEAP.size))
        if signature != b"HEAP" or version:
            raise StructureError(f"no heap lies at {address:,}, where a group has its names")
        names = self.at(self.once(where), n_bytes)
        for _ in range(n_bytes // _PAIR.size + 1):
            if free == 1:  # the mark at the end
                return names
            free, _ = _PAIR.unpack_from(names, free)
        raise StructureError(f"the free blocks of the heap at {address:,} form a circle")


def _hard_link(body: bytes) -> Iterator[tuple[str, int]]:
    """Yield name and address of a link in an object's header, unless it leads elsewhere."""
    flags = body[1]
    place = 2
    kind = body[place] if flags & 8 else 0
    place += bool(flags & 8) + 8 * bool(flags & 4) + bool(flags & 16)
    width = 1 << (flags & 3)
    n = int.from_bytes(body[place : place + width], "little")
    end = place + width + n
    if kind == 0:
        yield body[end - n : end].decode("utf-8", "replace"), int.from_bytes(body[end : end + 8], "little")
