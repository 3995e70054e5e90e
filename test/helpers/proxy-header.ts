/** What a load balancer says of its client before anything else (PROXY protocol). */

import { isIPv6 } from "node:net";

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

/** Version 2, binary, TCP. */
export function proxyV2(client: string): Buffer {
  const source = isIPv6(client) ? bytesOfIPv6(client) : Buffer.from(client.split(".").map(Number));
  const destination = isIPv6(client) ? bytesOfIPv6("2001:db8::1") : Buffer.from([192, 0, 2, 1]);
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(40_000);
  ports.writeUInt16BE(443, 2);
  const body = Buffer.concat([source, destination, ports]);
  return Buffer.concat([signature, Buffer.from([0x21, isIPv6(client) ? 0x21 : 0x11, 0, body.length]), body]);
}

/** Of one that has a :: in it. */
function bytesOfIPv6(address: string): Buffer {
  const bytes = Buffer.alloc(16);
  const [before, after] = address.split("::").map((half) => (half === "" ? [] : half.split(":")));
  for (const [index, group] of before?.entries() ?? []) bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * index);
  for (const [index, group] of after?.toReversed().entries() ?? [])
    bytes.writeUInt16BE(Number.parseInt(group, 16), 14 - 2 * index);
  return bytes;
}

/** Version 1, one line of text. */
export const proxyV1 = (client: string): Buffer => Buffer.from(`PROXY TCP4 ${client} 192.0.2.1 40000 25\r\n`);
