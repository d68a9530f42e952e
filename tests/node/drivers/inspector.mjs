// The MCP Inspector's command line program: each step is one command, run by the program itself in this process, since to
// start Node.js anew for each takes half a second. It cannot do what needs an answer of its user's, or a second request.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import path from "node:path";

const manifest = createRequire(import.meta.url).resolve("@modelcontextprotocol/inspector-cli/package.json");
const program = pathToFileURL(path.join(path.dirname(manifest), "build", "index.js")).href;
// Its way to its own package.json goes by the working directory.
process.chdir(path.join(path.dirname(manifest), "build"));

const LISTS = { tools: "tools/list", resources: "resources/list", templates: "resources/templates/list", prompts: "prompts/list" };
const pairs = (flag, values) => {
  const given = Object.entries(values).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return given.length > 0 ? [flag, ...given] : [];
};
const ARGUMENTS = {
  list: ({ what }) => ["--method", LISTS[what]],
  call: ({ tool, arguments: given }) => ["--method", "tools/call", "--tool-name", tool, ...pairs("--tool-arg", given)],
  read: ({ uri }) => ["--method", "resources/read", "--uri", uri],
  prompt: ({ prompt, arguments: given }) => ["--method", "prompts/get", "--prompt-name", prompt, ...pairs("--prompt-args", given)],
  level: ({ level }) => ["--method", "logging/setLevel", "--log-level", level],
};

let text = "";
for await (const piece of process.stdin) text += piece;
const exit = process.exit.bind(process);
const print = process.stdout.write.bind(process.stdout);
let commands = 0;
for (const { name, door, steps } of JSON.parse(text)) {
  const write = (step, what) => print(JSON.stringify({ run: name, step, what }) + "\n");
  write("connect", { version: "(not told)" });
  for (const step of steps) {
    // It shows no notifications.
    if (ARGUMENTS[step.do] === undefined || ["progress", "logging"].includes(step.feature)) continue;
    const target = door.url ? [door.url, "--transport", "http"] : door.command;
    const headers = door.token ? ["--header", `Authorization: Bearer ${door.token}`] : [];
    Object.assign(process.env, door.env);
    const { code, out, err } = await run([...target, ...ARGUMENTS[step.do](step), ...headers]);
    write(step.name, code === 0 ? { result: JSON.parse(out) } : { error: { message: err } });
  }
}
exit(0);

async function run(args) {
  process.argv = [process.execPath, "inspector-cli", ...args];
  process.removeAllListeners("uncaughtException");
  let [out, err] = ["", ""];
  const logged = console.error;
  console.error = (...said) => (err += said.join(" "));
  process.stdout.write = (piece, ...rest) => {
    out += piece;
    rest.findLast((each) => typeof each === "function")?.();
    return true;
  };
  const code = await new Promise((ended) => {
    process.exit = (code) => {
      ended(code);
      // Whoever asked for the end must not go on.
      return new Promise(() => {});
    };
    commands += 1;
    import(`${program}?command=${commands}`);
  });
  console.error = logged;
  return { code, out, err };
}
