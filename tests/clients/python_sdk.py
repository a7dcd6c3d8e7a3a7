"""Drives every tool of `gco mcp` and the Tasks extension with the official Python SDK.

As a client of before 2026-07-28 and as one of 2026-07-28, over stdio and over HTTP. Called with the path of gco and a
directory of its own.
"""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

from mcp.client import Client, ClientExtension, ResultClaim
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp_types import CallToolResult, Request, Result

GCO, HOME = sys.argv[1], Path(sys.argv[2])
ENV = {"GCO_TASK_STATUS_DIR": str(HOME / "tasks"), "HOME": str(HOME), "PATH": os.environ["PATH"]}
TASKS = "io.modelcontextprotocol/tasks"
LOOKS = ["task_status", "task_list", "task_tail", "task_wait", "task_why", "task_diff"]


def server(*options: str) -> StdioServerParameters:
    return StdioServerParameters(command=GCO, args=["mcp", *options], env=ENV, cwd=HOME)


class Created(Result):
    """What a call is answered with that has become a task."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: str


class Answer(Result):
    """The answer to a method of the extension, whatever is in it."""

    model_config = {"extra": "allow"}


class Method(Request[dict[str, Any], str]):
    name_param = "taskId"


async def ask(session: Any, method: str, task: str) -> dict[str, Any]:
    answer = await session.send_request(Method(method=method, params={"taskId": task}), Answer)
    return answer.model_dump(by_alias=True)


class Tasks(ClientExtension):
    """The client's half of the Tasks extension: it asks until the task is over, and takes its result."""

    identifier = TASKS

    def __init__(self) -> None:
        self.seen: list[str] = []

    def claims(self) -> list[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=Created, resolve=self.resolve)]

    async def resolve(self, created: Created, context: Any) -> CallToolResult:
        self.seen.append(created.task_id)
        while True:
            task = await ask(context.session, "tasks/get", created.task_id)
            if task["status"] != "working":
                return CallToolResult.model_validate(task["result"])
            await asyncio.sleep(task["pollIntervalMs"] / 1000)


