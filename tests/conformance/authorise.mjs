// Loaded into the suite's process (`node --import`), since it has no option for a token: every request to the gateway gets
// the caller's, all others stay as they are. Nothing else of a request is touched, nor is anything between suite and gateway.
import diagnostics from "node:diagnostics_channel";

const origin = process.env.CONFORMANCE_ORIGIN;
const value = `Bearer ${process.env.CONFORMANCE_TOKEN}`;

diagnostics.channel("undici:request:create").subscribe(({ request }) => {
  if (String(request.origin) === origin) request.addHeader("authorization", value);
});
diagnostics.channel("http.client.request.created").subscribe(({ request }) => {
  if (`${request.protocol}//${request.getHeader("host")}` === origin) request.setHeader("authorization", value);
});
