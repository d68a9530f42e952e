// How the official TypeScript clients read event streams: through the same parser, in the same way. A line of JSON in, a
// list of streams (each a list of chunks in base64); a line out, for each stream its events.
import { createInterface } from 'node:readline';
import { EventSourceParserStream } from 'eventsource-parser/stream';

async function read(chunks) {
  const bytes = new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(Buffer.from(chunk, 'base64'));
      controller.close();
    },
  });
  const events = [];
  for await (const event of bytes.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())) {
    if (event.data) events.push([event.event ?? 'message', event.data]);
  }
  return events;
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await Promise.all(JSON.parse(line).map(read)))}\n`);
}
