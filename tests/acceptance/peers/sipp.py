"""SIPp, another SIP implementation, with scenarios of its own and of ours."""

from __future__ import annotations

from pathlib import Path

from ..ports import signalling_port
from ..process import Program

SCENARIOS = Path(__file__).resolve().parents[2] / "sipp"


async def run(arguments: list[str], gateway_port: int, folder: Path, transport: str = "u1") -> tuple[int, str]:
    """One call; SIPp's exit status and the messages it saw."""
    folder.mkdir(parents=True, exist_ok=True)
    messages = folder / "sipp-messages.log"
    program = Program(
        "sipp",
        [
            "sipp", *arguments, "-s", "juliet", "-m", "1", "-l", "1", "-t", transport, "-i", "127.0.0.1",
            "-p", str(signalling_port()), "-timeout", "20s", "-timeout_error", "-nostdin",
            "-trace_msg", "-message_file", str(messages), f"127.0.0.1:{gateway_port}",
        ],
        folder / "sipp.log",
        {"TERM": "dumb"},
    )  # fmt: skip
    await program.start(cwd=folder)
    try:
        status = await program.wait(30.0)
    except TimeoutError:
        await program.kill()
        status = -1
    return status, messages.read_text("utf-8", "replace") if messages.exists() else program.log_text()
