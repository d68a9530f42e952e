// A target on the official TypeScript SDK 2.x, for both eras: `node target.mjs JOURNAL`. Prints its port. Writes each call
// that is executed to the journal, as a line of JSON, before it answers.
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { Server, createMcpHandler } from '@modelcontextprotocol/server';

const [journal] = process.argv.slice(2);
const OPTIONS = { capabilities: { tools: {}, prompts: {}, resources: {} } };
const RESULTS = {
  'tools/call': { content: [{ type: 'text', text: 'done' }] },
  'prompts/get': { messages: [] },
  'resources/read': { contents: [] },
};

const handler = createMcpHandler(() => {
  const server = new Server({ name: 'typescript', version: '1' }, OPTIONS);
  for (const [method, result] of Object.entries(RESULTS)) {
    server.setRequestHandler(method, ({ params }) => {
      const call = { method, name: params.name ?? params.uri, arguments: params.arguments ?? null, at_us: Date.now() * 1000 };
      appendFileSync(journal, `${JSON.stringify(call)}\n`);
      return result;
    });
  }
  return server;
});
const server = createServer(toNodeHandler(handler));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