async def call(client: Client, tool: str, failed: bool = False, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert bool(result.is_error) == failed, result
    assert result.content[0].text
    return result.structured_content


async def every_tool(client: Client, name: str) -> None:
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert sorted(tools) == sorted([*LOOKS, "task_run", "task_cancel", "task_prune"]), tools
    assert all(tools[tool].annotations.read_only_hint for tool in LOOKS)
    flag = HOME / name
    script = f"echo one; test -e {flag} || {{ echo 'error: it broke' >&2; exit 3; }}"
    run = {"argv": ["sh", "-c", script], "name": name, "wait_seconds": 60}
    flag.touch()
    good = await call(client, "task_run", **run)
    assert (good["state"], good["exit_code"], good["output"]) == ("succeeded", 0, "[stdout] one\n"), good
    assert good["labels"]["via"] == "mcp"
    flag.unlink()
    bad = await call(client, "task_run", failed=True, **run)
    assert bad["exit_code"] == 3 and bad["reason"]["causes"][0]["text"] == "error: it broke", bad
    assert (await call(client, "task_status", task=bad["task_id"]))["state"] == "failed"
    assert (await call(client, "task_why", task=name))["task_id"] == bad["task_id"]
    listed = await call(client, "task_list", name=name, states=["failed"], limit=1)
    assert [task["task_id"] for task in listed["tasks"]] == [bad["task_id"]]
    assert (await call(client, "task_tail", task=name, lines=1))["output"] == "[stderr] error: it broke\n"
    assert (await call(client, "task_diff", task=name))["parting"]["here"]["text"] == "error: it broke"
    long = await call(client, "task_run", argv=["echo begun; exec sleep 600"], shell=True, name=f"{name}-long", wait_seconds=0)
    waited = await call(client, "task_wait", task=long["task_id"], until=["match:begun"], since="start")
    assert waited["fired"] == "match:begun", waited
    again = await call(client, "task_wait", task=long["task_id"], since=waited["cursor"], timeout_seconds=0.1)
    assert (again["fired"], again["output"]) == ("timeout", ""), again
    assert (await call(client, "task_cancel", task=f"{name}-long"))["cancelled"]
    read = await client.read_resource(f"gco://tasks/{bad['task_id']}/log")
    assert "[stderr] error: it broke" in read.contents[0].text
    assert any(str(one.uri) == f"gco://tasks/{bad['task_id']}" for one in (await client.list_resources()).resources)
    assert len((await call(client, "task_prune", keep=0, dry_run=True))["removed"]) >= 3


async def old() -> None:
    logs, progress = [], []

    async def log(params: Any) -> None:
        logs.append(params.data)

    async def told(done: float, total: float | None, message: str | None) -> None:
        progress.append((done, message))

    options = ["--allow-run", "--allow-prune"]
    async with Client(server(*options), mode="legacy", logging_callback=log) as client:
        await every_tool(client, "old")
        arguments = {"argv": ["echo careful >&2; sleep 1"], "shell": True, "wait_seconds": 60}
        await client.call_tool("task_run", arguments, progress_callback=told)
        assert logs[-1] == "careful" and progress and "is running" in progress[0][1], (logs, progress)
    # Without any option it looks, and nothing more.
    async with Client(server(), mode="legacy") as client:
        assert sorted(tool.name for tool in (await client.list_tools()).tools) == sorted(LOOKS)
        assert (await client.call_tool("task_run", {"argv": ["true"]})).is_error


async def new() -> None:
    async with Client(server("--allow-run", "--allow-prune")) as client:
        assert client.protocol_version == "2026-07-28", client.protocol_version
        await every_tool(client, "new")


async def tasks() -> None:
    extension = Tasks()
    async with Client(server("--allow-run"), extensions=[extension]) as client:
        done = await call(client, "task_run", argv=["sh", "-c", "sleep 1; echo done"])
        assert done["output"] == "[stdout] done\n" and extension.seen == [done["task_id"]], done
        long = await client.session.call_tool("task_run", {"argv": ["sleep", "600"]}, allow_claimed=True)
        assert (await ask(client.session, "tasks/get", long.task_id))["status"] == "working"
        await ask(client.session, "tasks/cancel", long.task_id)
        while (task := await ask(client.session, "tasks/get", long.task_id))["status"] == "working":
            await asyncio.sleep(0.05)
        assert task["status"] == "cancelled", task


async def killed() -> None:
    """The server is killed while its task runs. The next one finds it."""
    script = f"until test -e {HOME}/go; do sleep 0.05; done; echo done"
    started = None
    try:
        async with Client(server("--allow-run"), extensions=[Tasks()]) as client:
            started = await client.session.call_tool("task_run", {"argv": [script], "shell": True}, allow_claimed=True)
            servers = subprocess.run(["pgrep", "-P", str(os.getpid()), "-f", "gco mcp"], capture_output=True, text=True)
            for pid in servers.stdout.split():
                os.kill(int(pid), signal.SIGKILL)
            await ask(client.session, "tasks/get", started.task_id)
    except Exception:
        assert started is not None
    else:
        raise AssertionError("the server was not killed")
    async with Client(server(), extensions=[Tasks()]) as client:
        assert (await ask(client.session, "tasks/get", started.task_id))["status"] == "working"
        (HOME / "go").touch()
        assert (await call(client, "task_wait", task=started.task_id))["state"] == "succeeded"
        task = await ask(client.session, "tasks/get", started.task_id)
        assert task["status"] == "completed" and task["result"]["structuredContent"]["output"] == "[stdout] done\n", task


async def http() -> None:
    command = [GCO, "mcp", "--allow-run", "--allow-prune", "--http", "127.0.0.1:0"]
    with subprocess.Popen(command, env=ENV, cwd=HOME, stdout=subprocess.PIPE, text=True) as listening:
        try:
            url, token = (listening.stdout.readline().split()[1] for _ in range(2))
            for mode in ["legacy", "auto"]:
                async with create_mcp_http_client(headers={"Authorization": f"Bearer {token}"}) as known:
                    async with Client(streamable_http_client(url, http_client=known), mode=mode) as client:
                        await every_tool(client, f"http-{mode}")
            try:
                async with Client(url):
                    raise AssertionError("served without a token")
            except* AssertionError:
                raise
            except* Exception:
                pass
        finally:
            listening.terminate()


async def main() -> None:
    for part in [old, new, tasks, killed, http]:
        async with asyncio.timeout(120):
            await part()
        print(f"Python SDK: {part.__name__} is well")


asyncio.run(main())
