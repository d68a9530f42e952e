// The reference server on the official TypeScript SDK 2.x, both eras, at /mcp of 127.0.0.1:PORT. What it offers stands in
// offered.json, for the one on the Python SDK as well. Run as a process of its own: `node typescript_reference.mjs PORT`.
import { randomBytes, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { setTimeout as pause } from "node:timers/promises";

const require = createRequire(new URL("../../node/package.json", import.meta.url));
const sdk = require("@modelcontextprotocol/server");
const { toNodeHandler, localhostHostValidation, localhostOriginValidation } = require("@modelcontextprotocol/node");

const NAME = "typescript-reference";
const TASKS = "io.modelcontextprotocol/tasks";
const RETRY_MS = 100;
const PAUSE_MS = 20;
const CLOSED_MS = 200;
const BRIEFLY_S = 0.2;
const NEEDED = { "elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots" };
const ANYTHING = { "~standard": { version: 1, vendor: NAME, validate: (value) => ({ value }) } };

const port = Number(process.argv[2]);
const offered = JSON.parse(readFileSync(new URL("offered.json", import.meta.url), "utf8"));
const states = sdk.createRequestStateCodec({ key: randomBytes(32) });
const tasks = new Map();

const pick = (entry, keys) => Object.fromEntries(keys.filter((key) => key in entry).map((key) => [key, entry[key]]));
const invalid = (message, data) => new sdk.ProtocolError(-32602, message, data);
const named = (entries, name) => {
  const found = entries.find((entry) => entry.name === name);
  if (found === undefined) throw invalid(`Unknown name: ${name}`);
  return found;
};

// The same with `{name}` in its strings replaced.
function filled(within, values) {
  if (typeof within === "string") {
    return Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`{${name}}`, String(value)), within);
  }
  if (Array.isArray(within)) return within.map((each) => filled(each, values));
  if (within === null || typeof within !== "object") return within;
  return Object.fromEntries(Object.entries(within).map(([key, each]) => [key, filled(each, values)]));
}

const declared = (server, ctx) =>
  ctx.mcpReq.envelope?.["io.modelcontextprotocol/clientCapabilities"] ?? server.getClientCapabilities() ?? {};

function require_(server, ctx, required) {
  const has = declared(server, ctx);
  const missing = Object.keys(required).some((key) => !(key in has)) ||
    Object.keys(required.extensions ?? {}).some((key) => !(key in (has.extensions ?? {})));
  if (missing) throw new sdk.ProtocolError(-32021, "This needs more of its client", { requiredCapabilities: required });
}

// What is still to be asked, if anything: state names the round that the responses are for.
async function nextRound(server, ctx, entry) {
  const rounds = entry.rounds ?? [];
  const state = ctx.mcpReq.requestState();
  const asked = Math.max(0, rounds.findIndex((round) => round.state === state));
  for (const round of rounds.slice(asked)) {
    const able = declared(server, ctx);
    const asks = Object.fromEntries(Object.entries(round.ask).filter(([, ask]) => NEEDED[ask.method] in able));
    const given = ctx.mcpReq.inputResponses ?? {};
    if (round === rounds[asked] && Object.keys(asks).every((key) => key in given)) continue;
    const requestState = round.state === undefined ? undefined : await states.mint(round.state, ctx);
    return sdk.inputRequired({ inputRequests: asks, ...(requestState === undefined ? {} : { requestState }) });
  }
  return undefined;
}

// What forms were filled in with, by the key of the request: the first value of each.
function answered(ctx) {
  const forms = Object.entries(ctx.mcpReq.inputResponses ?? {});
  return Object.fromEntries(forms.map(([key, form]) => [key, Object.values(form.content ?? {})[0] ?? ""]));
}

// On the stream of the call. The SDK's own ways to ask take the session's stream, which a client may not have opened yet.
async function ask(ctx, about, values) {
  const answer = await ctx.mcpReq.send({ method: about.method, params: filled(about.params, values) });
  return { content: [{ type: "text", text: JSON.stringify(answer) }] };
}

