/** What an ACME server answers that is not well, over HTTPS as it comes. */
import { generateKeyPairSync } from "node:crypto";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { AcmeClient, AcmeError } from "../../../../src/certificates/acme/client.ts";
import { makeSelfSigned } from "../../../../src/certificates/self-signed.ts";

interface Reply {
  status?: number;
  headers?: Record<string, string>;
  body: string | object;
}

let server: Server;
let root = "";
let authorities = "";
/** By path; what is not here is answered well. */
let replies: Record<string, Reply[]> = {};
const asked: { path: string; nonce: string | undefined }[] = [];
const problem = (type: string, more: object = {}): object => ({
  type: `urn:ietf:params:acme:error:${type}`,
  detail: `no: ${type}`,
  ...more,
});
const usual = (path: string): Reply => {
  switch (path) {
    case "/dir":
      return { body: { newNonce: `${root}/nonce`, newAccount: `${root}/account`, newOrder: `${root}/order` } };
    case "/account":
      return { status: 201, headers: { Location: `${root}/account/1` }, body: {} };
    case "/order":
      return {
        status: 201,
        headers: { Location: `${root}/order/1` },
        body: { status: "pending", authorizations: [], finalize: `${root}/finalize` },
      };
    default:
      return { body: "" };
  }
};

beforeAll(async () => {
  const { certificatePem, keyPem } = await makeSelfSigned("127.0.0.1", new Date());
  authorities = certificatePem;
  let nonces = 0;
  server = createServer({ cert: certificatePem, key: keyPem }, (question, answer) => {
    let text = "";
    question.on("data", (piece) => {
      text += String(piece);
    });
    question.on("end", () => {
      const path = question.url ?? "";
      const head = text ? Buffer.from((JSON.parse(text) as { protected: string }).protected, "base64url") : undefined;
      asked.push({ path, nonce: head && (JSON.parse(head.toString()) as { nonce: string }).nonce });
      const { status = 200, headers = {}, body } = replies[path]?.shift() ?? usual(path);
      answer.writeHead(status, { "Replay-Nonce": `nonce-${nonces++}`, ...headers });
      answer.end(typeof body === "string" ? body : JSON.stringify(body));
    });
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  root = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server?.close();
});
beforeEach(() => {
  replies = {};
  asked.length = 0;
});

const { signal } = new AbortController();
const clientOf = () =>
  new AcmeClient({
    directoryUrl: `${root}/dir`,
    key: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
    authorities,
  });
const order = (client = clientOf()) => client.newOrder({ names: ["nine.example.org"] }, signal);
const refusalOf = async (work: Promise<unknown>) => {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof AcmeError)) throw new Error(`no AcmeError: ${String(thrown)}`);
  return thrown;
};

test.each<{ when: string; reply: Reply; type: string; says: RegExp; waitMs?: number }>([
  {
    when: "there were too many orders",
    reply: { status: 429, headers: { "Retry-After": "3600" }, body: problem("rateLimited") },
    type: "rateLimited",
    says: /^no: rateLimited$/,
    waitMs: 3_600_000,
  },
  {
    when: "a proxy before it has had enough",
    reply: { status: 429, headers: { "Retry-After": "5" }, body: "<html>slow down</html>" },
    type: "rateLimited",
    says: /answers HTTP 429/,
    waitMs: 5_000,
  },
  { when: "it is down", reply: { status: 503, body: "" }, type: "serverInternal", says: /answers HTTP 503/ },
  {
    when: "it says nothing that can be read as a time",
    reply: { status: 503, headers: { "Retry-After": "soon" }, body: problem("serverInternal") },
    type: "serverInternal",
    says: /no: serverInternal/,
  },
  { when: "it answers with something else", reply: { status: 201, body: "well" }, type: "malformed", says: /no order/ },
  {
    when: "it names no order",
    reply: { status: 201, body: { status: "pending", finalize: "x" } },
    type: "malformed",
    says: /named no order/,
  },
])("when $when, that is said", async ({ reply, type, says, waitMs }) => {
  replies["/order"] = [reply];
  const refusal = await refusalOf(order());
  expect(refusal.type).toBe(type);
  expect(refusal.message).toMatch(says);
  expect(refusal.retryAfterMs).toBe(waitMs);
});

test("a date to come back at is read, also one that is over", async () => {
  const headers = { "Retry-After": "Sun, 29 Nov 2020 12:00:00 GMT" };
  replies["/order"] = [{ status: 503, headers, body: problem("serverInternal") }];
  expect((await refusalOf(order())).retryAfterMs).toBe(0);
});

test("what it says of single names is kept by name", async () => {
  const identifier = { type: "dns", value: "www.nine.example.org" };
  const subproblems = [{ type: "urn:ietf:params:acme:error:caa", detail: "CAA forbids it", identifier }];
  replies["/order"] = [{ status: 400, body: problem("compound", { subproblems }) }];
  const { names } = await refusalOf(order());
  expect(names).toEqual([{ name: "www.nine.example.org", says: "CAA forbids it" }]);
});

test("no nonce is used twice, also after a refusal, and a server that refuses all is given up", async () => {
  const refused: Reply = { status: 400, body: problem("badNonce") };
  replies["/order"] = [refused, refused, { status: 429, body: problem("rateLimited") }];
  const client = clientOf();
  await refusalOf(order(client));
  await order(client);
  replies["/order"] = Array.from({ length: 30 }, () => refused);
  expect((await refusalOf(order(client))).type).toBe("badNonce");
  const nonces = asked.flatMap(({ nonce }) => nonce ?? []);
  expect(new Set(nonces).size).toBe(nonces.length);
  expect(replies["/order"].length).toBe(20);
});

test("an account that the server has lost is created again by the next request", async () => {
  const client = clientOf();
  await order(client);
  replies["/order"] = [{ status: 400, body: problem("accountDoesNotExist") }];
  expect((await refusalOf(order(client))).type).toBe("accountDoesNotExist");
  await order(client);
  expect(asked.filter(({ path }) => path === "/account").length).toBe(2);
});

test("a directory that is none, and a server that nobody vouches for", async () => {
  replies["/dir"] = [{ body: "<html>" }];
  expect((await refusalOf(order())).message).toBe("the server's answer is no directory");
  const strange = new AcmeClient({
    directoryUrl: `${root}/dir`,
    key: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
  });
  const { type, message } = await refusalOf(order(strange));
  expect(type).toBe("unreachable");
  expect(message).toMatch(/can't be reached: .*self-signed certificate/);
});
