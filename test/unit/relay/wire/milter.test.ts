import { describe, expect, test } from "vitest";
import { ProtocolError } from "../../../../src/relay/wire/conversation.ts";
import {
  maxPacketBytes,
  negotiate,
  PacketReader,
  packet,
  parseCommand,
  renderModification,
  renderReply,
} from "../../../../src/relay/wire/milter.ts";
import { randomFrom, seed } from "../random.ts";

const command = (name: string, data: string) => parseCommand({ command: name, data: Buffer.from(data, "latin1") });

test.each([
  ["M", "<a@b>\0SIZE=3\0", { kind: "mail", args: ["<a@b>", "SIZE=3"] }],
  ["M", "<>\0", { kind: "mail", args: ["<>"] }],
  ["R", "<a@b>\0", { kind: "recipient", args: ["<a@b>"] }],
  ["L", "Subject\0 a\n\tb\xff\0", { kind: "header", name: "Subject", value: " a\n\tb\xff" }],
  ["L", "Subject\0\0", { kind: "header", name: "Subject", value: "" }],
  ["D", "Ci\x002\0", { kind: "macros", stage: "C", macros: new Map([["i", "2"]]) }],
  ["D", "C", { kind: "macros", stage: "C", macros: new Map() }],
  ["A", "", { kind: "abort" }],
  ["K", "", { kind: "nextConnection" }],
  ["C", "a.example\x004\x00\x19192.0.2.1\0", { kind: "connect", address: "192.0.2.1" }],
  ["C", "a.example\x006\x00\x00IPv6:2001:db8::1\0", { kind: "connect", address: "2001:db8::1" }],
  ["C", "localhost\0U", { kind: "connect", address: undefined }],
  ["C", "localhost\0L\x00\x00/run/x\0", { kind: "connect", address: undefined }],
  ["T", "", { kind: "other" }],
])("%s %j is understood", (name, data, expected) => expect(command(name, data)).toEqual(expected));

test.each([
  ["M", ""],
  ["M", "<a@b>"],
  ["L", "Subject\0"],
  ["L", "\0value\0"],
  ["L", "a\0b\0c\0"],
  ["D", ""],
  ["D", "Ci\0"],
  ["C", ""],
  ["C", "a.example"],
  ["C", "a.example\0"],
  ["C", "a.example\x004"],
  ["C", "a.example\x004\x00\x19192.0.2.1"],
  ["C", "a.example\x004\x00\x19\0"],
  ["O", "short"],
  ["Z", ""],
])("%s %j is refused", (name, data) => expect(() => command(name, data)).toThrow(ProtocolError));

describe("PacketReader", () => {
  const stream = Buffer.concat([packet("A"), packet("B", Buffer.alloc(70_000, 120)), packet("Q")]);

  test(`gives the same packets in any chunks, seed ${seed}`, () => {
    const random = randomFrom(seed);
    for (let round = 0; round < 50; round++) {
      const reader = new PacketReader();
      const seen: string[] = [];
      for (let at = 0; at < stream.length; ) {
        const size = 1 + random.below(random.pick([3, 10_000]));
        seen.push(...reader.push(stream.subarray(at, at + size)).map((each) => `${each.command}${each.data.length}`));
        at += size;
      }
      expect(seen).toEqual(["A0", "B70000", "Q0"]);
    }
  });

  test.each([0, maxPacketBytes + 1, 0xffffffff])("refuses a packet of %d bytes before it has come", (length) => {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(length);
    expect(() => new PacketReader().push(head)).toThrow(ProtocolError);
  });

  test(`random bytes end in packets or a protocol error, seed ${seed}`, () => {
    const random = randomFrom(seed);
    for (let round = 0; round < 3000; round++) {
      const reader = new PacketReader();
      try {
        for (let chunk = 0; chunk < 5; chunk++) {
          const bytes = random.bytes(random.below(40));
          if (random.below(2) === 0 && bytes.length > 4) bytes.writeUInt32BE(1 + random.below(20));
          for (const each of reader.push(bytes)) parseCommand(each);
        }
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(ProtocolError);
      }
    }
  });
});

test("a reply fits a line of SMTP, whatever a From header holds", () => {
  const text = `500 Invalid FROM header: ${"x".repeat(5000)}`;
  expect(renderReply({ kind: "reply", text }).toString("latin1", 5)).toBe(`${text.slice(0, 400)}\0`);
});

test("a reply doubles % and stays one line", () => {
  const text = "500 Invalid FROM 100%\r\n250 ok\0é";
  expect(renderReply({ kind: "reply", text }).toString("latin1", 4)).toBe("y500 Invalid FROM 100%% 250 ok \0");
});

test.each([
  [{ kind: "changeHeader", index: 2, name: "Subject", value: " [...]" } as const, "m\0\0\0\x02Subject\0 [...]\0"],
  [{ kind: "changeHeader", index: 1, name: "X-Mailer", value: undefined } as const, "m\0\0\0\x01X-Mailer\0\0"],
  [{ kind: "deleteRecipient", recipient: "<a@b>" } as const, "-<a@b>\0"],
  [{ kind: "changeFrom", sender: "<>" } as const, "e<>\0"],
])("%j on the wire", (change, wire) => {
  expect(renderModification(change).toString("latin1", 4)).toBe(wire);
});

describe("negotiation", () => {
  const wanted = { version: 6, actions: 0x10, steps: 0x480 };
  test("takes of the steps what is offered", () =>
    expect(negotiate({ version: 6, actions: 0x1ff, steps: 0x80 }, wanted)).toEqual({ ...wanted, steps: 0x80 }));
  test("an MTA that can't change headers is of no use", () =>
    expect(negotiate({ version: 6, actions: 0x1, steps: 0x1fffff }, wanted)).toBeUndefined());
  test("nor is an older version", () =>
    expect(negotiate({ version: 2, actions: 0x1ff, steps: 0x7f }, wanted)).toBeUndefined());
});