async function meanwhile(ctx, tool, changed) {
  for (const message of tool.logs ?? []) {
    await ctx.mcpReq.log("info", message, NAME);
    await pause(PAUSE_MS);
  }
  const progressToken = ctx.mcpReq._meta?.progressToken;
  for (const progress of progressToken === undefined ? [] : (tool.progress ?? [])) {
    await ctx.mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total: 100 } });
    await pause(PAUSE_MS);
  }
  if (tool.closes && ctx.http?.closeSSE !== undefined) {
    ctx.http.closeSSE();
    await pause(CLOSED_MS);
  }
  if (tool.changes !== undefined) changed(tool.changes);
}

// How a task stands follows from the time and from what it still waits for.
function statusOf(task) {
  if (task.cancelled) return "cancelled";
  if (Object.keys(task.asks).length > 0) return "input_required";
  if (Date.now() < task.dueMs) return "working";
  return task.error === undefined ? "completed" : "failed";
}

const stands = (task) => ({
  taskId: task.taskId, status: statusOf(task), createdAt: task.created, lastUpdatedAt: new Date().toISOString(),
  ttlMs: 600_000, pollIntervalMs: 100,
});

function begun(tool, values, answer) {
  const lastsS = Number(values[tool.task.lasts] ?? BRIEFLY_S);
  const task = {
    taskId: randomUUID(), dueMs: Date.now() + lastsS * 1000, created: new Date().toISOString(), answer,
    error: tool.task.error, asks: filled(tool.task.ask ?? {}, values), cancelled: false,
  };
  tasks.set(task.taskId, task);
  return { resultType: "task", ...stands(task) };
}

async function callTool(server, ctx, params, changed) {
  const tool = named(offered.tools, params.name);
  if (tool.needs !== undefined) require_(server, ctx, { [tool.needs]: {} });
  const more = await nextRound(server, ctx, tool);
  if (more !== undefined) return more;
  const values = { ...params.arguments, ...answered(ctx) };
  if (tool.asks !== undefined) return await ask(ctx, tool.asks, values);
  await meanwhile(ctx, tool, changed);
  const answer = filled(tool.answer, values);
  const able = declared(server, ctx).extensions ?? {};
  if (tool.task === undefined || (!tool.task.required && !(TASKS in able))) return answer;
  require_(server, ctx, { extensions: { [TASKS]: {} } });
  return begun(tool, values, answer);
}

function serveTasks(server) {
  const of = (ctx, params) => {
    require_(server, ctx, { extensions: { [TASKS]: {} } });
    const task = tasks.get(params.taskId);
    if (task === undefined) throw invalid("Unknown task");
    return task;
  };
  server.setRequestHandler("tasks/get", { params: ANYTHING }, (params, ctx) => {
    const task = of(ctx, params);
    const told = { resultType: "complete", ...stands(task) };
    if (told.status === "completed") told.result = task.answer;
    if (told.status === "failed") told.error = task.error;
    if (told.status === "input_required") told.inputRequests = task.asks;
    return told;
  });
  server.setRequestHandler("tasks/update", { params: ANYTHING }, (params, ctx) => {
    const task = of(ctx, params);
    const given = params.inputResponses ?? ctx.mcpReq.inputResponses ?? {};
    task.asks = Object.fromEntries(Object.entries(task.asks).filter(([key]) => !(key in given)));
    return { resultType: "complete" };
  });
  server.setRequestHandler("tasks/cancel", { params: ANYTHING }, (params, ctx) => {
    const task = of(ctx, params);
    task.cancelled ||= ["working", "input_required"].includes(statusOf(task));
    return { resultType: "complete" };
  });
}

function read(uri) {
  const resource = offered.resources.find((each) => each.uri === uri);
  if (resource !== undefined) return { contents: [pick(resource, ["uri", "mimeType", "text", "blob"])] };
  for (const template of offered.templates) {
    const [before, after] = template.uriTemplate.split("{id}");
    if (uri.startsWith(before) && uri.endsWith(after)) {
      const id = uri.slice(before.length, uri.length - after.length);
      return { contents: [{ uri, mimeType: template.mimeType, text: filled(template.text, { id }) }] };
    }
  }
  throw invalid("Resource not found", { uri });
}

