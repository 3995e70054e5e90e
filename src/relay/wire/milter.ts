/**
 * Milter protocol, version 6: bytes ↔ values. A packet is `uint32 length of what follows, command
 * byte, data`; texts in it end in NUL. Header names and values are carried as latin1, one character
 * for each byte, so nothing is lost.
 */
import { ProtocolError } from "./conversation.ts";

/** What an MTA may leave out or wants no answer to, as bits of the option negotiation. */
export const steps = {
  noHelo: 0x2,
  noReplyToHeader: 0x80,
  noUnknown: 0x100,
  noData: 0x200,
  noReplyToConnect: 0x1000,
  noReplyToMail: 0x4000,
  noReplyToEndOfHeaders: 0x40000,
  noReplyToBody: 0x80000,
  /** Header values come, and are to be given, with the space after the colon. */
  headerLeadingSpace: 0x100000,
} as const;

/** What a milter may do to a message. */
export const actions = { addHeader: 0x1, deleteRecipient: 0x8, changeHeader: 0x10, changeFrom: 0x40 } as const;

export interface Options {
  version: number;
  actions: number;
  steps: number;
}

export type Command =
  | { kind: "options"; options: Options }
  | { kind: "macros"; stage: string; macros: ReadonlyMap<string, string> }
  /** A client of the MTA; `address` is its IP address, undefined where it has none. */
  | { kind: "connect"; address: string | undefined }
  | { kind: "mail"; args: readonly string[] }
  | { kind: "recipient"; args: readonly string[] }
  | { kind: "header"; name: string; value: string }
  | { kind: "endOfHeaders" }
  | { kind: "body"; chunk: Buffer }
  | { kind: "endOfMessage"; chunk: Buffer }
  | { kind: "abort" }
  | { kind: "quit" }
  /** The MTA begins with another client on this connection. */
  | { kind: "nextConnection" }
  /** HELO, DATA and unknown SMTP commands: an answer is due, the content is not used. */
  | { kind: "other" };

/** A final answer. `text` is the whole SMTP reply, such as "523 Encryption Needed". */
export type Reply =
  | { kind: "continue" }
  | { kind: "accept" }
  | { kind: "discard" }
  | { kind: "tempfail" }
  | { kind: "reply"; text: string };

export type Modification =
  /** Above all headers that are there. The value has its leading space; folds are LF. */
  | { kind: "insertHeader"; name: string; value: string }
  /** `index` counts headers of this name from 1; an undefined value deletes. */
  | { kind: "changeHeader"; index: number; name: string; value: string | undefined }
  | { kind: "deleteRecipient"; recipient: string }
  /** With angle brackets: "<>" is the null sender. */
  | { kind: "changeFrom"; sender: string };

/** Postfix sends body chunks of 65,535 bytes at most and headers of 102,400 (header_size_limit). */
export const maxPacketBytes = 1 << 20;

/**
 * A packet that comes in single bytes is put together now and then: each piece costs more than its
 * bytes.
 */
const mostParts = 1000;

interface Packet {
  command: string;
  data: Buffer;
}

/** Cuts a byte stream into packets; holds at most one unfinished packet. */
export class PacketReader {
  #parts: Buffer[] = [];
  #held = 0;

