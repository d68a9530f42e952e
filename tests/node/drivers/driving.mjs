// What all drivers in Node.js share: runs come as JSON on standard input, what was seen goes out as JSON lines.
// A kit makes one SDK's client and knows where it differs; see tests/matrix/steps.py for what the steps mean.

import { existsSync, writeFileSync } from "node:fs";

const WAIT_MS = 60_000;
const ANSWERS = { colour: "blau", count: 3, name: "Ada", title: "x" };

export async function drive(kit) {
  let text = "";
  for await (const piece of process.stdin) text += piece;
  for (const run of JSON.parse(text)) {
    const write = (step, what) => process.stdout.write(JSON.stringify({ run: run.name, step, what }) + "\n");
    try {
      await driveOne(kit, run, write);
    } catch (error) {
      write("broke", `${error?.name}: ${error?.message} ${error?.cause ?? ""}`);
    }
  }
  process.exit(0);
}

async function driveOne(kit, run, write) {
  let session = null;
  const { door } = run;
  const headers = door.token ? { authorization: `Bearer ${door.token}` } : {};
  // The session's id is the transport's secret in one SDK: it is seen where it comes by.
  const fetched = async (url, init) => {
    const answer = await fetch(url, init);
    session = answer.headers.get("mcp-session-id") ?? session;
    return answer;
  };
  const told = {};
  const hear = (kind, what) => (told[kind] ??= []).push(what);
  const connect = async () => {
    const client = kit.client(run.mode);
    listen(kit, client, hear);
    const [command, ...args] = door.command;
    const transport = door.url
      ? kit.http(new URL(door.url), { requestInit: { headers }, fetch: fetched })
      : kit.stdio({ command, args, env: { ...process.env, ...door.env }, stderr: "ignore" });
    await client.connect(transport);
    return { client, transport };
  };
  const { client, transport } = await connect();
  write("connect", {
    version: kit.version(client, transport),
    server: client.getServerVersion(),
    offers: client.getServerCapabilities(),
    instructions: client.getInstructions(),
  });
  const end = async () => {
    if (session === null) throw new NoWay();
    const sent = { ...headers, "mcp-session-id": session, "mcp-protocol-version": kit.version(client, transport) };
    return (await fetch(door.url, { method: "DELETE", headers: sent })).status;
  };
  const context = { kit, client, told, hear, connect, end };
  for (const step of run.steps) {
    if (step.do === "end") continue;
    const what = await tried(STEPS[step.do], context, step);
    if (what === undefined) continue;
    write(step.name, { ...what, told: { ...told } });
    for (const kind of Object.keys(told)) delete told[kind];
  }
  if (run.steps.some((step) => step.do === "end") && session !== null) {
    await transport.terminateSession();
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" });
    const accept = "application/json, text/event-stream";
    const sent = { ...headers, accept, "content-type": "application/json", "mcp-session-id": session };
    sent["mcp-protocol-version"] = kit.version(client, transport);
    const answer = await fetch(door.url, { method: "POST", body, headers: sent });
    await answer.text();
    write("end", { result: { after: answer.status } });
  }
  await client.close();
}

function listen(kit, client, hear) {
  kit.answer(client, "elicitation/create", (params) => {
    hear("elicitation", params);
    const asked = Object.keys(params.requestedSchema?.properties ?? {});
    const content = Object.fromEntries(asked.filter((key) => key in ANSWERS).map((key) => [key, ANSWERS[key]]));
    return { action: "accept", content };
  });
  kit.answer(client, "sampling/createMessage", (params) => {
    hear("sampling", params);
    return { role: "assistant", content: { type: "text", text: "Schlüssel öffnen Türen." }, model: "none", stopReason: "endTurn" };
  });
  kit.answer(client, "roots/list", () => {
    return { roots: [{ uri: "file:///srv/a", name: "a" }, { uri: "file:///srv/b" }] };
  });
  client.fallbackNotificationHandler = async ({ method, params }) => {
    if (method === "notifications/message") hear("log", params);
    else hear("notice", { method, params });
  };
}

