// The TypeScript SDK 2.x.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { drive } from "./driving.mjs";

const capabilities = { elicitation: { form: {} }, sampling: {}, roots: { listChanged: true } };
const MODES = { legacy: "legacy", auto: "auto" };

await drive({
  client: (mode) => {
    const versionNegotiation = { mode: MODES[mode] ?? { pin: mode } };
    return new Client({ name: "driver", version: "1" }, { capabilities, versionNegotiation });
  },
  http: (url, options) => new StreamableHTTPClientTransport(url, options),
  stdio: (options) => new StdioClientTransport(options),
  version: (client) => client.getNegotiatedProtocolVersion(),
  isModern: (client) => client.getProtocolEra() === "modern",
  answer: (client, method, give) => client.setRequestHandler(method, async ({ params }) => give(params)),
  call: (client, params, options) => client.callTool(params, options),
});
