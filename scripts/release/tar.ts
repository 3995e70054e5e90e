/**
 * Tar archives as layers have them (POSIX ustar with pax headers): read, and written again with
 * times that do not depend on when somebody built.
 */

export interface Entry {
  /** Without a leading ./ or / */
  path: string;
  type: "file" | "other";
  content: Buffer;
}

const block = 512;
const field = (header: Buffer, from: number, length: number) => {
  const text = header.subarray(from, from + length);
  const end = text.indexOf(0);
  return text.subarray(0, end < 0 ? length : end).toString();
};

/** Octal text, or base 256 where the first bit is set. */
function number(header: Buffer, from: number, length: number): number {
  if ((header[from] ?? 0) & 0x80) {
    let value = (header[from] ?? 0) & 0x7f;
    for (let at = from + 1; at < from + length; at++) value = value * 256 + (header[at] ?? 0);
    return value;
  }
  const text = field(header, from, length).trim();
  return text === "" ? 0 : Number.parseInt(text, 8);
}

/** Records "LENGTH KEY=VALUE\n" of a pax header. */
function paxRecords(content: Buffer): [string, Buffer][] {
  const records: [string, Buffer][] = [];
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at);
    const length = Number(content.subarray(at, space).toString());
    if (space < 0 || !Number.isInteger(length) || length <= 0) throw new Error("a pax header is damaged");
    const equals = content.indexOf(0x3d, space);
    records.push([content.subarray(space + 1, equals).toString(), content.subarray(equals + 1, at + length - 1)]);
    at += length;
  }
  return records;
}

function paxText(records: readonly [string, Buffer][]): Buffer {
  const lines = records.map(([key, value]) => {
    const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
    let length = rest.length + 1;
    while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
    return Buffer.concat([Buffer.from(String(length)), rest]);
  });
  return Buffer.concat(lines);
}

interface Member {
  header: Buffer;
  type: string;
  content: Buffer;
}

function* members(tar: Buffer): Generator<Member> {
  for (let at = 0; at + block <= tar.length; ) {
    const header = tar.subarray(at, at + block);
    if (header.every((byte) => byte === 0)) return;
    const size = number(header, 124, 12);
    if (at + block + size > tar.length) throw new Error("the archive ends in the middle of a file");
    const content = tar.subarray(at + block, at + block + size);
    yield { header, type: String.fromCharCode(header[156] || 0x30), content };
    at += block + Math.ceil(size / block) * block;
  }
}

/** Files and others, with the long names of pax and GNU. */
export function* entriesOf(tar: Buffer): Generator<Entry> {
  let name: string | undefined;
  for (const { header, type, content } of members(tar)) {
    if (type === "x")
      name =
        paxRecords(content)
          .find(([key]) => key === "path")?.[1]
          .toString() ?? name;
    else if (type === "L") name = content.toString().replace(/\0.*$/s, "");
    else if (type !== "g" && type !== "K") {
      const prefix = field(header, 257, 6) === "ustar" ? field(header, 345, 155) : "";
      const path = name ?? [...(prefix ? [prefix] : []), field(header, 0, 100)].join("/");
      name = undefined;
      yield { path: path.replace(/^[.]?\/+/, ""), type: type === "0" ? "file" : "other", content };
    }
  }
}

/** The same archive; what is younger than this has this time, and nobody knows when it was read. */
export function withTimes(tar: Buffer, epochSeconds: number): Buffer {
  const parts: Buffer[] = [];
  for (const { header, type, content } of members(tar)) {
    const copy = Buffer.from(header);
    let body = content;
    if (type === "x" || type === "g") {
      const records = paxRecords(content).flatMap(([key, value]): [string, Buffer][] => {
        if (key === "atime" || key === "ctime") return [];
        if (key !== "mtime") return [[key, value]];
        // the header has it too, in whole seconds
        return [];
      });
      if (records.length === 0) continue;
      body = paxText(records);
      copy.write(`${body.length.toString(8).padStart(11, "0")}\0`, 124);
    }
    const mtime = Math.min(number(header, 136, 12), epochSeconds);
    copy.write(`${mtime.toString(8).padStart(11, "0")}\0`, 136);
    if (field(header, 257, 8) === "ustar  ") copy.fill(0, 345, 369); // GNU's atime and ctime
    copy.write("        ", 148);
    const sum = copy.reduce((total, byte) => total + byte, 0);
    copy.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    parts.push(copy, body, Buffer.alloc((block - (body.length % block)) % block));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * block)]);
}

/** A new archive of files, in the order of their names. */
export function tarOf(files: Readonly<Record<string, Buffer | string>>, epochSeconds: number): Buffer {
  const parts: Buffer[] = [];
  for (const path of Object.keys(files).sort()) {
    if (Buffer.byteLength(path) > 100) throw new Error(`${path}: longer than 100 bytes`);
    const content = Buffer.from(files[path] ?? "");
    const header = Buffer.alloc(block);
    header.write(path, 0);
    header.write("0000644\0", 100);
    header.write("0000000\0", 108);
    header.write("0000000\0", 116);
    header.write(`${content.length.toString(8).padStart(11, "0")}\0`, 124);
    header.write(`${epochSeconds.toString(8).padStart(11, "0")}\0`, 136);
    header.write("        0", 148);
    header.write("ustar\u000000", 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    parts.push(header, content, Buffer.alloc((block - (content.length % block)) % block));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * block)]);
}
