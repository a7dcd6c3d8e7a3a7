// Drives every tool of `gco mcp` and the Tasks extension's methods with the official TypeScript SDK. Called with the path of gco
// and a directory of its own.

import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { LoggingMessageNotificationSchema, ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { appendFileSync } from "node:fs";
import { z } from "zod";

const [gco, home] = process.argv.slice(2);
const env = { GCO_TASK_STATUS_DIR: `${home}/tasks`, HOME: home, PATH: process.env.PATH };
const extension = { extensions: { "io.modelcontextprotocol/tasks": {} } };

async function connect(args, capabilities = {}) {
  const client = new Client({ name: "typescript", version: "1" }, { capabilities });
  await client.connect(new StdioClientTransport({ command: gco, args: ["mcp", ...args], env, cwd: home }));
  return client;
}

async function call(client, name, args, failed = false) {
  const result = await client.callTool({ name, arguments: args }, undefined, { timeout: 130_000 });
  assert.equal(Boolean(result.isError), failed, JSON.stringify(result));
  return result.structuredContent;
}

const client = await connect(["--allow-run", "--allow-prune"]);
const logs = [];
const updates = [];
client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logs.push(params.data));
client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void updates.push(params.uri));
const { tools } = await client.listTools();
assert.equal(tools.length, 9);

const script = "echo one; test -n \"$GOOD\" || { echo 'error: it broke' >&2; exit 3; }";
const run = { argv: ["sh", "-c", script], name: "ts", wait_seconds: 60 };
assert.equal((await call(client, "task_run", { ...run, env: { GOOD: "1" } })).output, "[stdout] one\n");
const bad = await call(client, "task_run", run, true);
assert.equal(bad.exit_code, 3);
assert.deepEqual(logs, ["error: it broke"]);
assert.equal((await call(client, "task_status", { task: "ts" })).task_id, bad.task_id);
assert.equal((await call(client, "task_list", { name: "ts" })).tasks.length, 2);
assert.equal((await call(client, "task_tail", { task: "ts", stream: "stdout" })).output, "[stdout] one\n");
assert.equal((await call(client, "task_why", { task: "ts" })).reason.causes[0].text, "error: it broke");
assert.equal((await call(client, "task_diff", { task: "ts" })).parting.here.text, "error: it broke");
const long = await call(client, "task_run", { argv: ["until test -e more; do sleep 0.05; done; echo more; exec sleep 600"], shell: true, wait_seconds: 0 });
await client.subscribeResource({ uri: `gco://tasks/${long.task_id}/log` });
appendFileSync(`${home}/more`, "");
const progress = [];
const waited = await client.callTool({ name: "task_wait", arguments: { task: long.task_id, until: ["silent:6s"], since: "start" } }, undefined, {
  onprogress: (one) => progress.push(one.progress),
});
assert.equal(waited.structuredContent.fired, "silent:6s");
assert.equal(waited.structuredContent.output, "[stdout] more\n");
assert.ok(progress.length > 0, "no progress while it waited");
assert.deepEqual(updates.slice(0, 1), [`gco://tasks/${long.task_id}/log`]);
// Whoever gives up waiting leaves the task alone.
const given_up = new AbortController();
const wait = client.callTool({ name: "task_wait", arguments: { task: long.task_id } }, undefined, { signal: given_up.signal });
given_up.abort("enough");
await assert.rejects(wait);
assert.equal((await call(client, "task_status", { task: long.task_id })).state, "running");
assert.equal((await call(client, "task_cancel", { task: long.task_id })).cancelled, true);
// The last of the three may still have somebody who tidies up after it.
const removed = (await call(client, "task_prune", { keep: 0, dry_run: true })).removed;
assert.ok(removed.length >= 2, JSON.stringify(removed));
await client.close();
console.log("TypeScript SDK: every tool is well");

const knowing = await connect(["--allow-run"], extension);
const any = z.object({}).passthrough();
const created = await knowing.request({ method: "tools/call", params: { name: "task_run", arguments: { argv: ["echo", "done"] } } }, any);
assert.equal(created.resultType ?? "task", "task");
let task;
do {
  task = await knowing.request({ method: "tasks/get", params: { taskId: created.taskId } }, any);
} while (task.status === "working");
assert.equal(task.status, "completed");
assert.equal(task.result.structuredContent.output, "[stdout] done\n");
await knowing.close();
console.log("TypeScript SDK: tasks are well");
