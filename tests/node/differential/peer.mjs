// How the official TypeScript SDKs read requests: their own transports, with a handler behind them that tells what it got.
//
// Speaks lines of JSON on its standard streams: a list of cases in, a list of what became of each out. All that a
// handler is given goes through `plain`, which also sees what JSON.stringify would not: a prototype that was changed.
import { createInterface } from 'node:readline';
import { Server as ServerOf1 } from '@modelcontextprotocol/sdk/server/index.js';
import { WebStandardStreamableHTTPServerTransport as TransportOf1 } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import * as typesOf1 from '@modelcontextprotocol/sdk/types.js';
import { Server as ServerOf2, createMcpHandler } from '@modelcontextprotocol/server';

const ACCEPT = 'application/json, text/event-stream';
const INFO = { name: 'peer', version: '1' };
const OPTIONS = { capabilities: { tools: {}, prompts: {}, resources: { subscribe: true }, completions: {}, logging: {} } };
const REQUESTS = {
  'completion/complete': 'CompleteRequestSchema',
  initialize: 'InitializeRequestSchema',
  'logging/setLevel': 'SetLevelRequestSchema',
  ping: 'PingRequestSchema',
  'prompts/get': 'GetPromptRequestSchema',
  'prompts/list': 'ListPromptsRequestSchema',
  'resources/list': 'ListResourcesRequestSchema',
  'resources/read': 'ReadResourceRequestSchema',
  'resources/subscribe': 'SubscribeRequestSchema',
  'resources/templates/list': 'ListResourceTemplatesRequestSchema',
  'resources/unsubscribe': 'UnsubscribeRequestSchema',
  'tools/call': 'CallToolRequestSchema',
  'tools/list': 'ListToolsRequestSchema',
};
const INITIALIZED = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: INFO };
const RESULTS = {
  'completion/complete': { completion: { values: [] } },
  'prompts/get': { messages: [] },
  'prompts/list': { prompts: [] },
  'resources/list': { resources: [] },
  'resources/read': { contents: [] },
  'resources/templates/list': { resourceTemplates: [] },
  'tools/call': { content: [] },
  'tools/list': { tools: [] },
};

let seen = [];

/** A value as it is, numbers that JSON has no text for as objects, and with a mark where its prototype is not the usual one. */
function plain(value) {
  if (typeof value === 'number') return Number.isFinite(value) ? value : { $number: String(value) };
  if (typeof value !== 'object' || value === null) return value === undefined ? { $undefined: true } : value;
  if (Array.isArray(value)) return value.map(plain);
  const prototype = Object.getPrototypeOf(value);
  const members = Object.entries(value).map(([key, member]) => [key, plain(member)]);
  if (prototype !== Object.prototype && prototype !== null) members.push(['$prototype', plain({ ...prototype })]);
  return { $members: members };
}

const told = (reader, kind, message, more = {}) => seen.push({ reader, kind, method: message.method, params: plain(message.params), ...more });

// SDK 1.x: one transport with a session for all that is no handshake; a transport of its own for each of these.
async function serverOf1() {
  const server = new ServerOf1(INFO, OPTIONS);
  for (const [method, schema] of Object.entries(REQUESTS)) {
    server.setRequestHandler(typesOf1[schema], (request, context) => {
      told('typed', 'request', request, { id: plain(context.requestId) });
      return method === 'initialize' ? INITIALIZED : (RESULTS[method] ?? {});
    });
  }
  const transport = new TransportOf1({ sessionIdGenerator: () => 'session', enableJsonResponse: true });
  await server.connect(transport);
  const onmessage = transport.onmessage;
  transport.onmessage = (message, extra) => {
    const kind = 'method' in message ? ('id' in message ? 'request' : 'notification') : 'response';
    told('raw', kind, message, { id: plain(message.id) });
    onmessage(message, extra);
  };
  return transport;
}

const HANDSHAKE = { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: INFO } };

function request(headers, body, more) {
  const held = new Headers();
  for (const [name, value] of headers) held.append(name, value);
  for (const [name, value] of more) held.set(name, value);
  return new Request('http://127.0.0.1/mcp', { method: 'POST', headers: held, body });
}

let sessionOf1;
async function readBy1(headers, body, isHandshake) {
  if (isHandshake) return (await serverOf1()).handleRequest(request(headers, body, [['accept', ACCEPT]]));
  if (sessionOf1 === undefined) {
    sessionOf1 = await serverOf1();
    const opening = [['content-type', 'application/json'], ['accept', ACCEPT]];
    await sessionOf1.handleRequest(request(opening, JSON.stringify(HANDSHAKE), []));
    seen = [];
  }
  return sessionOf1.handleRequest(request(headers, body, [['accept', ACCEPT], ['mcp-session-id', 'session']]));
}

// SDK 2.x: the handler that serves both eras, with a server of its own for each request. To make a handler takes its time:
// those of all other methods are given what came, as no schema is asked.
const NAMING = ['tools/call', 'prompts/get', 'resources/read', 'completion/complete'];
const handlerOf2 = createMcpHandler(({ era }) => {
  const server = new ServerOf2(INFO, OPTIONS);
  for (const method of NAMING) {
    server.setRequestHandler(method, (got, context) => {
      told('typed', 'request', got, { id: plain(context.mcpReq.id), era });
      return RESULTS[method] ?? {};
    });
  }
  server.fallbackRequestHandler = async (got, context) => {
    told('typed', 'request', got, { id: plain(context.mcpReq.id), era });
    return {};
  };
  server.fallbackNotificationHandler = async (got) => {
    told('typed', 'notification', got, { era });
  };
  return server;
});

// A request that another one of its batch cancels is never answered: then what was read by now is all.
const UNANSWERED_MS = 200;

async function become(read) {
  seen = [];
  let timer;
  const unanswered = new Promise((resolve) => { timer = setTimeout(resolve, UNANSWERED_MS); });
  try {
    const response = await Promise.race([read(), unanswered]);
    await new Promise(setImmediate);
    await response?.body?.cancel();
    if (response === undefined) sessionOf1 = undefined;
    return { status: response?.status ?? 0, seen };
  } catch (error) {
    return { status: 0, seen, error: String(error) };
  } finally {
    clearTimeout(timer);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const answers = [];
  for (const { headers, body, handshake, known } of JSON.parse(line)) {
    const bytes = Buffer.from(body, 'base64');
    answers.push({
      v1: known ? await become(() => readBy1(headers, bytes, handshake)) : { status: 0, seen: [] },
      v2: await become(() => handlerOf2.fetch(request(headers, bytes, [['accept', ACCEPT]]))),
    });
  }
  process.stdout.write(`${JSON.stringify(answers)}\n`);
}
