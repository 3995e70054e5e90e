/** Cuts a stream of bytes into lines; a line is text only once it is whole, so a character or an object cut in two is no matter. */

/** Far above what etcd can hold: a stream without line ends is not kept for ever. */
const longestBytes = 64 * 2 ** 20;

export function lineSplitter(): (chunk: Buffer) => string[] {
  let parts: Buffer[] = [];
  let size = 0;
  return (chunk) => {
    const lines: string[] = [];
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      const last = chunk.subarray(from, end);
      const line = parts.length === 0 ? last.toString("utf8") : Buffer.concat([...parts, last]).toString("utf8");
      if (line.trim() !== "") lines.push(line);
      parts = [];
      size = 0;
      from = end + 1;
    }
    if (from < chunk.length) {
      parts.push(chunk.subarray(from));
      size += chunk.length - from;
      if (size > longestBytes) throw new Error(`a line of more than ${longestBytes} bytes`);
    }
    return lines;
  };
}
