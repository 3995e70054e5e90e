/** What a load balancer says of its client before anything else (PROXY protocol). */

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

/** Version 2, binary, TCP over IPv4. */
export function proxyV2(client: string): Buffer {
  const body = Buffer.alloc(12);
  for (const [index, number] of client.split(".").entries()) body[index] = Number(number);
  body.set([192, 0, 2, 1], 4);
  body.writeUInt16BE(40_000, 8);
  body.writeUInt16BE(443, 10);
  return Buffer.concat([signature, Buffer.from([0x21, 0x11, 0, body.length]), body]);
}

/** Version 1, one line of text. */
export const proxyV1 = (client: string): Buffer => Buffer.from(`PROXY TCP4 ${client} 192.0.2.1 40000 25\r\n`);
