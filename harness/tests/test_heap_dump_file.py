"""The heap dump that SH_HEAPDUMP names, as JSON, is whole and adds up; with both forms of the
library, whose own frames it leaves out.

What is counted is tested in allocator/tests/test_heap_dump.c.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.tests import linked

PROGRAM = r"""
#include <spanheap.h>
#define PLACE __attribute__((noinline, noclone))
struct entry { struct entry *next; long key; };
static const struct sh_type entry_type =
    {"struct entry \"quoted\\\" \xc3\xa9\xff", sizeof(struct entry), (const uint64_t[]){1}, 0};
static struct entry *volatile kept;
PLACE void *make_entry(void)
{
    void *p = sh_alloc_typed(&entry_type);
    SH_KEEP_ALIVE(p);
    return p;
}
PLACE void keep_entries(void)
{
    for (int i = 0; i < 1000; i++) {
        struct entry *e = make_entry();
        e->next = kept;
        kept = e;
    }
}
int main(void)
{
    keep_entries();
    return 0;
}
"""
NAME = 'struct entry "quoted\\" \u00e9?'  # what is not UTF-8 is a question mark


@pytest.fixture(scope="module", params=linked.KINDS)
def dump(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("dump")
    path = folder / "dump.json"
    linked.run(folder, PROGRAM, request.param, SH_HEAPDUMP=str(path), SH_PROFILE_RATE="1")
    return json.loads(path.read_text(encoding="utf-8"))


def test_json_is_whole_and_adds_up(dump: Any) -> None:
    assert dump["v"] == 1
    for key in ("bytes", "objects"):
        assert sum(root[key] for root in dump["roots"]) == dump[key]
        assert sum(row[key] for row in dump["types"]) == dump[key]
    sizes = [row["bytes"] for row in dump["types"]]
    assert sizes == sorted(sizes, reverse=True)


def test_type_has_its_objects_and_the_place_of_allocation(dump: Any) -> None:
    row = next(row for row in dump["types"] if row["type"] == NAME)
    assert (row["kind"], row["objects"], row["bytes"]) == ("typed", 1000, 16000)
    assert [(site["objects"], site["stack"][:2]) for site in row["sites"]] == [
        (1000, ["make_entry", "keep_entries"])]
    globals_ = next(root for root in dump["roots"] if root["root"] == "global variables")
    assert globals_["objects"] >= 1000