class NoWay extends Error {}

async function tried(step, context, settings) {
  if (step === undefined) return undefined;
  let timer;
  const late = new Promise((_, refuse) => {
    timer = setTimeout(() => refuse(Object.assign(new Error(), { silent: true })), WAIT_MS);
  });
  try {
    return { result: await Promise.race([step(context, settings), late]) };
  } catch (error) {
    if (error instanceof NoWay) return undefined;
    if (error.silent) return { silent: true };
    return { error: { code: error.code, message: error.message, data: error.data } };
  } finally {
    clearTimeout(timer);
  }
}

const pause = (ms) => new Promise((resume) => setTimeout(resume, ms));

async function until(condition) {
  for (const end = Date.now() + WAIT_MS; Date.now() < end; await pause(20)) {
    const found = await condition();
    if (found) return found;
  }
  throw Object.assign(new Error(), { silent: true });
}

const STEPS = {
  ping: ({ client }) => client.ping(),
  list: async ({ client }, { what }) => {
    const lists = {
      tools: "listTools",
      resources: "listResources",
      templates: "listResourceTemplates",
      prompts: "listPrompts",
    };
    const pages = [];
    let cursor;
    do {
      pages.push(await client[lists[what]](cursor === undefined ? undefined : { cursor }));
      cursor = pages.at(-1).nextCursor;
    } while (cursor !== undefined);
    return pages;
  },
  call: ({ kit, client, hear }, { tool, arguments: given, progress }) => {
    const options = progress ? { onprogress: (news) => hear("progress", news) } : {};
    return kit.call(client, { name: tool, arguments: given }, options);
  },
  read: ({ client }, { uri }) => client.readResource({ uri }),
  prompt: ({ client }, { prompt, arguments: given }) => client.getPrompt({ name: prompt, arguments: given }),
  complete: ({ client }, { ref, argument, value }) => client.complete({ ref, argument: { name: argument, value } }),
  level: ({ client }, { level }) => client.setLoggingLevel(level),
  cancel: async ({ kit, client }, { tool, arguments: given, proof }) => {
    const abort = new AbortController();
    const onprogress = () => abort.abort("enough");
    const end = await kit
      .call(client, { name: tool, arguments: given }, { onprogress, signal: abort.signal })
      .then(() => "finished", () => "taken back");
    return until(async () => {
      const told = await kit.call(client, { name: proof, arguments: given }, {});
      return told.content[0].text.toLowerCase().includes("true") ? { end, told } : null;
    });
  },
  subscribe: async ({ kit, client, told }, { uri, tool, arguments: given }) => {
    const updated = () => (told.notice ?? []).some((news) => news.method === "notifications/resources/updated");
    if (kit.isModern(client)) {
      const stream = await client.listen({ toolsListChanged: true, resourceSubscriptions: [uri] });
      const called = await kit.call(client, { name: tool, arguments: given }, {});
      await until(updated);
      await stream.close();
      return { honored: stream.honoredFilter, called };
    }
    await client.subscribeResource({ uri });
    const called = await kit.call(client, { name: tool, arguments: given }, {});
    await until(updated);
    await client.unsubscribeResource({ uri });
    delete told.log;
    return { called };
  },
  wait: async (_, { file }) => {
    writeFileSync(`${file}.here`, "");
    return until(() => existsSync(`${file}.go`));
  },
  lost: async ({ kit, client, connect, end }, { tool, arguments: given }) => {
    await end();
    const call = { name: tool, arguments: given };
    const failed = await kit.call(client, call, {}).then(() => false, () => true);
    await client.close();
    const { client: another } = await connect();
    const again = await kit.call(another, call, {});
    await another.close();
    return { failed, again };
  },
  task: async ({ kit, client, told }, { tool, arguments: given }) => {
    if (kit.task === undefined) throw new NoWay();
    const seen = await kit.task(client, { name: tool, arguments: given });
    // How often a server tells where a task stands goes by the clock.
    delete told.notice;
    return seen;
  },
};
