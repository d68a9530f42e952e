// What the official TypeScript clients send, of every kind of request and in both eras: a line of JSON for each POST.
import { Client as ClientOf2, StreamableHTTPClientTransport as TransportOf2 } from '@modelcontextprotocol/client';
import { Client as ClientOf1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportOf1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Server, createMcpHandler } from '@modelcontextprotocol/server';

const URI = 'db://orders/größe';
const ARGUMENTS = {
  sql: 'select "größe"\n\t\u2028 from 日本 🦊', limit: 10, ratio: -0.25, big: 2 ** 53 - 1, tiny: 1e-7, huge: 1e21, yes: true, none: null,
  deep: { list: [1, [2, { '': 'x' }]], 'a.b': {}, constructor: 'c', toString: 't', Name: 'n', then: 1 }, empty: '',
};
const CAPABILITIES = { tools: {}, prompts: {}, resources: { subscribe: true }, completions: {}, logging: {} };
const RESULTS = {
  'tools/list': { tools: [] },
  'tools/call': { content: [] },
  'prompts/list': { prompts: [] },
  'prompts/get': { messages: [] },
  'resources/list': { resources: [] },
  'resources/templates/list': { resourceTemplates: [] },
  'resources/read': { contents: [] },
  'completion/complete': { completion: { values: [] } },
};
const OF_LEGACY = { 'logging/setLevel': {}, 'resources/subscribe': {}, 'resources/unsubscribe': {} };

const handler = createMcpHandler(({ era }) => {
  const server = new Server({ name: 'peer', version: '1' }, { capabilities: CAPABILITIES });
  const results = era === 'legacy' ? { ...RESULTS, ...OF_LEGACY } : RESULTS;
  for (const [method, result] of Object.entries(results)) server.setRequestHandler(method, () => result);
  return server;
});

async function fetched(url, options) {
  const request = new Request(url, options);
  if (request.method === 'POST') {
    const body = Buffer.from(await request.clone().arrayBuffer()).toString('base64');
    console.log(JSON.stringify({ headers: [...request.headers], body }));
  }
  return handler.fetch(request);
}

const INFO = { name: 'client', version: '1' };
const told = { capabilities: { roots: { listChanged: true }, elicitation: {}, sampling: {} } };
const of2 = (mode) => [new ClientOf2(INFO, { ...told, versionNegotiation: { mode } }), TransportOf2, mode === 'legacy'];
for (const [client, Transport, isLegacy] of [
  [new ClientOf1(INFO, told), TransportOf1, true],
  of2('legacy'),
  of2('auto'),
  of2({ pin: '2026-07-28' }),
]) {
  await client.connect(new Transport(new URL('http://127.0.0.1/mcp'), { fetch: fetched }));
  await client.listTools();
  await client.listTools({ cursor: 'é=' });
  for (const name of ['query', 'größe', 'a.b/c', ' padded ', '=?base64?eA==?=']) {
    await client.callTool({ name, arguments: ARGUMENTS, _meta: { 'example.org/trace': ['x'] } });
  }
  await client.callTool({ name: 'query' });
  await client.callTool({ name: 'query', arguments: {} }, undefined, { onprogress: () => {} }).catch(() => {});
  await client.listPrompts();
  await client.getPrompt({ name: 'größe', arguments: { name: '"日本"' } });
  await client.listResources();
  await client.listResourceTemplates();
  await client.readResource({ uri: URI });
  await client.complete({ ref: { type: 'ref/prompt', name: 'größe' }, argument: { name: 'a', value: 'é' } });
  await client.complete({ ref: { type: 'ref/resource', uri: 'db://{table}' }, argument: { name: 'table', value: '' } });
  if (isLegacy) {
    await client.ping();
    await client.setLoggingLevel('error');
    await client.subscribeResource({ uri: URI });
    await client.unsubscribeResource({ uri: URI });
    await client.sendRootsListChanged();
  }
  await client.close();
}
process.exit(0);
