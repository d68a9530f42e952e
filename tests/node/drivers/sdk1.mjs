// The TypeScript SDK 1.x.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CallToolResultSchema,
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { drive } from "./driving.mjs";

const SCHEMAS = {
  "elicitation/create": ElicitRequestSchema,
  "sampling/createMessage": CreateMessageRequestSchema,
  "roots/list": ListRootsRequestSchema,
};
const capabilities = { elicitation: { form: {} }, sampling: {}, roots: { listChanged: true } };

await drive({
  client: () => new Client({ name: "driver", version: "1" }, { capabilities }),
  http: (url, options) => new StreamableHTTPClientTransport(url, options),
  stdio: (options) => {
    const transport = new StdioClientTransport(options);
    transport.setProtocolVersion = (version) => (transport.protocolVersion = version);
    return transport;
  },
  version: (_, transport) => transport.protocolVersion,
  isModern: () => false,
  answer: (client, method, give) => client.setRequestHandler(SCHEMAS[method], async ({ params }) => give(params)),
  call: (client, params, options) => client.callTool(params, CallToolResultSchema, options),
  task: async (client, params) => {
    const statuses = [];
    let result;
    const options = { task: { ttl: 60_000 } };
    for await (const news of client.experimental.tasks.callToolStream(params, CallToolResultSchema, options)) {
      if (news.type === "taskStatus" && statuses.at(-1) !== news.task.status) statuses.push(news.task.status);
      if (news.type === "error") throw news.error;
      if (news.type === "result") result = news.result;
    }
    const { tasks } = await client.experimental.tasks.listTasks();
    return { statuses, result, listed: tasks.map((task) => task.status) };
  },
});
