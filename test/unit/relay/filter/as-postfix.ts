/**
 * Hands a message to the inspector as Postfix does: header by header with LF at folds, then the
 * body in chunks.
 */
import { type MessageFacts, MessageInspector } from "../../../../src/relay/filter/inspect.ts";

export interface Taken {
  headers: { name: string; value: string }[];
  body: Buffer;
}

/** What is no header begins the body. */
export function takenApart(message: Buffer): Taken {
  const headers: Taken["headers"] = [];
  let at = 0;
  while (at < message.length) {
    let end = message.indexOf("\r\n", at);
    if (end < 0) end = message.length;
    while (message[end + 2] === 32 || message[end + 2] === 9) {
      const next = message.indexOf("\r\n", end + 2);
      end = next < 0 ? message.length : next;
    }
    const field = message.toString("latin1", at, end);
    if (field === "") return { headers, body: message.subarray(Math.min(end + 2, message.length)) };
    const match = /^([\x21-\x39\x3b-\x7e]+):(.*)$/s.exec(field);
    if (!match) return { headers, body: message.subarray(at) };
    headers.push({ name: match[1] ?? "", value: (match[2] ?? "").replaceAll("\r\n", "\n") });
    at = Math.min(end + 2, message.length);
  }
  return { headers, body: Buffer.alloc(0) };
}

/** `sizeOf` says how large each next chunk is. */
export function inspect(message: Buffer, sizeOf: () => number = () => 65_535): MessageFacts {
  const { headers, body } = takenApart(message);
  const inspector = new MessageInspector();
  for (const { name, value } of headers) inspector.header(name, value);
  inspector.endOfHeaders();
  for (let at = 0; at < body.length; ) {
    const size = Math.max(1, sizeOf());
    inspector.body(body.subarray(at, at + size));
    at += size;
  }
  return inspector.finish();
}
