/** Two of Postfix's own services, on the pod's loopback: showq lists the queue, flush retries one deferred mail. */
import { connect } from "node:net";

export interface ListedMail {
  id: string;
  /** "active", "incoming", "deferred" or "hold". */
  queue: string;
  sender: string;
  /** Those that are not done. */
  recipients: readonly string[];
}

const silenceMs = 10_000;
/** 20,000 mails with some recipients each. */
const mostBytes = 64 * 2 ** 20;

/** Throws where Postfix does not answer. */
export async function listQueue(port: number): Promise<readonly ListedMail[]> {
  return parseListing(await converse(port, ""));
}

export async function retryMail(port: number, id: string): Promise<void> {
  await converse(port, attributes({ request: "send_file", queue_id: id }));
}

/** Names and values end in NUL each, a list of them in one more: Postfix's attr_print0(3). */
const attributes = (values: Readonly<Record<string, string>>) =>
  `${Object.entries(values)
    .map(([name, value]) => `${name}\0${value}\0`)
    .join("")}\0`;

/** Reads showq's answer: a list of attributes for each mail, and one list for each of its recipients after it. */
export function parseListing(bytes: Buffer): readonly ListedMail[] {
  const mails: (ListedMail & { recipients: string[] })[] = [];
  for (const list of attributeLists(bytes.toString("latin1"))) {
    const [id, queue, recipient] = ["queue_id", "queue_name", "recipient"].map((name) => list.get(name));
    if (id !== undefined && queue !== undefined) {
      mails.push({ id, queue, sender: list.get("sender") ?? "", recipients: [] });
    }
    const last = mails.at(-1);
    if (recipient !== undefined && recipient !== "" && last) last.recipients.push(recipient);
  }
  // the null sender is listed by the name of the mailer
  return mails.map((mail) => (mail.sender === "MAILER-DAEMON" ? { ...mail, sender: "" } : mail));
}

function* attributeLists(text: string): Generator<ReadonlyMap<string, string>> {
  let list = new Map<string, string>();
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf("\0", at);
    if (end < 0) return;
    if (end === at) {
      yield list;
      list = new Map();
      at++;
      continue;
    }
    const valueEnd = text.indexOf("\0", end + 1);
    if (valueEnd < 0) return;
    list.set(text.slice(at, end), text.slice(end + 1, valueEnd));
    at = valueEnd + 1;
  }
}

/** What the service says until it ends the connection. */
function converse(port: number, question: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const socket = connect({ host: "127.0.0.1", port });
    socket.setTimeout(silenceMs, () => socket.destroy(new Error("Postfix does not answer")));
    socket.on("error", reject);
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > mostBytes) socket.destroy(new Error("the listing of the queue is too long"));
    });
    socket.on("close", () => resolve(Buffer.concat(chunks)));
    if (question === "") socket.resume();
    else socket.write(question);
  });
}
