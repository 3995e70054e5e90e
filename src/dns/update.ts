/** Messages that change a zone (RFC 2136). Pure. */
import type { PublishedType, Values } from "./records.ts";
import { dataOf } from "./values.ts";
import { classIn, nameBytes, types } from "./wire.ts";

/** One record: its name has its dot at the end. */
export type OneRecord = { [Type in PublishedType]: { name: string; type: Type; value: Values[Type] } }[PublishedType];

export type Change = ({ change: "add"; ttlSeconds: number } & OneRecord) | ({ change: "delete" } & OneRecord);

/** What has to be so, or the server changes nothing. */
export type Prerequisite =
  /** Nothing at all stands at the name. */
  | { is: "unused"; name: string }
  | { is: "absent"; name: string; type: PublishedType }
  /** At least one. */
  | { is: "present"; name: string; type: PublishedType }
  /** Exactly these: their data, each with its length before it. */
  | { is: "exactly"; name: string; type: PublishedType; data: readonly Buffer[] };

export interface Update {
  id: number;
  zone: string;
  prerequisites: readonly Prerequisite[];
  /** In this order: BIND refuses an MX record whose host has no address yet. */
  changes: readonly Change[];
}

const classes = { none: 254, any: 255 } as const;
const typeAny = 255;
const opcodeUpdate = 5;

export function renderUpdate({ id, zone, prerequisites, changes }: Update): Buffer {
  const before = prerequisites.flatMap(recordsOfPrerequisite);
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(opcodeUpdate << 11, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(before.length, 6);
  header.writeUInt16BE(changes.length, 8);
  const zoneKind = Buffer.alloc(4);
  zoneKind.writeUInt16BE(types.SOA, 0);
  zoneKind.writeUInt16BE(classIn, 2);
  return Buffer.concat([header, nameBytes(zone), zoneKind, ...before, ...changes.map(recordOfChange)]);
}

const empty = Buffer.alloc(2);

function recordsOfPrerequisite(each: Prerequisite): Buffer[] {
  switch (each.is) {
    case "unused":
      return [record(each.name, typeAny, classes.none, 0, empty)];
    case "absent":
      return [record(each.name, types[each.type], classes.none, 0, empty)];
    case "present":
      return [record(each.name, types[each.type], classes.any, 0, empty)];
    case "exactly":
      return each.data.map((data) => record(each.name, types[each.type], classIn, 0, data));
  }
}

function recordOfChange(each: Change): Buffer {
  const data = dataOf(each.type, each.value as never);
  return each.change === "add"
    ? record(each.name, types[each.type], classIn, each.ttlSeconds, data)
    : record(each.name, types[each.type], classes.none, 0, data);
}

/** `data` begins with its length. */
function record(name: string, type: number, inClass: number, ttlSeconds: number, data: Buffer): Buffer {
  const fixed = Buffer.alloc(8);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(inClass, 2);
  fixed.writeUInt32BE(ttlSeconds, 4);
  return Buffer.concat([nameBytes(name), fixed, data]);
}