  /** Throws ProtocolError for a length of 0 or above maxPacketBytes. */
  push(chunk: Buffer): Packet[] {
    this.#parts.push(chunk);
    this.#held += chunk.length;
    if (this.#parts.length > mostParts) this.#join();
    const packets: Packet[] = [];
    for (;;) {
      if (this.#held < 4) return packets;
      if ((this.#parts[0]?.length ?? 0) < 4) this.#join();
      const length = this.#parts[0]?.readUInt32BE(0) ?? 0;
      if (length === 0 || length > maxPacketBytes) throw new ProtocolError(`packet of ${length} bytes`);
      if (this.#held < 4 + length) return packets;
      const bytes = this.#join();
      packets.push({ command: String.fromCharCode(bytes[4] ?? 0), data: bytes.subarray(5, 4 + length) });
      this.#parts = bytes.length > 4 + length ? [bytes.subarray(4 + length)] : [];
      this.#held -= 4 + length;
    }
  }

  #join(): Buffer {
    const [first] = this.#parts;
    if (first && this.#parts.length === 1) return first;
    const all = Buffer.concat(this.#parts);
    this.#parts = [all];
    return all;
  }
}

/** Throws ProtocolError where the data is not what the command needs. */
export function parseCommand({ command, data }: Packet): Command {
  switch (command) {
    case "O":
      return { kind: "options", options: parseOptions(data) };
    case "D":
      return parseMacros(data);
    case "M":
      return { kind: "mail", args: addressAndArguments(data) };
    case "R":
      return { kind: "recipient", args: addressAndArguments(data) };
    case "L": {
      const [name, value, ...rest] = texts(data);
      if (!name || value === undefined || rest.length > 0) throw new ProtocolError("malformed header");
      return { kind: "header", name, value };
    }
    case "N":
      return { kind: "endOfHeaders" };
    case "B":
      return { kind: "body", chunk: data };
    case "E":
      return { kind: "endOfMessage", chunk: data };
    case "A":
      return { kind: "abort" };
    case "Q":
      return { kind: "quit" };
    case "K":
      return { kind: "nextConnection" };
    case "C":
      return parseConnect(data);
    case "H":
    case "T":
    case "U":
      return { kind: "other" };
    default:
      throw new ProtocolError(`unknown command ${JSON.stringify(command)}`);
  }
}

function parseOptions(data: Buffer): Options {
  if (data.length < 12) throw new ProtocolError("malformed option negotiation");
  return { version: data.readUInt32BE(0), actions: data.readUInt32BE(4), steps: data.readUInt32BE(8) };
}

/** `host name NUL`, the family as a letter, and where it is 4 or 6: `uint16 port, address NUL`. */
function parseConnect(data: Buffer): Command {
  const end = data.indexOf(0);
  if (end < 0 || data.length < end + 2) throw new ProtocolError("malformed connection");
  const family = String.fromCharCode(data[end + 1] ?? 0);
  if (family !== "4" && family !== "6") return { kind: "connect", address: undefined };
  const [address, ...rest] = texts(data.subarray(end + 4));
  if (!address || rest.length > 0) throw new ProtocolError("malformed connection");
  return { kind: "connect", address: address.replace(/^ipv6:/i, "") };
}

function parseMacros(data: Buffer): Command {
  const stage = String.fromCharCode(data[0] ?? 0);
  const words = data.length > 1 ? texts(data.subarray(1)) : [];
  if (data.length === 0 || words.length % 2 !== 0) throw new ProtocolError("malformed macros");
  const macros = new Map<string, string>();
  for (let at = 0; at < words.length; at += 2) macros.set(words[at] ?? "", words[at + 1] ?? "");
  return { kind: "macros", stage, macros };
}

function addressAndArguments(data: Buffer): string[] {
  const args = texts(data);
  if (args.length === 0) throw new ProtocolError("address missing");
  return args;
}

function texts(data: Buffer): string[] {
  if (data.length === 0) return [];
  if (data[data.length - 1] !== 0) throw new ProtocolError("text without its end");
  return data.toString("latin1", 0, data.length - 1).split("\0");
}

/**
 * What we answer to an offer: no more than we use and the MTA has. Undefined where the MTA can't do
 * what `wanted` needs.
 */
export function negotiate(offer: Options, wanted: Options): Options | undefined {
  if (offer.version < 6 || (offer.actions & wanted.actions) !== wanted.actions) return undefined;
  return { version: wanted.version, actions: wanted.actions, steps: offer.steps & wanted.steps };
}

export function renderOptions(options: Options): Buffer {
  const data = Buffer.alloc(12);
  data.writeUInt32BE(options.version, 0);
  data.writeUInt32BE(options.actions, 4);
  data.writeUInt32BE(options.steps, 8);
  return packet("O", data);
}

const replyCommands = { continue: "c", accept: "a", discard: "d", tempfail: "t" } as const;

export function renderReply(reply: Reply): Buffer {
  if (reply.kind !== "reply") return packet(replyCommands[reply.kind]);
  // a % would begin a format of the MTA's; a line end or NUL would end the reply early
  return packet("y", text(oneLine(reply.text).replaceAll("%", "%%")));
}

export function renderModification(change: Modification): Buffer {
  switch (change.kind) {
    case "insertHeader":
      return packet("i", Buffer.concat([Buffer.alloc(4), text(change.name), text(change.value)]));
    case "changeHeader": {
      const index = Buffer.alloc(4);
      index.writeUInt32BE(change.index);
      return packet("m", Buffer.concat([index, text(change.name), text(change.value ?? "")]));
    }
    case "deleteRecipient":
      return packet("-", text(change.recipient));
    case "changeFrom":
      return packet("e", text(change.sender));
  }
}

export function packet(command: string, data: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.allocUnsafe(5 + data.length);
  bytes.writeUInt32BE(1 + data.length, 0);
  bytes.write(command, 4, "latin1");
  data.copy(bytes, 5);
  return bytes;
}

const text = (value: string) => Buffer.from(`${value.replaceAll("\0", "")}\0`, "latin1");

/** Printable ASCII only, of at most 400 characters, so that it fits an SMTP reply line. */
function oneLine(value: string): string {
  return value.replace(/[^\x20-\x7e]+/g, " ").slice(0, 400);
}
