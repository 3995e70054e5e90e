import { expect, test } from "vitest";
import { fetchStsPolicy, hasHttpsRoute } from "../../../../src/relay/route/probe.ts";

const target = { host: "mx.two.test", unverified: true };
const answering = (status: number, text = "") => {
  const asked: unknown[] = [];
  const get = async (...question: unknown[]) => {
    asked.push(question);
    return { status, text };
  };
  return { peers: { get }, asked };
};

test.each([
  [405, "yes"],
  [200, "no"],
  [301, "no"],
  [404, "no"],
  [429, "unreached"],
  [502, "unreached"],
] as const)("a GET of /mxdeliv that is answered %i: %s", async (status, found) => {
  const { peers, asked } = answering(status);
  expect(await hasHttpsRoute(peers, target)).toBe(found);
  expect(asked).toEqual([[target, "/mxdeliv"]]);
});

test("a policy comes from a verified server, and from no redirect", async () => {
  const { peers, asked } = answering(200, "version: STSv1");
  expect(await fetchStsPolicy(peers, "mta-sts.two.test")).toBe("version: STSv1");
  expect(asked).toEqual([[{ host: "mta-sts.two.test", unverified: false }, "/.well-known/mta-sts.txt"]]);
  for (const status of [204, 301, 404, 500]) {
    await expect(fetchStsPolicy(answering(status).peers, "mta-sts.two.test")).rejects.toThrow(String(status));
  }
});
