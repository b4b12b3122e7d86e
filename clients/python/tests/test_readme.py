"""The README's program, as pasted."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

from conftest import World, play, vector_key

from tidegate_client import SharedKey
from tidegate_client.base64url import encode

README = Path(__file__).resolve().parents[1] / "README.md"


def first_program() -> str:
    found = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found.group(1)


def test_first_program_has_at_most_15_lines() -> None:
    assert len(first_program().strip().splitlines()) <= 15


def test_first_program_runs_as_pasted() -> None:
    key = vector_key("secret")
    assert isinstance(key, SharedKey)
    settings = {"TIDEGATE_KID": key.kid, "TIDEGATE_SECRET": encode(key.secret)}

    async def scenario(world: World) -> tuple[bytes, str]:
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", first_program()),
            env={**os.environ, **settings, "TIDEGATE_URL": world.url},
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await program.communicate()
        return output, (await world.ending())["ending"]

    output, ending = play(scenario)
    assert output == b"hello\n"
    assert ending == "closed 1000"
