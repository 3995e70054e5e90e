/** The pages of a relay and the way to a new address, as a browser and a client see them. */
import { request } from "node:https";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ports } from "../../src/mail/layout.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";

let pod: RelayPod;
beforeAll(async () => {
  pod = await startRelayPod({ domain: "_web.test" });
});
afterAll(() => pod?.remove());

interface Page {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

const ask = (path: string, method = "GET", body = ""): Promise<Page> =>
  new Promise((resolve, reject) => {
    const options = { host: pod.host, port: ports.https, path, method, rejectUnauthorized: false, agent: false };
    const asking = request(options, async (response) => {
      const chunks = await response.toArray();
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() });
    });
    asking.on("error", reject);
    asking.end(body);
  });

test("the page has the invite as a link and as a QR code, and loads nothing from elsewhere", async () => {
  const page = await ask("/");
  expect(page).toMatchObject({ status: 200, headers: { "content-type": "text/html; charset=utf-8" } });
  expect(page.body).toContain('href="dcaccount:_web.test"');
  expect(page.body).toContain("<svg");
  expect(page.headers["content-security-policy"]).toMatch(/default-src 'none'/);
  expect(page.headers.server).toBe("nginx");
  for (const file of ["style.css", "robots.txt"]) expect(await ask(`/${file}`)).toMatchObject({ status: 200 });
});

test("POST /new gives an address and its password", async () => {
  const page = await ask("/new", "POST");
  expect(page.status).toBe(200);
  const answer = JSON.parse(page.body) as { email: string; password: string };
  expect(answer.email).toMatch(/^[a-z0-9]{9}@_web\.test$/);
  expect(answer.password.length).toBeGreaterThan(9);
});

test("a body is not wanted", async () => {
  expect(await ask("/new", "POST", "x".repeat(10_000))).toMatchObject({ status: 413 });
});

test.each(["/nothing", "/../etc/passwd", "/%2e%2e/nginx.conf", "/new/more"])("%s is not there", async (path) => {
  const { status, body } = await ask(path);
  expect([400, 404]).toContain(status);
  expect(body).not.toMatch(/nginx\/\d/);
});

test("port 80 only points to https", async () => {
  const answer = await fetch(`http://${pod.host}/x?y`, { redirect: "manual", headers: { Host: "_web.test" } });
  expect(answer.status).toBe(301);
  expect(answer.headers.get("location")).toMatch(/^https:\/\/.*\/x\?y$/);
});
test("who asks for addresses without end is slowed down", async () => {
  const answers = await Promise.all(Array.from({ length: 40 }, () => ask("/new", "POST")));
  const statuses = answers.map(({ status }) => status);
  expect(statuses).toContain(200);
  expect(statuses).toContain(429);
});
