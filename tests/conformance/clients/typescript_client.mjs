// The client on the official TypeScript SDK 2.x that the suite starts, once a scenario, with the address of its mock server.
// With CONFORMANCE_THROUGH it goes through the gateway: what reaches the scenario's port there is passed on, as it is, to the
// mock server, whose own port nobody knows before.
import { createRequire } from "node:module";
import net from "node:net";

const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const version = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}");
const ways = JSON.parse(process.env.CONFORMANCE_THROUGH ?? "null");
const through = ways?.[scenario];
const mock = new URL(process.argv.at(-1));

const listAndCall = (name, args) => async (client) => {
  await client.listTools();
  await client.callTool({ name, arguments: args });
};

const SCENARIOS = {
  initialize: async (client) => void (await client.listTools()),
  tools_call: listAndCall("add_numbers", { a: 5, b: 3 }),
  "elicitation-sep1034-client-defaults": listAndCall("test_client_elicitation_defaults", {}),
  "sse-retry": listAndCall("test_reconnection", {}),
  "request-metadata": async (client) => void (await client.listTools()),
  "json-schema-ref-no-deref": async (client) => void (await client.listTools()),
  "json-schema-2020-12-preservation": async (client) => {
    const { tools } = await client.listTools();
    const { inputSchema } = tools.find((tool) => tool.name === "json_schema_2020_12_tool");
    await client.callTool({ name: "json_schema_echo", arguments: { schema: inputSchema } });
  },
  // The last answer lacks its type, and the SDK takes no such answer: that it does not come back is what is looked at.
  "sep-2322-client-request-state": async (client) => {
    await client.listTools();
    for (const name of ["echo_state", "unrelated", "no_state", "no_result_type"]) {
      await client.callTool({ name: `test_mrtr_${name}`, arguments: {} });
    }
  },
  "http-standard-headers": async (client) => {
    for (const tool of (await client.listTools()).tools) await client.callTool({ name: tool.name, arguments: {} });
    for (const { uri } of (await client.listResources()).resources) await client.readResource({ uri });
    for (const { name } of (await client.listPrompts()).prompts) await client.getPrompt({ name });
  },
  "http-custom-headers": async (client) => {
    await client.listTools();
    for (const call of context.toolCalls) await client.callTool(call);
  },
  "http-invalid-tool-headers": async (client) => {
    for (const tool of (await client.listTools()).tools) {
      await client.callTool({ name: tool.name, arguments: { region: "eu" } });
    }
  },
};

// Whoever signs in by OAuth signs in at the gateway, never at a target: those scenarios are not for this client.
// Nor may any scenario go around the gateway when all are to go through it.
if (!(scenario in SCENARIOS) || (ways !== null && through === undefined)) process.exit(1);

async function forward(port) {
  const server = net.createServer((from) => {
    const to = net.connect(Number(mock.port), mock.hostname);
    from.pipe(to).pipe(from);
    from.on("error", () => to.destroy());
    to.on("error", () => from.destroy());
  });
  await new Promise((listening) => server.listen(port, "127.0.0.1", listening));
}

if (through !== undefined) await forward(through.port);
const require = createRequire(new URL("../../node/package.json", import.meta.url));
const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");
const client = new Client({ name: "conformance-client", version: "1.0.0" }, {
  capabilities: { elicitation: { form: { applyDefaults: true } }, sampling: {}, roots: {} },
  versionNegotiation: { mode: version === "2026-07-28" ? { pin: version } : "legacy" },
});
client.setRequestHandler("elicitation/create", (request) => {
  const asked = Object.keys(request.params.requestedSchema.properties);
  return { action: "accept", content: asked.includes("confirmed") ? { confirmed: true } : {} };
});
const headers = through === undefined ? {} : { authorization: `Bearer ${through.token}` };
const transport = new StreamableHTTPClientTransport(through === undefined ? mock : new URL(through.endpoint), {
  requestInit: { headers },
});
await client.connect(transport);
await SCENARIOS[scenario](client);
await client.close();
process.exit(0);
