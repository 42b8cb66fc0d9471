# SPDX-License-Identifier: Apache-2.0
"""The runner of the documents finds what is wrong in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from walkthrough import Walk, chapters

GOOD = """
# Title

<!-- skip: takes ten minutes -->

```sh
exit 1
```

```sh
mkdir -p work && cd work
cat > file <<'END'
one
END
for word in a b; do
    echo "$word" >> file
done
```

```console
$ cat file
one
…
b
$ value=$(head -n 1 file)

$ printf '%s  %s\\n' \\
    "$value" 2026-01-02
one    2027-03-04
$ pwd
/home/alex/work
```

<!-- status: 0 3 -->

```console
$ echo http://127.0.0.1:4711/
http://127.0.0.1:8080/
$ echo "the port is not 8080" >&2; (exit 3)
the port is not 4711
```

<!-- terminal: other -->

```console
$ pwd; touch work/started; echo ready; sleep 600
/home/alex
ready
```

```sh
test -e started
```

<!-- terminal: other -->

```console
$ echo again; sleep 600
again
```

## Chapter

```console
$ ls -A
```
"""


def walk(text: str, home: Path, chapter: str | None = None) -> None:
    document = home / "document.md"
    document.write_text(text)
    Walk(document, home, Path("/bin/false"), chapter, seconds=3).run()


def test_a_right_document(tmp_path: Path) -> None:
    walk(GOOD.replace("$ ls -A\n", "$ ls -A\nfile\nstarted\n"), tmp_path)


def test_a_chapter_alone(tmp_path: Path) -> None:
    assert chapters(GOOD) == ["Chapter"]
    walk(GOOD, tmp_path, "Chapter")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("one\n…\nb\n", "one\n…\nc\n"),
        ("one\n…\nb\n", "one\nb\n"),
        ("one    2027-03-04", "one    today"),
        ("one    2027-03-04", "one  2027-03-04\nmore"),
        ("one    2027-03-04\n", ""),
        ("<!-- status: 0 3 -->", ""),
        ("<!-- status: 0 3 -->", "<!-- status: 1 3 -->"),
        ("test -e started", "test -e missing"),
        ("ready\n", "not ready\n"),
        ("$ value=", "$ MISSING "),
    ],
)
def test_a_wrong_document(tmp_path: Path, right: str, wrong: str) -> None:
    assert GOOD.count(right) == 1
    with pytest.raises(AssertionError, match=rf"^document\.md:\d+: "):
        walk(GOOD.replace(right, wrong), tmp_path)