// The SDK checks the headers Mcp-Param-* of an McpServer alone, by the schemas that it knows.
class Reference extends sdk.McpServer {
  toolInputSchemaJson(name) {
    return offered.tools.find((tool) => tool.name === name)?.inputSchema;
  }
}

function reference(changed) {
  const changes = { listChanged: true };
  const whole = new Reference({ name: NAME, version: "1.0.0" }, {
    capabilities: {
      tools: changes, prompts: changes, resources: { ...changes, subscribe: true }, logging: {}, completions: {},
      extensions: { [TASKS]: {} },
    },
    requestState: { verify: states.verify },
  });
  const { server } = whole;
  const listed = (entries, keys) => entries.map((entry) => pick(entry, keys));
  const tools = listed(offered.tools, ["name", "description", "inputSchema"]);
  const prompts = listed(offered.prompts, ["name", "description", "arguments"]);
  server.setRequestHandler("tools/list", () => ({ tools }));
  server.setRequestHandler("tools/call", ({ params }, ctx) => callTool(server, ctx, params, changed));
  server.setRequestHandler("prompts/list", () => ({ prompts }));
  server.setRequestHandler("prompts/get", async ({ params }, ctx) => {
    const prompt = named(offered.prompts, params.name);
    const more = await nextRound(server, ctx, prompt);
    return more ?? { messages: filled(prompt.messages, params.arguments ?? {}) };
  });
  const about = ["name", "description", "mimeType"];
  server.setRequestHandler("resources/list", () => ({ resources: listed(offered.resources, ["uri", ...about]) }));
  server.setRequestHandler("resources/templates/list", () => ({
    resourceTemplates: listed(offered.templates, ["uriTemplate", ...about]),
  }));
  server.setRequestHandler("resources/read", ({ params }) => read(params.uri));
  server.setRequestHandler("resources/subscribe", () => ({}));
  server.setRequestHandler("resources/unsubscribe", () => ({}));
  const completion = { values: ["paris", "park", "party"], total: 3 };
  server.setRequestHandler("completion/complete", () => ({ completion }));
  serveTasks(server);
  return whole;
}

// Every event of every stream, so that a client that comes back can be told what it missed.
class Kept {
  events = [];

  async storeEvent(stream, message) {
    return String(this.events.push({ stream, message }));
  }

  async getStreamIdForEventId(eventId) {
    return this.events[Number(eventId) - 1]?.stream;
  }

  async replayEventsAfter(eventId, { send }) {
    const { stream } = this.events[Number(eventId) - 1];
    for (const [at, event] of this.events.entries()) {
      const missed = at >= Number(eventId) && event.stream === stream && Object.keys(event.message).length > 0;
      if (missed) await send(String(at + 1), event.message);
    }
    return stream;
  }
}

const modern = sdk.createMcpHandler(
  () => reference((what) => (what === "tools" ? modern.notify.toolsChanged() : modern.notify.promptsChanged())),
  { legacy: "reject" },
);
const sessions = new Map();

async function legacy(request) {
  const sessionId = request.headers.get("mcp-session-id");
  if (sessionId !== null) {
    const known = sessions.get(sessionId);
    if (known !== undefined) return await known.handleRequest(request);
    const error = { code: -32001, message: "Session not found" };
    return Response.json({ jsonrpc: "2.0", id: null, error }, { status: 404 });
  }
  const transport = new sdk.WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    eventStore: new Kept(),
    retryInterval: RETRY_MS,
    onsessioninitialized: (id) => void sessions.set(id, transport),
    onsessionclosed: (id) => void sessions.delete(id),
  });
  const server = reference((what) => {
    if (what === "tools") server.sendToolListChanged();
    else server.sendPromptListChanged();
  });
  await server.connect(transport);
  return await transport.handleRequest(request);
}

const handle = toNodeHandler({
  fetch: async (request) => await ((await sdk.isLegacyRequest(request)) ? legacy(request) : modern.fetch(request)),
});
const goodHost = localhostHostValidation();
const goodOrigin = localhostOriginValidation();
createServer((request, response) => {
  if (goodHost(request, response) && goodOrigin(request, response)) void handle(request, response);
}).listen(port, "127.0.0.1", () => console.log(`ready: http://127.0.0.1:${port}/mcp`));
