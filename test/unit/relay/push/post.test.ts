/**
 * One request to a push service that the test is, and none where its address may not be connected
 * to.
 */
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { makeSelfSigned } from "../../../../src/certificates/self-signed.ts";
import { PeerRefused } from "../../../../src/relay/https/allowed-lookup.ts";
import { pushService } from "../../../../src/relay/push/post.ts";

let server: Server;
const closing: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** What a server on the loopback gets, and a service whose connections are judged by this rule. */
async function serviceAt(host: string, mayConnect: (address: string) => boolean) {
  const seen = { connections: 0, refused: 0, judged: [] as string[] };
  const { certificatePem, keyPem } = await makeSelfSigned("localhost", new Date());
  server = createServer({ cert: certificatePem, key: keyPem }, (_request, response) => response.end());
  server.on("connection", () => seen.connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const service = pushService({
    url: `https://${host}:${(server.address() as AddressInfo).port}/notify`,
    mayConnect: (address) => {
      seen.judged.push(address);
      return mayConnect(address);
    },
    onRefused: () => seen.refused++,
  });
  closing.push(service.close, () => server.close());
  return { service, seen };
}

const never = new AbortController().signal;

test.each(["localhost", "127.0.0.1", "[::1]"])("%s may not be connected to: no packet is sent", async (host) => {
  const { service, seen } = await serviceAt(host, () => false);
  await expect(service.post("token", never)).rejects.toBeInstanceOf(PeerRefused);
  await expect(service.post("token", never)).rejects.toBeInstanceOf(PeerRefused);
  expect(seen).toMatchObject({ connections: 0, refused: 2 });
  expect(seen.judged.every((address) => ["127.0.0.1", "::1"].includes(address))).toBe(true);
});

test("of a service's addresses only the allowed ones are connected to", async () => {
  const { service, seen } = await serviceAt("localhost", (address) => address === "127.0.0.1");
  // the certificate is one that no authority vouches for: so far it comes, and no further
  await expect(service.post("token", never)).rejects.toMatchObject({ code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
  expect(seen).toMatchObject({ connections: 1, refused: 0 });
});
